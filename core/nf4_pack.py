"""A large matrix -> NF4 as our loops read it, in one pass over its numbers.

PyTorch takes a pass for each level and more to lay the codes out, and a large model has billions of
numbers. Numba compiles the loop, as PyTorch has no words for it.
Leaves out: the loop (nf4_pack_loop.py) and small matrices (nf4_codes.py).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch

from core.int8_layout import BLOCK, TOGETHER, in_stretches
from core.nf4_codes import middles

_ROWS_AT_ONCE: Final = 1024  # whose float32 copy is small beside the model


def packed(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and scales.

    Args:
        weight: on the CPU, of a shape (out, in) of multiples of 32 and 64.
    Returns:
        uint8, shape (out, in / 2), and each block's largest magnitude, bfloat16, laid out
        `in_stretches`.
    """
    num_out, num_in = weight.shape
    between = middles().numpy()
    codes = torch.empty(num_out, num_in // 2, dtype=torch.uint8)
    largest = torch.empty(num_out, num_in // BLOCK)
    blocks = codes.numpy().view(np.uint32).reshape(-1, num_in // 4, TOGETHER // 2)
    loop, num_threads = compiled(), torch.get_num_threads()
    with ThreadPoolExecutor(num_threads) as pool:
        for start in range(0, num_out, _ROWS_AT_ONCE):
            numbers = weight[start : start + _ROWS_AT_ONCE].float().contiguous().numpy()
            mine = slice(start // TOGETHER, (start + len(numbers)) // TOGETHER)
            given = numbers, between, blocks[mine], largest[start : start + len(numbers)].numpy()
            ends = np.linspace(0, len(numbers) // TOGETHER, num_threads + 1).astype(int)
            list(pool.map(lambda part, given=given: loop(*given, *part), pairwise(ends)))
    return codes, in_stretches(largest.bfloat16())


@cache
def compiled() -> Any:
    """The loop in machine code: some seconds' wait when it is made, less when it was kept."""
    from core.nf4_pack_loop import pack

    return pack
