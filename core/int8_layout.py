"""In which order matrices lie that are multiplied in int8, and in fewer bits.

A vector has four columns of 16 rows side by side, a byte each. In four bits a byte has a number of
the first 16 of 32 rows, and the same place's of the others; in two bits of both, and of both four
columns further on. Leaves out: the products (int8_products.py).
"""

from __future__ import annotations

from typing import Final

import torch

BLOCK: Final = 64  # neighbours in a row that share a scale
TOGETHER: Final = 32  # rows that are laid out together
_VECTOR: Final = 64  # bytes


def in_fours(matrix: torch.Tensor) -> torch.Tensor:
    """Bytes in the order in which they are multiplied: four columns of 16 rows side by side.

    Args:
        matrix: shape (out, in), of multiples of 32 and 4.
    Returns:
        Of the same shape and type.
    """
    num_out, num_in = matrix.shape
    fours = matrix.view(num_out // TOGETHER, 2, TOGETHER // 2, num_in // 4, 4)
    return fours.permute(0, 3, 1, 2, 4).reshape(num_out, num_in)


def out_of_fours(laid_out: torch.Tensor) -> torch.Tensor:
    """The matrix that `in_fours` laid out so."""
    num_out, num_in = laid_out.shape
    fours = laid_out.view(num_out // TOGETHER, num_in // 4, 2, TOGETHER // 2, 4)
    return fours.permute(0, 2, 3, 1, 4).reshape(num_out, num_in)


def in_stretches(scales: torch.Tensor) -> torch.Tensor:
    """Scales in the order in which they are read, all of 32 rows side by side.

    Args:
        scales: of each row's blocks, shape (out, in / 64), `out` a multiple of 32.
    Returns:
        Of shape (out / 32, in / 64, 32).
    """
    num_out, num_blocks = scales.shape
    return scales.view(num_out // TOGETHER, TOGETHER, num_blocks).transpose(1, 2).contiguous()


def out_of_stretches(laid_out: torch.Tensor) -> torch.Tensor:
    """The scales that `in_stretches` laid out so."""
    return laid_out.transpose(1, 2).reshape(-1, laid_out.shape[1])


def packed(laid_out: torch.Tensor, num_bits: int) -> torch.Tensor:
    """Codes of few bits that are laid out `in_fours`, several a byte.

    Args:
        laid_out: uint8, shape (out, in), of multiples of 32 and 8.
        num_bits: 2 or 4.
    Returns:
        uint8, shape (out, in * num_bits / 8).
    """
    num_out, num_in = laid_out.shape
    parts = laid_out.view(-1, 8 // num_bits, _VECTOR)
    bytes_ = torch.zeros_like(parts[:, 0])
    for number in range(parts.shape[1]):
        bytes_ |= parts[:, number] << number * num_bits
    return bytes_.view(num_out, num_in * num_bits // 8)


def unpacked(bytes_: torch.Tensor, num_bits: int) -> torch.Tensor:
    """The codes that `packed` put together."""
    num_out, num_bytes = bytes_.shape
    shifts = torch.arange(0, 8, num_bits, dtype=torch.uint8)[:, None]
    codes = bytes_.view(-1, 1, _VECTOR) >> shifts & (1 << num_bits) - 1
    return codes.view(num_out, num_bytes * 8 // num_bits)
