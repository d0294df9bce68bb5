"""Rows of activations times a matrix in NF4 or int8, in int8: one token's, or a long prompt's.

Each 64 activations are rounded to steps of their own, and the 16 levels of NF4 to 1/127: whole
numbers are then multiplied four at a time, straight from the codes, and the sums are exact.
Rounding adds little to what NF4 costs anyway, and a token's product is the same whatever is beside
it. Leaves out: the loops (int8_loops.py), and which matrices are multiplied so (nf4_weight.py,
int8_weight.py).
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, addressof, c_int64, c_void_p
from functools import cache
from typing import Final

import torch
import torch.nn.functional as F

from core import openmp
from core.scratch import scratch

NEEDED: Final = frozenset(("avx512f", "avx512bw", "avx512vnni"))
LARGEST: Final = 127
LEVEL_ZERO: Final = 128  # where a level of 0 lies among bytes without a sign
# So few rows are rounded before other threads would have begun.
ROUNDED_ALONE: Final = 8
Multiply = Callable[[torch.Tensor], torch.Tensor]


class _Loops:
    """The machine code: some tenths of a second's wait when it is made."""

    def __init__(self) -> None:
        from core import int8_loops
        from core.vector_code import Compiled

        self.code, self.task = int8_loops, int8_loops.Task
        self._compiled = Compiled(int8_loops.module())
        self.multiply_nf4 = self._compiled.address("multiply_nf4")
        self.multiply_int8 = self._compiled.address("multiply_int8")
        self.round_rows = self._compiled.address("round_rows")
        self.round_few = CFUNCTYPE(None, c_void_p)(self.round_rows)


@cache
def _loops() -> _Loops:
    assert can_multiply(), "LLVM ends the process where it has no such instruction"
    return _Loops()


@cache
def can_multiply() -> bool:
    """Whether this machine has the instructions, and threads that can be asked to run them."""
    from core.vector_code import cpu_features

    return cpu_features() >= NEEDED and openmp.is_there()


def nf4_multiply(codes: torch.Tensor, absmax: torch.Tensor, levels: torch.Tensor) -> Multiply:
    """What multiplies by a matrix in NF4, where `can_multiply`.

    Args:
        codes: as bitsandbytes' packing lays them out, uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out). Both stay where they are, and in use.
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    Returns:
        Of bfloat16 rows, shape (..., in), the product with the matrix's transpose, (..., out).
    """
    loops = _loops()
    table = (torch.round(levels * LARGEST) + LEVEL_ZERO).to(torch.uint8)
    return _multiply(loops.multiply_nf4, codes, absmax, table)


def int8_multiply(levels: torch.Tensor, largest: torch.Tensor) -> Multiply:
    """What multiplies by a matrix in int8, where `can_multiply`.

    Args:
        levels: from -127 to 127, moved up by 128 and laid out by `in_fours`.
        largest: each 64 numbers' largest magnitude, bfloat16, shape (in / 64, out). Both stay where
            they are, and in use.
    Returns:
        As `nf4_multiply`; rows may be shorter, and are taken to have zeros behind them.
    """
    return _multiply(_loops().multiply_int8, levels, largest, None)


def in_fours(matrix: torch.Tensor) -> torch.Tensor:
    """Bytes in the order in which they are multiplied: four columns of 16 rows side by side.

    Args:
        matrix: shape (out, in), of multiples of 32 and 4.
    Returns:
        Of the same shape and type.
    """
    num_out, num_in = matrix.shape
    fours = matrix.view(num_out // 32, 2, 16, num_in // 4, 4)
    return fours.permute(0, 3, 1, 2, 4).reshape(num_out, num_in)


def out_of_fours(laid_out: torch.Tensor) -> torch.Tensor:
    """The matrix that `in_fours` laid out so."""
    num_out, num_in = laid_out.shape
    fours = laid_out.view(num_out // 32, num_in // 4, 2, 16, 4)
    return fours.permute(0, 2, 3, 1, 4).reshape(num_out, num_in)


def _multiply(
    loop: int, matrix: torch.Tensor, scales: torch.Tensor, table: torch.Tensor | None
) -> Multiply:
    """What multiplies by a matrix; arguments as the task has them."""
    num_blocks, num_out = scales.shape
    loops = _loops()
    code, field = loops.code, loops.task
    num_in = num_blocks * code.BLOCK

    def multiply(x: torch.Tensor) -> torch.Tensor:
        """Of bfloat16 rows on the CPU, whose last numbers may lie apart."""
        num_given = x.shape[-1]
        if num_given % code.LANES:  # zeros, up to where the loops fill rows up themselves
            num_given += -num_given % code.LANES
            x = F.pad(x, (0, num_given - x.shape[-1]))
        rows = x.reshape(-1, num_given).contiguous()
        num = len(rows)
        product = torch.empty(num, num_out, dtype=torch.bfloat16)
        steps = scratch("steps", (num, num_in), torch.int8)
        starts = scratch("starts", (num, num_blocks), torch.int32)
        sizes = scratch("sizes", (num, num_blocks), torch.float32)
        task = (c_int64 * len(field))()
        task[field.NUM_ITEMS] = code.num_items(num, num_out)
        task[field.NUM_ROUNDED] = -(-num // code.ROUNDED_AT_ONCE)
        task[field.NUM_ROWS], task[field.NUM_IN], task[field.NUM_OUT] = num, num_in, num_out
        task[field.ROWS], task[field.PRODUCT] = rows.data_ptr(), product.data_ptr()
        task[field.STEPS], task[field.STARTS] = steps.data_ptr(), starts.data_ptr()
        task[field.SIZES], task[field.SCALES] = sizes.data_ptr(), scales.data_ptr()
        task[field.MATRIX] = matrix.data_ptr()
        task[field.NUM_GIVEN] = num_given
        task[field.LEVELS] = 0 if table is None else table.data_ptr()
        if num <= ROUNDED_ALONE:
            loops.round_few(addressof(task))
        else:
            openmp.run(loops.round_rows, addressof(task))
        openmp.run(loop, addressof(task))
        return product.view(*x.shape[:-1], num_out)

    return multiply
