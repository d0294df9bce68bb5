"""The ablation as a picture: which adapter answers what, and what fine-tuning does to text.

Leaves out: the figures themselves (ablation.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

WIDTH_IN: Final = 10.0
HEIGHT_IN: Final = 4.2  # of each of its two parts
DOTS_PER_INCH: Final = 120


def plot_ablation(record: Mapping[str, Any], path: Path) -> None:
    """Write a PNG of what `ablation.main` found.

    Args:
        record: "routes" by skill and adapter, "right" by skill, maybe "fine_tuning".
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    has_tuning = "fine_tuning" in record
    heights = [HEIGHT_IN] * (2 if has_tuning else 1)
    figure, axes = pyplot.subplots(
        len(heights), figsize=(WIDTH_IN, sum(heights)), squeeze=False, layout="constrained"
    )
    _routes(axes[0][0], record)
    if has_tuning:
        _fine_tuning(axes[1][0], record["fine_tuning"])
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)


def _routes(axes: Any, record: Mapping[str, Any]) -> None:
    names = list(record["routes"])
    labels = list(record["routes"][names[0]])
    values = [[100 * record["routes"][name][label] for label in labels] for name in names]
    axes.imshow(values, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for row, name in enumerate(names):
        for column, label in enumerate(labels):
            value = values[row][column]
            is_right = label == record["right"][name]
            axes.text(
                column,
                row,
                f"{value:.0f}",
                ha="center",
                va="center",
                color="black" if value > 55 else "white",
                fontweight="bold" if is_right else "normal",
            )
            if is_right:
                box = {"fill": False, "edgecolor": "white", "linewidth": 2.5}
                axes.add_patch(_rectangle(column, row, box))
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(names)), names)
    axes.set_title("Right replies in % by adapter (framed: the router's choice)", fontsize=10)


def _rectangle(column: int, row: int, style: Mapping[str, Any]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **style)


def _fine_tuning(axes: Any, table: Mapping[str, Mapping[str, float]]) -> None:
    labels = list(table)
    names = list(table[labels[0]])
    width = 0.8 / len(labels)
    for index, label in enumerate(labels):
        aside = (index - (len(labels) - 1) / 2) * width
        places = [position + aside for position in range(len(names))]
        bars = axes.bar(places, [100 * table[label][name] for name in names], width, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 108)
    title = "Right replies in % after learning to hear: a LoRA, or the whole base"
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8, loc="upper right", frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
