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

PROMPT_ID = 72  # which token is asked does not matter
NUM_CONTEXT = 2048
NUM_THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


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
        print(json.dumps(engine.reply_ms(**json.loads(line))), file=answers, flush=True)
    return 0


def generated_ms(model: Any, ids: Any, num_new: int, **media: Any) -> list[float]:
    """What each token of a greedy reply takes, where an engine has transformers' `generate`.

    Args:
        model: has `generate`.
        ids: the prompt's tokens, a tensor of shape (1, num_tokens).
        num_new: tokens of the reply.
        media: what else `generate` is given.
    """
    clock = _Clock()
    model.generate(
        input_ids=ids,
        attention_mask=ids.new_ones(ids.shape),
        do_sample=False,
        min_new_tokens=num_new,
        max_new_tokens=num_new,
        streamer=clock,
        **media,
    )
    return apart_ms(clock.moments)


def apart_ms(moments: Sequence[float]) -> list[float]:
    """Milliseconds from each moment, in seconds, to the next."""
    return [1e3 * (after - before) for before, after in pairwise(moments)]


class _Clock:
    """A streamer that keeps when the prompt and each token came."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def put(self, value: object) -> None:
        """Called with the prompt at first, and then with each token."""
        del value
        self.moments.append(time.perf_counter())

    def end(self) -> None:
        """Called after the last token."""
