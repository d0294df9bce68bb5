"""Loops that PyTorch has no words for, turned into machine code by Numba when they are imported.

Leaves out: the loop (nf4_pack_loop.py), and what needs an instruction of its own (vector_code.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., Any])

# An index of this type is not asked whether it counts from the end.
U: Final[Any] = np.uint64
HOW: Final[dict[str, Any]] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}


def in_machine_code(signature: str | None = None) -> Callable[[Function], Function]:
    """A decorator: machine code, kept for the next start where there is room for it.

    Args:
        signature: the types it is made for at once (default: when it is called).
    """

    def decorate(function: Function) -> Function:
        try:
            made: Any = numba.njit(signature, cache=True, **HOW)(function)
        except RuntimeError:  # nowhere to keep it
            made = numba.njit(signature, **HOW)(function)
        return cast(Function, made)

    return decorate
