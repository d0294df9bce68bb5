"""How long a model takes to load, and how much memory: in a process of its own.

    .venv/bin/python -m tests.benchmarks.loading MODEL

prints one JSON object. Leaves out: what is measured with the model (turns.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str]) -> int:
    """Load the model that is named, print what it took, and return the exit code."""
    from core.assistant import open_assistant
    from core.config import ModelOptions

    begun = time.monotonic()
    assistant = open_assistant(argv[0] or None, ModelOptions(device="cpu"))
    taken_s = time.monotonic() - begun
    assistant.close()
    print(json.dumps({"load_s": round(taken_s, 2), **memory_gb()}))
    return 0


def memory_gb() -> dict[str, float]:
    """This process' memory in 10**9 bytes: the most it had, what it has, and what of it is no
    file's pages, which the system may drop; empty where the system does not tell.
    """
    names = {"VmHWM": "peak_gb", "VmRSS": "resident_gb", "RssAnon": "anonymous_gb"}
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return {
        ours: round(int(fields[theirs].split()[0]) * 1024 / 1e9, 2)
        for theirs, ours in names.items()
        if theirs in fields
    }


def loads(model: str | None, cache: Path) -> dict[str, dict[str, float]]:
    """The first start and the next: after the first, packed weights may be in the cache.

    Args:
        model: a folder; None is the bundled model.
        cache: a folder for packed weights, which holds none of this model yet.
    """
    return {name: _load(model, cache) for name in ("first", "next")}


def _load(model: str | None, cache: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.loading", model or ""],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
