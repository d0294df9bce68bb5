"""The threads that PyTorch computes with, for machine code that PyTorch does not know.

They wait for the next product by spinning: other threads beside them would have to share the cores
with threads that do nothing. Leaves out: what they run.
Source: `GOMP_parallel` of GCC's libgomp, which PyTorch brings along on Linux and keeps loaded.
"""

from __future__ import annotations

from ctypes import CDLL, c_uint, c_void_p
from functools import cache
from typing import Any, Final

import torch

LIBRARY: Final = "libgomp.so.1"


@cache
def _parallel() -> Any:
    """What runs a function on all threads, or None where PyTorch's threads are others."""
    if "OpenMP" not in torch.__config__.parallel_info():
        return None
    try:
        parallel = CDLL(LIBRARY).GOMP_parallel
    except (OSError, AttributeError):
        return None
    parallel.argtypes = (c_void_p, c_void_p, c_uint, c_uint)
    parallel.restype = None
    return parallel


def is_there() -> bool:
    """Whether code can run on PyTorch's threads."""
    return _parallel() is not None


def run(function: int, task: int) -> None:
    """Have a function run on every thread, and wait for all.

    Args:
        function: the address of machine code that takes one pointer.
        task: that pointer.
    """
    _parallel()(function, task, torch.get_num_threads(), 0)
