"""A matrix in two bits: too coarse to compute with, good enough to find the likeliest tokens.

Four levels, evenly apart, serve numbers that are distributed evenly around zero; but some columns
of a real output matrix, and some numbers of a hidden state, tower over all others, and would be all
that is left. So both are rotated alike first, which changes no product: random signs, then a
Hadamard matrix, mix each number into a thousand, and what comes out looks normally distributed
whatever went in. How far the levels are apart is what loses least of a normal distribution.
Leaves out: the product (int8_products.py), and what two bits are good for (head.py).
Sources: rotations against outliers, QuIP# (arXiv 2402.04396) and QuaRot (arXiv 2404.00456); the
levels, Max, "Quantizing for minimum distortion" (IRE Transactions 1960), his second table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, Self

import torch

from core.int8_layout import (
    BLOCK,
    TOGETHER,
    in_fours,
    in_stretches,
    out_of_fours,
    out_of_stretches,
    packed,
    unpacked,
)
from core.int8_products import LARGEST, two_bit_product

APART: Final = 0.9957  # are the levels of a normal distribution with a deviation of 1
LEVELS: Final = (-3, -1, 1, 3)  # by code, in halves of it
_ROWS_AT_ONCE: Final = 1024  # whose float32 copy is small beside the model


class TwoBitWeight:
    """A matrix in two bits with a scale for each 64 numbers, multiplied where `can_run_loops`.

    Args:
        weight: the matrix, of a shape that `fits_two_bits`.
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        num_out, num_in = weight.shape
        generator = torch.Generator().manual_seed(num_in)
        signs = torch.randint(2, (num_in,), generator=generator, dtype=torch.int8) * 2 - 1
        codes = torch.empty(num_out, num_in // 4, dtype=torch.uint8)
        largest = torch.empty(num_out, num_in // BLOCK, dtype=torch.bfloat16)
        for start in range(0, num_out, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            codes[rows], largest[rows] = _coded(rotated(weight[rows], signs))
        self._hold(codes, in_stretches(largest), signs, dtype)

    def _hold(
        self, codes: torch.Tensor, largest: torch.Tensor, signs: torch.Tensor, dtype: torch.dtype
    ) -> None:
        self._codes, self._largest, self._signs, self._dtype = codes, largest, signs, dtype
        self._product = two_bit_product(codes, largest)

    @classmethod
    def restored(
        cls, codes: torch.Tensor, largest: torch.Tensor, signs: torch.Tensor, dtype: torch.dtype
    ) -> Self:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        weight._hold(codes, largest, signs, dtype)
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors."""
        tensors = {"codes": self._codes, "largest": self._largest, "signs": self._signs}
        return "two bits", tensors

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._codes.shape[0], 4 * self._codes.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        return self._product(rotated(x, self._signs).bfloat16()).to(x.dtype)

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers, rotated back."""
        levels = torch.tensor(LEVELS)[out_of_fours(unpacked(self._codes, 2)).long()]
        scales = out_of_stretches(self._largest).float().repeat_interleave(BLOCK, 1)
        numbers = levels / LARGEST * scales
        return rotated_back(numbers, self._signs).to(self._dtype)


def fits_two_bits(shape: Sequence[int]) -> bool:
    """Whether a matrix of this shape (out, in) can be held so."""
    num_out, num_in = shape
    return num_out % TOGETHER == 0 and num_in % BLOCK == 0


def rotated(rows: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """Rows whose products with others that are rotated alike are what they were.

    Args:
        rows: (..., in).
        signs: of `in` numbers, -1 or 1.
    Returns:
        float32, (..., in).
    """
    return _mixed(rows.float() * signs)


def rotated_back(rows: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """The rows, in float32, that `rotated` made these of."""
    return _mixed(rows.float()) * signs


def _mixed(rows: torch.Tensor) -> torch.Tensor:
    """Each stretch of a row, as long as a power of two can be, times a Hadamard matrix.

    The matrix is symmetric and its own inverse; it is the product of two small ones.
    """
    num_in = rows.shape[-1]
    length = num_in & -num_in
    left = _hadamard(1 << (length.bit_length() // 2))
    right = _hadamard(length // len(left))
    return (left @ rows.view(-1, len(left), len(right)) @ right).view(rows.shape)


@cache
def _hadamard(size: int) -> torch.Tensor:
    """Sylvester's matrix, of a power of two, with rows of length 1."""
    matrix = torch.ones(1, 1)
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]]) / 2**0.5
    while len(matrix) < size:
        matrix = torch.kron(matrix, two)
    return matrix


def _coded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes as they are laid out, and what LARGEST would stand for in each block, in bfloat16.

    Args:
        rows: rotated, float32, of a shape that `fits_two_bits`.
    """
    blocks = rows.view(len(rows), -1, BLOCK)
    deviation = torch.linalg.vector_norm(blocks, dim=2, keepdim=True).div_(BLOCK**0.5)
    deviation.clamp_(min=1e-30)
    numbers = blocks.mul(1 / (APART * deviation)).add_(2).clamp_(0, 3)
    codes = numbers.to(torch.uint8)  # rounded down
    largest = LARGEST * APART / 2 * deviation[..., 0]
    return packed(in_fours(codes.view(rows.shape)), 2), largest.bfloat16()
