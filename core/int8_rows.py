"""Many rows of numbers times an int8 matrix, in int8: one scale a token, found as it comes.

A token's numbers are rounded to 127 steps up to its largest one. Where that one towers over the
rest, as it does in some channels of large models, the steps are too coarse for the rest: then what
rounding left is multiplied too, as a second token. Rounding adds little to what NF4 costs anyway.
Every sum is of whole numbers and exact: a token's product is the same whatever is beside it.
Leaves out: where the matrix comes from (quantize.py) and when this is chosen (sources.py).
"""

from __future__ import annotations

from typing import Final

import torch

from core.scratch import scratch

LARGEST: Final = 127
# Largest step, of the mean size of a token's numbers: rounding then moves them by at most some 7 %
# of that. NF4 moves a matrix by 9 % of its length. What comes out of a gate is often as uneven.
LARGEST_STEP: Final = 0.25
# What is between rounding and the product's type takes ten times an int8 row: it stays in a cache.
ROWS_AT_ONCE: Final = 512


def int8_product(rows: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Rows times the transpose of a matrix.

    Args:
        rows: shape (num, in).
        levels: int8, shape (out, in), on the CPU.
        scales: of each row of the matrix, shape (out,).
    Returns:
        Shape (num, out), in the rows' type.
    """
    if len(rows) <= ROWS_AT_ONCE:
        return _at_once(rows, levels, scales)
    product = torch.empty(len(rows), len(levels), dtype=rows.dtype)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        product[part] = _at_once(rows[part], levels, scales)
    return product


def _at_once(rows: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    given = scratch("given", tuple(rows.shape), torch.float32).copy_(rows)
    steps, sizes, mean_sizes = rounded(given)
    coarse = (sizes > LARGEST_STEP * mean_sizes).nonzero()[:, 0]
    if len(coarse) == 0:
        return _times(steps, sizes, levels, scales).to(rows.dtype, copy=True)
    left = given[coarse] - steps[coarse].float() * sizes[coarse, None]
    more, more_sizes, _ = rounded(left)
    both = torch.cat((steps, more)), torch.cat((sizes, more_sizes))
    product = _times(*both, levels, scales)
    product[coarse] += product[len(rows) :]
    return product[: len(rows)].to(rows.dtype, copy=True)


def rounded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows in whole steps.

    Args:
        rows: float32, shape (num, in).
    Returns:
        int8, shape (num, in); the size of each row's steps and of its numbers in the mean, float32,
        shape (num,).
    """
    between = scratch("rounding", tuple(rows.shape), torch.float32)
    magnitudes = torch.abs(rows, out=between)
    sizes = magnitudes.amax(1).clamp(min=1e-30) / LARGEST
    mean_sizes = magnitudes.mean(1)
    steps = torch.div(rows, sizes[:, None], out=between).round_().to(torch.int8)
    return steps, sizes, mean_sizes


def _times(
    steps: torch.Tensor, sizes: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor
) -> torch.Tensor:
    """The product in float32, in memory that the next one takes."""
    shape = len(steps), len(levels)
    whole = torch._int_mm(steps, levels.T, out=scratch("whole", shape, torch.int32))
    product = scratch("product", shape, torch.float32)
    return torch.mul(whole, sizes[:, None], out=product).mul_(scales.float())
