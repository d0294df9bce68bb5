"""How long a model takes to load, and how much memory: in a process of its own.

    .venv/bin/python -m tests.benchmarks.loading MODEL

prints one JSON object. Leaves out: what is measured with the model (turns.py).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from core.assistant import open_assistant
from core.config import ModelOptions
from core.stats import process_memory_bytes

ROOT: Final = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str]) -> int:
    """Load the model that is named, print what it took, and return the exit code."""
    begun = time.monotonic()
    assistant = open_assistant(argv[0], ModelOptions(device="cpu"))
    taken_s = time.monotonic() - begun
    assistant.close()
    print(json.dumps({"load_s": round(taken_s, 2), **memory_gb()}))
    return 0


def memory_gb() -> dict[str, float]:
    """This process' memory in 10**9 bytes: the most it had, what it has, and what of it is no
    file's pages, which the system may drop; 0.0 where the system does not tell.
    """
    fields = {"peak_gb": "VmHWM", "resident_gb": "VmRSS", "anonymous_gb": "RssAnon"}
    return {ours: round(process_memory_bytes(name) / 1e9, 2) for ours, name in fields.items()}


def loads(model: Path) -> dict[str, dict[str, float]]:
    """The first start and the next: after the first, packed weights may be in the cache.

    Args:
        model: a folder, of which the cache holds nothing yet.
    """
    return {name: _load(model) for name in ("first", "next")}


def _load(model: Path) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.loading", str(model)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
