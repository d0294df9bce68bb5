"""Whether this machine can run our loops: its CPU has the instructions, and there are threads.

AVX2 is enough, which most PCs of the last ten years have; where there is more, it is used
(vector_products.py). Leaves out: the loops.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from core import openmp

NEEDED: Final = frozenset(("avx2", "fma"))


@cache
def can_run_loops() -> bool:
    """Whether machine code of ours runs here, and PyTorch's threads can be asked to run it."""
    from core.vector_code import cpu_features  # LLVM, which takes a while to import

    return cpu_features() >= NEEDED and openmp.is_there()
