"""The threads that PyTorch computes with, for machine code that PyTorch does not know.

They wait for the next product by spinning: other threads beside them would have to share the cores
with threads that do nothing. Leaves out: what they run.
Source: `GOMP_parallel` of GCC's libgomp, which PyTorch brings along on Linux and keeps loaded.
"""

from __future__ import annotations

from ctypes import CDLL, c_uint, c_void_p, cast
from functools import cache
from typing import Any, Final

import torch

LIBRARY: Final = "libgomp.so.1"


@cache
def _library() -> Any:
    """The functions of the library, or None where PyTorch's threads are others."""
    if "OpenMP" not in torch.__config__.parallel_info():
        return None
    try:
        library = CDLL(LIBRARY)
        library.GOMP_parallel.argtypes = (c_void_p, c_void_p, c_uint, c_uint)
        library.GOMP_parallel.restype = None
    except (OSError, AttributeError):
        return None
    return library


def is_there() -> bool:
    """Whether code can run on PyTorch's threads."""
    return _library() is not None


def team_size() -> int:
    """The address of a function without arguments: how many threads run what `run` runs."""
    return cast(_library().omp_get_num_threads, c_void_p).value or 0


def run(function: int, task: int) -> None:
    """Have a function run on every thread, and wait for all.

    Args:
        function: the address of machine code that takes one pointer.
        task: that pointer.
    """
    _library().GOMP_parallel(function, task, torch.get_num_threads(), 0)
