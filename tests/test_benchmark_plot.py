"""The picture of other engines beside ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.benchmarks import plot

PEERS = [
    {"name": "one", "measures": {"a token, text": {"ratio": 2.0}, "prefill": {"ratio": 0.8}}},
    {"name": "another", "error": "no room"},
]


def written(folder: Path, record: object) -> Path:
    path = folder / "figures.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    figures, picture = written(tmp_path, {"peers": PEERS}), tmp_path / "picture.png"
    assert plot.main([str(figures), str(picture)]) == 0
    with Image.open(picture) as image:
        assert image.width > 1000
        assert len(image.convert("RGB").getcolors(1 << 24) or ()) > 50


@pytest.mark.parametrize("record", [{}, {"peers": PEERS[1:]}])
def test_without_other_engines_there_is_nothing_to_draw(
    record: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        plot.main([str(written(tmp_path, record)), str(tmp_path / "picture.png")])
    assert "measure with --full --peers" in capsys.readouterr().err
