"""NF4 in the fused kernel's layout -> int8 with one scale an output channel, for long prompts.

A prompt of hundreds of tokens is worth unpacking a matrix for: int8 products are three times as
fast as the fused kernel's. Numba compiles the loop, as PyTorch has no table of 16 to look bytes up
in, and keeps the machine code for the next start.
Leaves out: the product (int8_rows.py) and when it is worth it (quantize.py).
Source: the layout is bitsandbytes' `_convert_weight_packed_for_cpu`.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from threading import Thread
from typing import Any, Final

import numpy as np
import torch

TOGETHER: Final = 32  # rows of the matrix that the layout interleaves
LARGEST: Final = 127
SIGNATURE: Final = "void(uint8[:,:,::1], float32[:,::1], float32[::1], int8[:,::1], int64, int64)"


def unpacked(
    codes: torch.Tensor, absmax: torch.Tensor, levels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix in int8, from what `Nf4Weight.stored` has where its layout is the fused kernel's.

    Args:
        codes: uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out).
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    Returns:
        int8, shape (out, in), and each row's scale, float32, shape (out,).
    """
    num_out, num_pairs = codes.shape
    largest = absmax.float()
    scales = largest.amax(0).clamp(min=1e-30) / LARGEST
    factors = (largest / scales).T.contiguous().numpy()
    numbers = torch.empty(num_out, 2 * num_pairs, dtype=torch.int8)
    blocks = codes.view(num_out // TOGETHER, num_pairs, TOGETHER).numpy()
    given = levels.numpy(), numbers.numpy()
    loop, num_threads = compiled(), torch.get_num_threads()
    ends = np.linspace(0, len(blocks), num_threads + 1).astype(int)
    with ThreadPoolExecutor(num_threads) as pool:
        list(pool.map(lambda part: loop(blocks, factors, *given, *part), pairwise(ends)))
    return numbers, scales


@cache
def compiled() -> Any:
    """The loop in machine code: some seconds' wait when it is made, less when it was kept."""
    import numba

    how: dict[str, Any] = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return numba.njit(SIGNATURE, cache=True, **how)(_unpack)
    except RuntimeError:  # nowhere to keep it
        return numba.njit(SIGNATURE, **how)(_unpack)


def compile_ahead() -> None:
    """Let the loop be compiled in the background, before the first long prompt waits for it."""
    Thread(target=compiled, daemon=True).start()


def _unpack(
    codes: np.ndarray,
    factors: np.ndarray,
    levels: np.ndarray,
    numbers: np.ndarray,
    first: int,
    end: int,
) -> None:
    """Fill some blocks of 32 rows in.

    A byte has a number of one of the first 16 rows in its low half and of the row 16 further in
    its high half; the bytes of a row lie in twos, of neighbours.
    """
    table = np.empty((32, 16), np.int8)
    for block in range(first, end):
        row = block * 32
        for group in range(codes.shape[1] // 32):
            for r in range(32):
                for level in range(16):
                    table[r, level] = np.int8(np.rint(levels[level] * factors[row + r, group]))
            for r in range(16):
                for pair in range(32):
                    column = group * 64 + 2 * pair
                    left = codes[block, group * 32 + pair, 2 * r]
                    right = codes[block, group * 32 + pair, 2 * r + 1]
                    numbers[row + r, column] = table[r, left & 15]
                    numbers[row + r, column + 1] = table[r, right & 15]
                    numbers[row + r + 16, column] = table[r + 16, left >> 4]
                    numbers[row + r + 16, column + 1] = table[r + 16, right >> 4]
