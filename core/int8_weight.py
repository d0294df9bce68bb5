"""A matrix in int8 that is multiplied in int8: 64 numbers share a scale, of activations too.

Where our loops run and NF4 is multiplied likewise. Leaves out: the product itself
(int8_products.py), and int8 where activations stay as they are (quantize.py).
"""

from __future__ import annotations

from typing import Final, Self

import torch
import torch.nn.functional as F

from core.instructions import can_run_loops
from core.int8_layout import BLOCK, TOGETHER, in_fours, in_stretches, out_of_fours, out_of_stretches
from core.int8_products import (
    LARGEST,
    LEVEL_ZERO,
    int8_product,
)

_ROWS_AT_ONCE: Final = 1024  # whose float32 copy is small beside the model


class Int8RowsWeight:
    """A matrix in int8, multiplied by rows that are rounded to int8 as they come.

    Args:
        weight: the matrix, of any shape; zeros fill it up to what the loops take.
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        num_out, num_in = weight.shape
        more = -num_in % BLOCK, -num_out % TOGETHER
        levels = torch.empty(num_out + more[1], num_in + more[0], dtype=torch.uint8)
        largest = torch.empty(len(levels), levels.shape[1] // BLOCK, dtype=torch.bfloat16)
        for start in range(0, len(levels), _ROWS_AT_ONCE):
            rows = slice(start, min(start + _ROWS_AT_ONCE, len(levels)))
            given = weight[rows].float()
            given = F.pad(given, (0, more[0], 0, rows.stop - start - len(given)))
            levels[rows], largest[rows] = _rounded(given)
        sides = torch.tensor([num_out, num_in])
        self._hold(levels, in_stretches(largest), sides, dtype)

    def _hold(
        self, levels: torch.Tensor, largest: torch.Tensor, sides: torch.Tensor, dtype: torch.dtype
    ) -> None:
        self._levels, self._largest, self._sides, self._dtype = levels, largest, sides, dtype
        self._num_out, self._num_in = sides.tolist()
        self.in_int8 = int8_product(levels, largest)

    @classmethod
    def restored(
        cls,
        levels: torch.Tensor,
        largest: torch.Tensor,
        sides: torch.Tensor,
        dtype: torch.dtype,
    ) -> Self:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        weight._hold(levels, largest, sides, dtype)
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors."""
        tensors = {"levels": self._levels, "largest": self._largest, "sides": self._sides}
        return "int8 rows", tensors

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._num_out, self._num_in)

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        return self.in_int8(x.bfloat16())[..., : self._num_out].to(x.dtype)

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers."""
        levels = out_of_fours(self._levels).float() - LEVEL_ZERO
        scales = out_of_stretches(self._largest).float().repeat_interleave(BLOCK, 1) / LARGEST
        return (levels * scales)[: self._num_out, : self._num_in].to(self._dtype)


def is_int8_quick(dtype: torch.dtype) -> bool:
    """Whether this CPU multiplies int8 by int8 sooner than numbers of a type."""
    return dtype == torch.bfloat16 and can_run_loops()


def _rounded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels as they are laid out, and each block's largest magnitude in bfloat16.

    Args:
        rows: float32, of a shape that is laid out without a rest.
    """
    blocks = rows.view(len(rows), -1, BLOCK)
    largest = blocks.abs().amax(2).clamp(min=1e-30).bfloat16()
    # By the scale that is kept, so that no rounding error is added to it later.
    levels = torch.round(blocks * (LARGEST / largest.float())[..., None]).clamp(-LARGEST, LARGEST)
    return in_fours((levels + LEVEL_ZERO).to(torch.uint8).view(rows.shape)), largest
