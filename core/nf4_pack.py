"""A large matrix -> NF4 in the fused kernel's layout, in one pass over its numbers.

PyTorch takes a pass for each level and more to lay the codes out, and a large model has billions of
numbers. Numba compiles the loop, as PyTorch has no words for it.
Leaves out: the loop (nf4_pack_loop.py) and small matrices (nf4_weight.py).
Source: the layout is bitsandbytes' `_convert_weight_packed_for_cpu`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch

BLOCK: Final = 64  # numbers that share a scale
TOGETHER: Final = 32  # rows of the matrix that the layout interleaves
_ROWS_AT_ONCE: Final = 1024  # whose float32 copy is small beside the model


def packed(weight: torch.Tensor, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes and scales.

    Args:
        weight: on the CPU, of a shape (out, in) that the layout can hold.
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    Returns:
        uint8, shape (out, in / 2), and each block's largest magnitude, bfloat16, shape
        (in / 64, out).
    """
    num_out, num_in = weight.shape
    middles = between(levels).numpy()
    codes = torch.empty(num_out, num_in // 2, dtype=torch.uint8)
    largest = torch.empty(num_out, num_in // BLOCK)
    blocks = codes.numpy().view(np.uint16).reshape(-1, num_in // 2, TOGETHER // 2)
    loop, num_threads = compiled(), torch.get_num_threads()
    with ThreadPoolExecutor(num_threads) as pool:
        for start in range(0, num_out, _ROWS_AT_ONCE):
            numbers = weight[start : start + _ROWS_AT_ONCE].float().contiguous().numpy()
            mine = slice(start // TOGETHER, (start + len(numbers)) // TOGETHER)
            given = numbers, middles, blocks[mine], largest[start : start + len(numbers)].numpy()
            ends = np.linspace(0, len(numbers) // TOGETHER, num_threads + 1).astype(int)
            list(pool.map(lambda part, given=given: loop(*given, *part), pairwise(ends)))
    return codes, largest.T.bfloat16().contiguous()


def between(levels: torch.Tensor) -> torch.Tensor:
    """The middles of neighbouring levels, float32, one fewer: a number's code is how many of them
    it lies above.
    """
    return (levels[1:] + levels[:-1]) / 2


@cache
def compiled() -> Any:
    """The loop in machine code: some seconds' wait when it is made, less when it was kept."""
    from core.nf4_pack_loop import pack

    return pack
