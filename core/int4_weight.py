"""A matrix in 4 bits for CPUs without AVX512-BF16, where bitsandbytes unpacks NF4 for every token.

Groups of 32 neighbouring numbers of a row become 16 evenly spaced levels, from the group's lowest
to its highest, with a scale and a middle in bfloat16: 5 bits a number, and no further from the
matrix than NF4 in blocks of 64. Few rows are multiplied by PyTorch's own kernel, which takes
bfloat16 and adds up in float32; many, as in a prompt, by a plain product with levels unpacked piece
by piece.
Leaves out: when it is chosen (loader.py) and the other kinds of weights (quantize.py).
Source: PyTorch's `_weight_int4pack_mm_for_cpu`; its layout is checked when first needed.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import torch

from core.config import quick_dtype

GROUP: Final = 32
NUM_LEVELS: Final = 16
MIDDLE: Final = NUM_LEVELS // 2  # the level that stands for a group's middle
OUT_MULTIPLE: Final = 16
# From so many rows on, unpacking a matrix once is cheaper than the kernel's work for each row.
MAX_KERNEL_ROWS: Final = 24
ROWS_AT_ONCE: Final = 512  # of the matrix; their numbers fit a CPU's cache
# How many of the matrix's rows the kernel packs together: with AVX512, with AVX2.
PACKED_TOGETHER: Final = (64, 32)


class Int4Weight:
    """A matrix in 4 bits with a scale and a middle for every group of 32.

    Args:
        weight: the matrix, on the CPU, both sides fit for the kernel (`fits_int4`).
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        num_out, num_in = weight.shape
        self._dtype = dtype
        self._shape = (num_out, num_in)
        self._codes = torch.empty(num_out, num_in // 2, dtype=torch.uint8)
        # Of each group of each row: scale and middle, laid out as the kernel reads them.
        self._scales = torch.empty(num_in // GROUP, num_out, 2, dtype=torch.bfloat16)
        for start in range(0, num_out, ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            levels, scales = _quantized(weight[rows].float())
            self._codes[rows] = torch._convert_weight_to_int4pack_for_cpu(levels, 1)
            self._scales[:, rows] = scales

    @classmethod
    def restored(cls, codes: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> Int4Weight:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        weight._shape, weight._dtype = (codes.shape[0], 2 * codes.shape[1]), dtype
        weight._codes, weight._scales = codes, scales
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `quantize.restored`, and tensors."""
        return "int4", {"codes": self._codes, "scales": self._scales}

    @property
    def _packed_together(self) -> int:
        """How many rows lie together in the codes; 0 where only the kernel knows."""
        num = packed_together()
        return num if num and self._shape[0] % num == 0 else 0

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return self._shape

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        rows = x.reshape(-1, x.shape[-1])
        if len(rows) <= MAX_KERNEL_ROWS or not self._packed_together:
            product = torch._weight_int4pack_mm_for_cpu(
                rows.bfloat16().contiguous(), self._codes, GROUP, self._scales
            )
            return product.to(x.dtype).view(*x.shape[:-1], -1)
        dtype = quick_dtype(x.dtype, "cpu")
        rows, product = rows.to(dtype), x.new_empty(len(rows), self._shape[0])
        for start in range(0, self._shape[0], ROWS_AT_ONCE):
            part = self._unpacked(start, start + ROWS_AT_ONCE)
            product[:, start : start + ROWS_AT_ONCE] = rows @ part.to(dtype)
        return product.view(*x.shape[:-1], -1)

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers."""
        if not self._packed_together:
            identity = torch.eye(self._shape[1], dtype=torch.bfloat16)
            product: torch.Tensor = torch._weight_int4pack_mm_for_cpu(
                identity, self._codes, GROUP, self._scales
            )
            return product.T.to(self._dtype).contiguous()
        starts = range(0, self._shape[0], ROWS_AT_ONCE)
        parts = [self._unpacked(start, start + ROWS_AT_ONCE) for start in starts]
        return torch.cat(parts, 1).T.to(self._dtype).contiguous()

    def _unpacked(self, start: int, stop: int) -> torch.Tensor:
        """Some of the matrix's rows, transposed: float32, shape (in, rows)."""
        together, num_in = self._packed_together, self._shape[1]
        levels = unpacked_levels(self._codes[start:stop], together)
        scales = self._scales[:, start:stop].float()  # (groups, rows, 2)
        by_group = levels.view(num_in // GROUP, GROUP, -1)
        numbers = by_group.float().sub_(MIDDLE).mul_(scales[:, None, :, 0])
        return numbers.add_(scales[:, None, :, 1]).view(num_in, -1)


def fits_int4(weight: torch.Tensor) -> bool:
    """Whether the kernel can take a matrix: on the CPU, and of this shape."""
    num_out, num_in = weight.shape
    fits = num_out % OUT_MULTIPLE == 0 and num_in % GROUP == 0
    return fits and weight.device.type == "cpu"


def has_fast_int4_cpu() -> bool:
    """Whether PyTorch's int4 kernel is vectorised for this CPU."""
    return torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512", "AVX512_VNNI")


def unpacked_levels(codes: torch.Tensor, together: int) -> torch.Tensor:
    """The levels that the kernel's layout holds.

    In each block of `together` rows, all numbers of a column lie side by side, and a byte holds
    two that are half a block apart, the first in its low half.

    Args:
        codes: uint8, shape (rows, in / 2).
        together: how many rows are in a block; divides their number.
    Returns:
        uint8, transposed: shape (in, rows).
    """
    num_rows, num_pairs = codes.shape
    blocks = codes.view(num_rows // together, 2 * num_pairs, together // 2)
    both = torch.cat((blocks & 15, blocks >> 4), -1)
    return both.transpose(0, 1).reshape(2 * num_pairs, num_rows)


@cache
def packed_together() -> int:
    """How many rows this machine's kernel packs together; 0 if in a way that is not known here."""
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(NUM_LEVELS, (128, GROUP), generator=generator, dtype=torch.int32)
    codes = torch._convert_weight_to_int4pack_for_cpu(levels, 1)
    return next(
        (num for num in PACKED_TOGETHER if torch.equal(unpacked_levels(codes, num), levels.T)), 0
    )


def _quantized(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels, and scales and middles, of some rows (num, in) of numbers.

    Returns:
        int32, shape (num, in); bfloat16, shape (groups, num, 2).
    """
    groups = rows.view(len(rows), -1, GROUP)
    low, high = groups.aminmax(dim=-1)
    scales = ((high - low) / (NUM_LEVELS - 1)).clamp(min=1e-8).bfloat16()
    middles = (low + MIDDLE * scales.float()).bfloat16()
    # Rounding by the scale and the middle that are kept.
    levels = (groups - middles.float()[..., None]) / scales.float()[..., None] + MIDDLE
    levels = levels.round().clamp(0, NUM_LEVELS - 1).to(torch.int32)
    return levels.view(rows.shape), torch.stack((scales, middles), -1).transpose(0, 1)
