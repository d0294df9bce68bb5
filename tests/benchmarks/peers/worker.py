"""What the peers' scripts share: a process that measures what it is asked for, a line at a time.

The first line it prints says how long loading took; then each line of JSON that it reads is
answered by one. Runs in a peer's environment: nothing is imported but Python's own.
Leaves out: the engines (with_*.py) and who asks (process.py).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

Command = dict[str, Any]


class Engine(Protocol):
    """One engine with its model loaded."""

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        """What each token of a reply takes, in milliseconds; the first one counts the prompt.

        Args:
            num_prompt: tokens of text that are asked.
            num_new: tokens of the reply.
            case: "text", or what is shown or said with it: "speech", "picture".
        """


def serve(load: Callable[[Path], Engine], packages: Sequence[str]) -> int:
    """Load the model of the folder that the command line names, and answer until input ends.

    Args:
        load: gives the engine on a folder.
        packages: whose versions the record keeps.
    Returns:
        The exit code.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever libraries print is not an answer
    begun = time.perf_counter()
    engine = load(Path(sys.argv[1]))
    loaded = {
        "load_s": round(time.perf_counter() - begun, 1),
        "versions": {package: version(package) for package in packages},
    }
    print(json.dumps(loaded), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_answer(engine, json.loads(line))), file=answers, flush=True)
    return 0


def _answer(engine: Engine, command: Command) -> dict[str, Any]:
    if command["measure"] == "memory":
        return {"peak_gb": _peak_gb()}
    return {"ms": engine.reply_ms(command["num_prompt"], command["num_new"], command["case"])}


def _peak_gb() -> float:
    """The most memory that this process had, in 10**9 bytes; 0.0 where nobody tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith("VmHWM"))


class Clock:
    """A streamer of transformers' `generate` that keeps when each token came."""

    def __init__(self) -> None:
        self._moments: list[float] = []

    def put(self, value: object) -> None:
        """Called with the prompt at first, and then with each token."""
        del value
        self._moments.append(time.perf_counter())

    def end(self) -> None:
        """Called after the last token."""

    def token_ms(self) -> list[float]:
        """What each token took, the first one from the prompt on."""
        return [1e3 * (after - before) for before, after in pairwise(self._moments)]
