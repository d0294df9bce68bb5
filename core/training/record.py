"""What the stages of a training said, beside the model that came of it: a JSON file and a plot.

Leaves out: what a stage writes (loop.py) and how curves are drawn (plot.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any, Final

from core.training.plot import plot_training

NAME: Final = "training.json"
PLOT_NAME: Final = "training.png"


def write_record(
    checkpoints: Path,
    names: Sequence[str],
    out: Path,
    earlier: Path | None = None,
    kept: Set[str] = frozenset(),
) -> None:
    """Write what each stage said into the model's folder, and draw it.

    Args:
        checkpoints: where the stages left their records.
        names: the stages that were run, in order.
        out: the folder of the model, or of parts of one.
        earlier: the folder that was begun with, if it has a record.
        kept: the stages whose results came from there; one that was run again is listed twice.
    """
    records: list[dict[str, Any]] = []
    if earlier is not None and (earlier / NAME).exists():
        before = json.loads((earlier / NAME).read_text("utf-8"))
        records = [record for record in before if record["name"] in kept]
    for name in names:
        records.append(json.loads((checkpoints / f"{name}.json").read_text("utf-8")))
    (out / NAME).write_text(json.dumps(records) + "\n", encoding="utf-8")
    plot_training(records, out / PLOT_NAME)
