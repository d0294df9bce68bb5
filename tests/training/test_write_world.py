"""The world written to files: every medium is there, every line whole, nobody's folder harmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import BadOptionError
from core.training import write_world as module
from core.training.cases import Case
from core.training.write_world import TITLE, main

HISTORY = (("I am Ada.", "Nice to meet you, Ada."),)


def made(skill: str, num: int, seed: int) -> Iterator[Case]:
    """Small cases: two pictures, a clip and an earlier turn, or text alone."""
    for number in range(num):
        if skill == "text":
            yield Case(skill, "Größe.", "Translate: size.", history=HISTORY, kind="words")
        else:
            pictures = (b"one %d" % number, b"two %d" % seed)
            yield Case(skill, "Yes.", "", "Is it so?", pictures, b"clip %d" % number)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn or spoken here."""
    monkeypatch.setattr(module, "cases", made)
    monkeypatch.setattr(module, "missing_for", lambda skills: ())


def written(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "cases.jsonl").read_text("utf-8").splitlines()]


def write(folder: Path, *more: str) -> int:
    skills = ("--skill", "text", "--skill", "two pictures")
    return main(["--num", "3", "--out", str(folder), *skills, *more])


def test_a_line_has_what_a_case_has(tmp_path: Path) -> None:
    assert write(tmp_path / "world") == 0
    lines = written(tmp_path / "world")
    assert len(lines) == 6
    assert len({line["id"] for line in lines}) == 6
    assert lines[0] == {
        "id": "text-0-0000",
        "skill": "text",
        "kind": "words",
        "prompt": "Translate: size.",
        "spoken": "",
        "pictures": [],
        "sound": None,
        "history": [
            {"role": "user", "text": "I am Ada."},
            {"role": "assistant", "text": "Nice to meet you, Ada."},
        ],
        "expected": "Größe.",
    }
    assert (lines[4]["spoken"], lines[4]["history"]) == ("Is it so?", [])


def test_every_medium_lies_where_its_line_says(tmp_path: Path) -> None:
    write(tmp_path)
    named = set()
    for number, line in enumerate(written(tmp_path)[3:]):
        first, second = line["pictures"]
        assert (tmp_path / first).read_bytes() == b"one %d" % number
        assert (tmp_path / second).read_bytes() == b"two 0"
        assert (tmp_path / line["sound"]).read_bytes() == b"clip %d" % number
        named.update({first, second, line["sound"]})
    media = {path for folder in ("pictures", "sounds") for path in (tmp_path / folder).iterdir()}
    assert {path.relative_to(tmp_path).as_posix() for path in media} == named


def test_the_readme_explains_every_field(tmp_path: Path) -> None:
    write(tmp_path)
    text = (tmp_path / "README.md").read_text("utf-8")
    assert text.startswith(TITLE)
    for field in written(tmp_path)[0]:
        assert f"| `{field}` |" in text


def test_writing_again_replaces_what_was_written(tmp_path: Path) -> None:
    write(tmp_path)
    assert main(["--num", "1", "--seed", "7", "--out", str(tmp_path), "--skill", "text"]) == 0
    assert [line["id"] for line in written(tmp_path)] == ["text-7-0000"]
    assert [path for name in ("png", "wav") for path in tmp_path.rglob(f"*.{name}")] == []


def test_somebody_elses_folder_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# My thesis\n")
    with pytest.raises(BadOptionError, match="holds something else"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadOptionError):
        write(tmp_path / "file")


def test_missing_packages_are_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--out", str(tmp_path / "world"), "--skill", "text"]
    assert main(arguments, lambda missing: ("flite",)) == 2
    assert "sudo apt-get install flite\n" in capsys.readouterr().err
    assert not (tmp_path / "world").exists()
