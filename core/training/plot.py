"""One picture of all training: how each stage's loss fell, and what it could do then.

A stage that a later run went on with has all its runs in one panel, one behind the other.

Leaves out: training (loop.py) and the figures of the finished model (evaluate.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from core.training.stages import STAGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_PX: Final = 1200
ROW_PX: Final = 250  # of a panel, the words below it aside
LINE_PX: Final = 13
LINE_CHARACTERS: Final = 42  # that fit below a panel
DPI: Final = 100
MAX_COLUMNS: Final = 4
LOG_FROM: Final = 8.0  # a loss that falls by this factor is drawn on a log scale
# Blue and orange of Okabe and Ito's palette, which every kind of colour vision tells apart.
RAW, SMOOTH = "#9ecae1", "#0072b2"
GREY: Final = "#555555"
NUM_SMOOTHED: Final = 40  # half windows along a curve
Record = Mapping[str, Any]  # of a stage's run


def plot_training(records: Sequence[Record], path: Path) -> None:
    """Draw one PNG of small panels, one a stage, in the recipe's order.

    Args:
        records: as loop.py writes them, a stage's runs in their order: "name", "num_steps",
            "num_planned", "figures" and "loss", a list of (step, loss).
        path: the PNG; its folder is there.
    Raises:
        ValueError: there is no record.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if not records:
        raise ValueError("There is nothing to plot: no stage has a record.")
    stages = _runs_by_stage(records)
    num_columns = min(MAX_COLUMNS, len(stages))
    num_rows = -(-len(stages) // num_columns)
    num_lines = max(_caption(runs).count("\n") + 1 for runs in stages)
    height_px = num_rows * (ROW_PX + num_lines * LINE_PX)
    figure = Figure((WIDTH_PX / DPI, height_px / DPI), DPI, layout="constrained")
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for panel, runs in zip(panels, stages, strict=False):
        _draw_stage(panel, runs)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for panel in panels[len(stages) :]:
        panel.set_visible(False)
    for row in range(num_rows):
        panels[row * num_columns].set_ylabel("loss", color=GREY)
    figure.supxlabel("optimiser step", fontsize=10, color=GREY)
    figure.savefig(path, format="png")


def _runs_by_stage(records: Sequence[Record]) -> list[list[Record]]:
    """The runs of each stage, the stages in the recipe's order; unknown ones come last."""
    by_name: dict[str, list[Record]] = {name: [] for name in STAGES}
    for record in records:
        by_name.setdefault(record["name"], []).append(record)
    return [runs for runs in by_name.values() if runs]


def _draw_stage(panel: Axes, runs: Sequence[Record]) -> None:
    panel.set_title(str(runs[0]["name"]).replace("_", " "), fontsize=11, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, colors=GREY)
    panel.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    panel.set_axisbelow(True)
    begin, drawn = 0, []
    for number, record in enumerate(runs):
        if number:
            panel.axvline(begin, color=GREY, linewidth=0.6, linestyle=":")
        drawn += _draw_run(panel, record, begin)
        begin += record["num_steps"]
    if drawn and wants_log_scale(drawn):
        _set_log_scale(panel)
    elif drawn:
        panel.set_ylim(bottom=0)
    panel.set_xlabel(_caption(runs), fontsize=8, loc="left")
    panel.xaxis.label.set_horizontalalignment("left")


def _draw_run(panel: Axes, record: Record, begin: int) -> list[float]:
    """Draw the curve of a run that begins at a step; the losses that can be drawn."""
    points = [(begin + step, loss) for step, loss in record["loss"] if math.isfinite(loss)]
    steps, losses = [step for step, _ in points], [loss for _, loss in points]
    if points:
        panel.plot(steps, losses, color=RAW, linewidth=0.8)
        marker = "." if len(points) == 1 else ""  # which is no line
        panel.plot(steps, smoothed(losses), color=SMOOTH, linewidth=1.8, marker=marker)
    return losses


def _set_log_scale(panel: Axes) -> None:
    """A log scale with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _caption(runs: Sequence[Record]) -> str:
    """The panel's words in lines that are no wider than it."""
    lines = [""]
    for words in _told(runs):
        longer = f"{lines[-1]} · {words}" if lines[-1] else words
        if len(longer) <= LINE_CHARACTERS or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(words)
    return "\n".join(lines)


def _told(runs: Sequence[Record]) -> list[str]:
    """The panel's words: the last run's validation figures, then how many steps were taken."""
    taken = sum(record["num_steps"] for record in runs)
    if len(runs) > 1:
        steps = f"{taken} steps in {len(runs)} runs"
    elif taken == runs[0]["num_planned"]:
        steps = f"{taken} steps"
    else:
        steps = f"{taken} of {runs[0]['num_planned']} steps"
    return [*starmap(_figure, runs[-1]["figures"].items()), steps]


def _figure(name: str, value: float) -> str:
    """A figure by its name; shares of 1 as such, with three digits."""
    return f"{name.replace('_', ' ')} {value:.3f}"


def wants_log_scale(losses: Sequence[float]) -> bool:
    """Whether most of a curve would lie flat on the ground of a linear scale."""
    return min(losses) > 0 and max(losses) / min(losses) >= LOG_FROM


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """The running mean of a curve, its windows cut short at both ends; shape (num,)."""
    reach = len(losses) // NUM_SMOOTHED
    sums = np.cumsum([0.0, *losses])
    places = np.arange(len(losses))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach, len(losses) - 1)
    means: np.ndarray = (sums[last + 1] - sums[first]) / (last + 1 - first)
    return means
