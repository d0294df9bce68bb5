"""The picture of a training run: its size, its scales, and what its panels say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.training import plot
from core.training.plot import WIDTH_PX, plot_training, smoothed, wants_log_scale
from core.training.stages import STAGES


def record(name: str, num_planned: int = 400, exact: float = 0.952) -> dict[str, Any]:
    """What loop.py writes of a stage."""
    loss = [[step, 5 / step] for step in range(10, 400, 10)]
    figures = {"exact": exact, "token_error_rate": 0.0413}
    return {
        "name": name,
        "num_steps": 400,
        "num_planned": num_planned,
        "figures": figures,
        "loss": loss,
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages in the order in which their panels were drawn."""
    names: list[str] = []
    draw = plot._draw_stage

    def note(panel: Any, runs: Any) -> None:
        names.append(runs[0]["name"])
        draw(panel, runs)

    monkeypatch.setattr(plot, "_draw_stage", note)
    return names


def test_every_stage_has_a_panel_in_the_recipes_order(tmp_path: Path, drawn: list[str]) -> None:
    path = tmp_path / "run.png"
    plot_training([record(name) for name in sorted(STAGES, reverse=True)], path)
    assert drawn == list(STAGES)
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert image.width == WIDTH_PX


def test_words_stay_below_their_panel_however_many_they_are(tmp_path: Path) -> None:
    many = {f"what is told {number}": number / 20 for number in range(20)}
    caption = plot._caption([{**record("text", 800), "figures": many}])
    assert all(f"{name} {value:.3f}" in caption for name, value in many.items())
    assert caption.endswith("400 of 800 steps")
    assert max(map(len, caption.split("\n"))) <= plot.LINE_CHARACTERS
    few, more = tmp_path / "few.png", tmp_path / "more.png"
    plot_training([record("text")], few)
    plot_training([{**record("text"), "figures": many}], more)
    with Image.open(few) as short, Image.open(more) as tall:
        assert tall.height > short.height + 100


def test_a_run_of_one_stage_and_a_stage_without_steps_are_drawn(tmp_path: Path) -> None:
    for loss in ([[1, 0.5]], [], [[1, float("nan")], [2, 0.5]]):
        path = tmp_path / f"{len(loss)}.png"
        plot_training([{**record("text"), "loss": loss}], path)
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).min() < 128


def test_nothing_to_plot_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no stage has a record"):
        plot_training([], tmp_path / "run.png")


def test_a_panel_tells_the_figures_and_the_steps() -> None:
    assert plot._told([record("text")]) == ["exact 0.952", "token error rate 0.041", "400 steps"]
    assert plot._told([record("text", 800)])[-1] == "400 of 800 steps"


def test_the_runs_of_a_stage_share_a_panel_one_behind_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[list[int], list[float]]] = []
    borders: list[float] = []
    draw = plot._draw_stage

    def note(panel: Any, runs: Any) -> None:
        draw(panel, runs)
        for line in panel.lines:
            if line.get_linestyle() == ":":
                borders.append(line.get_xdata()[0])
            elif line.get_color() == plot.RAW:
                lines.append((list(line.get_xdata()), list(line.get_ydata())))

    monkeypatch.setattr(plot, "_draw_stage", note)
    runs = [record("speech", 800, exact=0.5), record("text"), record("speech", exact=0.75)]
    plot_training(runs, tmp_path / "run.png")
    assert [steps[0] for steps, _ in lines] == [10, 10, 410]  # text, then both of speech
    assert borders == [400]
    assert plot._told([runs[0], runs[2]]) == [
        "exact 0.750",
        "token error rate 0.041",
        "800 steps in 2 runs",
    ]


@pytest.mark.parametrize(
    ("losses", "is_log"), [([5.0, 0.1], True), ([5.0, 2.0], False), ([5.0, 0.0], False)]
)
def test_a_loss_that_falls_far_wants_a_log_scale(losses: list[float], is_log: bool) -> None:
    assert wants_log_scale(losses) is is_log


def test_smoothing_keeps_a_level_and_calms_noise() -> None:
    assert smoothed([2.0] * 100) == pytest.approx([2.0] * 100)
    noisy = np.random.default_rng(0).normal(size=400)
    assert smoothed(noisy.tolist()).std() < noisy.std() / 2
    assert smoothed([3.0, 1.0]) == pytest.approx([3.0, 1.0])
