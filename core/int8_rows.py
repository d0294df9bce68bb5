"""Many rows of numbers times an int8 matrix, in int8: one scale a token, found as it comes.

A token's numbers are rounded to 127 steps up to its largest one. Where that one towers over the
rest, as it does in some channels of large models, the steps are too coarse for the rest: then what
rounding left is multiplied too, as a second token. Rounding adds little to what NF4 costs anyway.
Every sum is of whole numbers and exact: a token's product is the same whatever is beside it.
Leaves out: where the matrix comes from (nf4_unpack.py) and when this is chosen (nf4_weight.py).
"""

from __future__ import annotations

from typing import Final

import torch

LARGEST: Final = 127
# Largest step, of the mean size of a token's numbers: rounding then moves them by at most some 4 %
# of that. NF4 moves a matrix by 9 % of its length.
LARGEST_STEP: Final = 0.125


def int8_product(rows: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Rows times the transpose of a matrix.

    Args:
        rows: shape (num, in).
        levels: int8, shape (out, in), on the CPU.
        scales: of each row of the matrix, shape (out,).
    Returns:
        Shape (num, out), in the rows' type.
    """
    given = rows.float()
    steps, sizes = rounded(given)
    coarse = (sizes > LARGEST_STEP * given.abs().mean(1)).nonzero()[:, 0]
    if len(coarse) == 0:
        return _times(steps, sizes, levels, scales).to(rows.dtype)
    left = given[coarse] - steps[coarse].float() * sizes[coarse, None]
    more, more_sizes = rounded(left)
    both = torch.cat((steps, more)), torch.cat((sizes, more_sizes))
    product = _times(*both, levels, scales)
    product[coarse] += product[len(rows) :]
    return product[: len(rows)].to(rows.dtype)


def rounded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each row in whole steps, int8, and the size of its steps, float32, shape (num,)."""
    sizes = rows.abs().amax(1).clamp(min=1e-30) / LARGEST
    return (rows / sizes[:, None]).round_().to(torch.int8), sizes


def _times(
    steps: torch.Tensor, sizes: torch.Tensor, levels: torch.Tensor, scales: torch.Tensor
) -> torch.Tensor:
    product = torch._int_mm(steps, levels.T).float()
    return product.mul_(sizes[:, None]).mul_(scales.float())
