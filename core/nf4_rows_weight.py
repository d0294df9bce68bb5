"""A matrix in NF4 that is multiplied in int8, by rows that are rounded to int8 as they come.

The codes are laid out as our loops read them. Leaves out: the product (int8_products.py), and NF4
where our loops do not run (nf4_weight.py).
"""

from __future__ import annotations

from typing import Final, Self

import torch

from core import nf4_pack
from core.int8_layout import (
    BLOCK,
    in_fours,
    in_stretches,
    out_of_fours,
    out_of_stretches,
    packed,
    unpacked,
)
from core.int8_products import nf4_product
from core.nf4_codes import levels, nf4_codes

# Packing in machine code pays for its import in a matrix of so many numbers.
PACK_LEAST_NUMBERS: Final = 2**21


class Nf4RowsWeight:
    """A matrix in NF4, multiplied where `can_run_loops`.

    Args:
        weight: the matrix, on the CPU, of a shape that `fits_nf4`.
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        weight = weight.bfloat16()
        if weight.numel() < PACK_LEAST_NUMBERS:
            codes, largest = nf4_codes(weight)
            self._hold(packed(in_fours(codes), 4), in_stretches(largest.bfloat16()), dtype)
        else:
            self._hold(*nf4_pack.packed(weight), dtype)

    def _hold(self, codes: torch.Tensor, largest: torch.Tensor, dtype: torch.dtype) -> None:
        self._codes, self._largest, self._dtype = codes, largest, dtype
        self.in_int8 = nf4_product(codes, largest, levels())

    @classmethod
    def restored(cls, codes: torch.Tensor, largest: torch.Tensor, dtype: torch.dtype) -> Self:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        weight._hold(codes, largest, dtype)
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors."""
        return "nf4 rows", {"codes": self._codes, "largest": self._largest}

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._codes.shape[0], 2 * self._codes.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        return self.in_int8(x.bfloat16()).to(x.dtype)

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers."""
        numbers = levels()[out_of_fours(unpacked(self._codes, 4)).long()]
        scales = out_of_stretches(self._largest).float().repeat_interleave(BLOCK, 1)
        return (numbers * scales).to(self._dtype)
