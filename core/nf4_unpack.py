"""NF4 in the fused kernel's layout -> int8 with one scale an output channel, for long prompts.

A prompt of hundreds of tokens is worth unpacking a matrix for: int8 products are three times as
fast as the fused kernel's. Numba compiles the loop, as PyTorch has no table of 16 to look bytes up
in, and keeps the machine code for the next start.
Leaves out: the loop (nf4_unpack_loop.py), the product (int8_rows.py) and when it is worth it
(nf4_weight.py).
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

from core.scratch import scratch

TOGETHER: Final = 32  # rows of the matrix that the layout interleaves
LARGEST: Final = 127


def unpacked(
    codes: torch.Tensor, absmax: torch.Tensor, levels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """A matrix in int8, from what `Nf4Weight.stored` has where its layout is the fused kernel's.

    Args:
        codes: uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out).
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    Returns:
        int8, shape (out, in), good until this thread unpacks another matrix; and each row's scale,
        float32, shape (out,).
    """
    num_out, num_pairs = codes.shape
    largest = absmax.float()
    scales = largest.amax(0).clamp(min=1e-30) / LARGEST
    factors = (largest / scales).numpy()
    numbers = scratch("unpacked", (num_out, 2 * num_pairs), torch.int8)
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
    from core.nf4_unpack_loop import unpack

    return unpack


def compile_ahead() -> None:
    """Let the loop be compiled in the background, before the first long prompt waits for it."""
    Thread(target=compiled, daemon=True).start()
