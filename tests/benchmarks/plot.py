"""Ours beside other engines, as a picture of what `launch.py bench --full --peers --json` wrote.

    .venv/bin/python -m tests.benchmarks.plot FIGURES.json PICTURE.png

Needs matplotlib, which the tests and the recipe install.
Leaves out: measuring (peers/compare.py) and the figures as a table (tables.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

WIDTH_IN: Final = 9.0
ROW_IN: Final = 0.26
DOTS_PER_INCH: Final = 120
TICKS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)
SHOWN: Final = (0.5, 2.0)  # ratios that the picture reaches in any case


def main(argv: Sequence[str]) -> int:
    """Draw, and return the exit code."""
    parser = argparse.ArgumentParser(description="Draw how fast other engines are beside ours.")
    parser.add_argument("figures", type=Path, help="what launch.py bench --json wrote")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    options = parser.parse_args(argv)
    record = json.loads(options.figures.read_text(encoding="utf-8"))
    if not any("measures" in peer for peer in record.get("peers", ())):
        parser.error(f"{options.figures} has no other engines: measure with --full --peers.")
    plot_peers(record["peers"], options.picture)
    print(f"Wrote {options.picture}.")
    return 0


def plot_peers(peers: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write a PNG: a bar for each measure of each engine, as long as ours is faster.

    Args:
        peers: from `compare.compare`; those with an error are left out.
        path: of the picture.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measured = [peer for peer in peers if "measures" in peer]
    num_rows = sum(len(peer["measures"]) + 1 for peer in measured)
    figure, axes = pyplot.subplots(figsize=(WIDTH_IN, ROW_IN * num_rows + 1), layout="constrained")
    places: list[int] = []
    names: list[str] = []
    row = 0
    for number, peer in enumerate(measured):
        ratios = [measure["ratio"] for measure in peer["measures"].values()]
        rows = list(range(row, row + len(ratios)))
        bars = axes.barh(rows, [ratio - 1 for ratio in ratios], left=1, color=f"C{number}")
        axes.bar_label(bars, [f"{ratio:.2f}" for ratio in ratios], padding=3, fontsize=8)
        places += rows
        names += [f"{peer['name']}: {name}" for name in peer["measures"]]
        row += len(ratios) + 1
    axes.set_yticks(places, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    ratios = [each["ratio"] for peer in measured for each in peer["measures"].values()]
    every = [*SHOWN, *ratios]
    axes.set_xlim(min(every) / 1.2, max(every) * 1.2)  # room for the numbers
    ticks = [tick for tick in TICKS if min(every) <= tick <= max(every)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_title("Triad is so many times as fast (right of 1: faster)", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
