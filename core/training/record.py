"""What the stages of a training said, beside the model that came of it: a JSON file and a plot.

Leaves out: what a stage writes (loop.py) and how curves are drawn (plot.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.training.plot import plot_training

NAME: Final = "training.json"
PLOT_NAME: Final = "training.png"


def write_record(
    checkpoints: Path,
    names: Sequence[str],
    out: Path,
    earlier: Mapping[str, Path] | None = None,
) -> None:
    """Write what each stage said into the model's folder, and draw it.

    Args:
        checkpoints: where the stages left their records.
        names: the stages that were run, in order.
        out: the folder of the model, or of parts of one.
        earlier: the stages whose results the run began with, and the folder of the model or of
            parts, if it has a record, that each came from; one that was run again is listed twice.
    """
    earlier = earlier or {}
    records: list[dict[str, Any]] = []
    for folder in dict.fromkeys(earlier.values()):
        if (folder / NAME).exists():
            before = json.loads((folder / NAME).read_text("utf-8"))
            records += [record for record in before if earlier.get(record["name"]) == folder]
    for name in names:
        records.append(json.loads((checkpoints / f"{name}.json").read_text("utf-8")))
    (out / NAME).write_text(json.dumps(records) + "\n", encoding="utf-8")
    plot_training(records, out / PLOT_NAME)
