"""Loops that PyTorch has no words for, turned into machine code by Numba when they are imported.

Leaves out: the loops (nf4_pack_loop.py, nf4_unpack_loop.py, one_token_loop.py).
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


def in_machine_code(
    signature: str | None = None, in_any_order: bool = False
) -> Callable[[Function], Function]:
    """A decorator: machine code, kept for the next start where there is room for it.

    Args:
        signature: the types it is made for at once (default: when it is called).
        in_any_order: sums may be taken in the order of vectors, so that they round otherwise.
    """
    how = HOW | ({"fastmath": {"reassoc", "contract", "nsz"}} if in_any_order else {})

    def decorate(function: Function) -> Function:
        try:
            made: Any = numba.njit(signature, cache=True, **how)(function)
        except RuntimeError:  # nowhere to keep it
            made = numba.njit(signature, **how)(function)
        return cast(Function, made)

    return decorate
