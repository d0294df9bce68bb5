"""Rows of activations times a matrix in NF4, in int8: one token's as well as a long prompt's.

Each 64 activations are rounded to steps of their own, and the 16 levels to 1/127: whole numbers are
then multiplied four at a time, straight from the codes, and the sums are exact. Rounding adds
little to what NF4 costs anyway, and a token's product is the same whatever is beside it.
Leaves out: the loops (nf4_rows_code.py), and which matrices are multiplied so (nf4_weight.py).
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import CFUNCTYPE, addressof, c_int64, c_void_p
from functools import cache
from typing import Final

import torch

from core import openmp
from core.scratch import scratch

NEEDED: Final = frozenset(("avx512f", "avx512bw", "avx512vnni"))
# So few rows are rounded before other threads would have begun.
ROUNDED_ALONE: Final = 8
Multiply = Callable[[torch.Tensor], torch.Tensor]


class _Loops:
    """The machine code: some tenths of a second's wait when it is made."""

    def __init__(self) -> None:
        from core import nf4_rows_code
        from core.vector_code import Compiled

        self.code, self.task = nf4_rows_code, nf4_rows_code.Task
        self._compiled = Compiled(nf4_rows_code.module())
        self.multiply = self._compiled.address("multiply")
        self.round_rows = self._compiled.address("round_rows")
        self.round_few = CFUNCTYPE(None, c_void_p)(self.round_rows)


@cache
def _loops() -> _Loops:
    return _Loops()


@cache
def can_multiply() -> bool:
    """Whether this machine has the instructions, and threads that can be asked to run them."""
    from core.vector_code import cpu_features

    return cpu_features() >= NEEDED and openmp.is_there()


def rows_multiply(codes: torch.Tensor, absmax: torch.Tensor, levels: torch.Tensor) -> Multiply:
    """What multiplies by a matrix, where `can_multiply`.

    Args:
        codes: as bitsandbytes' packing lays them out, uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out). Both stay where they are, and in use.
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    Returns:
        Of bfloat16 rows, shape (..., in), the product with the matrix's transpose, (..., out).
    """
    num_out, num_in = codes.shape[0], 2 * codes.shape[1]
    num_blocks = len(absmax)
    loops = _loops()
    code, field = loops.code, loops.task
    table = (torch.round(levels * code.LARGEST) + code.LEVEL_ZERO).to(torch.uint8)

    def multiply(x: torch.Tensor) -> torch.Tensor:
        """Of bfloat16 rows on the CPU, whose last numbers may lie apart."""
        rows = x.reshape(-1, num_in).contiguous()
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
        task[field.SIZES], task[field.LEVELS] = sizes.data_ptr(), table.data_ptr()
        task[field.CODES], task[field.SCALES] = codes.data_ptr(), absmax.data_ptr()
        if num <= ROUNDED_ALONE:
            loops.round_few(addressof(task))
        else:
            openmp.run(loops.round_rows, addressof(task))
        openmp.run(loops.multiply, addressof(task))
        return product.view(*x.shape[:-1], num_out)

    return multiply
