"""What is made when it is first asked for, once, however many threads ask.

`functools.cache` alone would have a thread that asks meanwhile make it a second time. Leaves out:
what is made.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from threading import RLock
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def once(make: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
    """A function that makes something for each of its arguments, once; others wait for it."""
    lock, kept = RLock(), cache(make)

    @wraps(make)
    def get(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
        with lock:
            return kept(*args, **kwargs)  # type: ignore[arg-type]

    return get
