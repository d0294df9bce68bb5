"""One picture of a whole training run: how each stage's loss fell, and what it could do then.

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


def plot_training(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the run as one PNG of small panels, one a stage, in the recipe's order.

    Args:
        records: as loop.py writes them: "name", "num_steps", "num_planned", "figures" and "loss",
            a list of (step, loss).
        path: the PNG; its folder is there.
    Raises:
        ValueError: there is no record.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    if not records:
        raise ValueError("There is nothing to plot: no stage has a record.")
    order = list(STAGES)
    stages = sorted(
        records, key=lambda it: order.index(it["name"]) if it["name"] in order else len(order)
    )
    num_columns = min(MAX_COLUMNS, len(stages))
    num_rows = -(-len(stages) // num_columns)
    num_lines = max(_caption(record).count("\n") + 1 for record in stages)
    height_px = num_rows * (ROW_PX + num_lines * LINE_PX)
    figure = Figure((WIDTH_PX / DPI, height_px / DPI), DPI, layout="constrained")
    panels = figure.subplots(num_rows, num_columns, squeeze=False).flatten()
    for panel, record in zip(panels, stages, strict=False):
        _draw_stage(panel, record)
        panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for panel in panels[len(stages) :]:
        panel.set_visible(False)
    for row in range(num_rows):
        panels[row * num_columns].set_ylabel("loss", color=GREY)
    figure.supxlabel("optimiser step", fontsize=10, color=GREY)
    figure.savefig(path, format="png")


def _draw_stage(panel: Axes, record: Mapping[str, Any]) -> None:
    points = [(step, loss) for step, loss in record["loss"] if math.isfinite(loss)]
    losses = [loss for _, loss in points]
    panel.set_title(str(record["name"]).replace("_", " "), fontsize=11, fontweight="bold")
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8, colors=GREY)
    panel.grid(axis="y", color="#e5e5e5", linewidth=0.7)
    panel.set_axisbelow(True)
    if points:
        steps = [step for step, _ in points]
        panel.plot(steps, losses, color=RAW, linewidth=0.8)
        panel.plot(steps, smoothed(losses), color=SMOOTH, linewidth=1.8)
        if wants_log_scale(losses):
            _set_log_scale(panel)
        else:
            panel.set_ylim(bottom=0)
    panel.set_xlabel(_caption(record), fontsize=8, loc="left")
    panel.xaxis.label.set_horizontalalignment("left")


def _set_log_scale(panel: Axes) -> None:
    """A log scale with plain numbers at 1, 2 and 5."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


def _caption(record: Mapping[str, Any]) -> str:
    """The panel's words in lines that are no wider than it."""
    lines = [""]
    for words in _told(record):
        longer = f"{lines[-1]} · {words}" if lines[-1] else words
        if len(longer) <= LINE_CHARACTERS or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(words)
    return "\n".join(lines)


def _told(record: Mapping[str, Any]) -> list[str]:
    """The panel's words: validation figures, then how many steps were taken."""
    taken, planned = record["num_steps"], record["num_planned"]
    steps = f"{taken} steps" if taken == planned else f"{taken} of {planned} steps"
    return [*starmap(_figure, record["figures"].items()), steps]


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
