"""What the stages of a training said, beside the model that came of it: a JSON file and a plot.

Leaves out: what a stage writes (loop.py) and how curves are drawn (plot.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from core.training.plot import plot_training

NAME: Final = "training.json"
PLOT_NAME: Final = "training.png"


def write_record(
    checkpoints: Path, names: Sequence[str], out: Path, earlier: Path | None = None
) -> None:
    """Write what each stage said into the model's folder, and draw it.

    Args:
        checkpoints: where the stages left their records.
        names: every stage of the recipe, in order.
        out: the model's folder.
        earlier: the folder of the model that was gone on with; a stage that was not run again
            keeps what it said then, one that was is listed after it.
    """
    records: list[dict[str, Any]] = []
    if earlier is not None and (earlier / NAME).exists():
        records = json.loads((earlier / NAME).read_text("utf-8"))
    for name in names:
        path = checkpoints / f"{name}.json"
        if path.exists():
            records.append(json.loads(path.read_text("utf-8")))
    (out / NAME).write_text(json.dumps(records) + "\n", encoding="utf-8")
    plot_training(records, out / PLOT_NAME)
