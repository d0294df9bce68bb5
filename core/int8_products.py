"""Rows of activations times a matrix in few bits, in int8: one token's, or a long prompt's.

Each 64 activations are rounded to steps of their own, and the levels of NF4 to 1/127: whole numbers
are then multiplied four at a time, straight from the codes, and the sums are exact. Rounding adds
little to what the few bits cost anyway, and a token's product is the same whatever is beside it.
Leaves out: the loops (int8_loops.py), which matrices are multiplied so (nf4_rows_weight.py,
int8_weight.py, two_bit_weight.py), and in which order they lie (int8_layout.py).
"""

from __future__ import annotations

from ctypes import CFUNCTYPE, Array, addressof, c_int64, c_void_p
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F

from core import openmp
from core.instructions import can_run_loops
from core.int8_layout import BLOCK, TOGETHER
from core.once import once
from core.scratch import scratch

if TYPE_CHECKING:
    from core.int8_loops import Task

LARGEST: Final = 127
LEVEL_ZERO: Final = 128  # where a level of 0 lies among bytes without a sign
# So few rows are rounded before other threads would have begun.
ROUNDED_ALONE: Final = 8
Kind = Literal["nf4", "int8", "two_bits"]


class Rounded(NamedTuple):
    """Where rows lie that are rounded to int8, as addresses.

    Args:
        steps: int8, (num_rows, in).
        starts: int32, (num_rows, in / 64).
        sizes: float32, likewise.
    """

    steps: int
    starts: int
    sizes: int


class _Loops:
    """The machine code: some tenths of a second's wait when it is made."""

    def __init__(self) -> None:
        from core import int8_loops
        from core.vector_code import Compiled

        self.code, self.task = int8_loops, int8_loops.Task
        self._compiled = Compiled(int8_loops.module())
        self.multiply = {
            kind: self._compiled.address(f"multiply_{kind}") for kind in get_args(Kind)
        }
        self.round_rows = self._compiled.address("round_rows")
        self.round_few = CFUNCTYPE(None, c_void_p)(self.round_rows)


@once
def _loops() -> _Loops:
    assert can_run_loops(), "LLVM ends the process where it has no such instruction"
    return _Loops()


def compile_ahead() -> None:
    """Have the loops compiled, where `can_run_loops`: in a thread that has time for it."""
    if can_run_loops():
        _loops()


class Int8Product:
    """A matrix, as what multiplies rows by it: of bfloat16, (..., in), its product (..., out).

    Rows are on the CPU; they may be shorter, and are taken to have zeros behind them.

    Args:
        kind: of the matrix.
        matrix, scales: as the task has them; they stay where they are, and in use.
        table: the levels of NF4 as they are multiplied, uint8, shape (16,); others have none.
    """

    def __init__(
        self,
        kind: Kind,
        matrix: torch.Tensor,
        scales: torch.Tensor,
        table: torch.Tensor | None = None,
    ) -> None:
        self._kind, self._matrix, self._scales, self._table = kind, matrix, scales, table
        self.num_blocks, self.num_out = scales.shape[1], TOGETHER * len(scales)
        self.num_in = self.num_blocks * BLOCK

    @cached_property
    def _loops(self) -> _Loops:
        return _loops()  # when they are needed: a model loads sooner than they are compiled

    @property
    def loop(self) -> int:
        """The address of what multiplies rows that are rounded."""
        return self._loops.multiply[self._kind]

    @property
    def task(self) -> type[Task]:
        """The fields of a task."""
        return self._loops.task

    @property
    def round_rows(self) -> int:
        """The address of what rounds rows, before `loop`, with the same task."""
        return self._loops.round_rows

    def describe(
        self,
        task: Array[c_int64],
        num: int,
        rows: int,
        num_given: int,
        rounded: Rounded,
        product: int,
    ) -> None:
        """Write down what the loops are told.

        Args:
            task: as long as the loops' own.
            num: rows.
            rows: where they lie, each of `num_given` numbers, a multiple of 16.
            rounded: where they are rounded to.
            product: where the result goes, bfloat16, (num, num_out).
        """
        code, field = self._loops.code, self._loops.task
        task[field.NEXT_ITEM] = task[field.NEXT_ROUNDED] = 0
        task[field.NUM_ITEMS] = code.num_items(num, self.num_out)
        task[field.NUM_ROUNDED] = -(-num // code.ROUNDED_AT_ONCE)
        task[field.NUM_ROWS], task[field.NUM_IN] = num, self.num_in
        task[field.NUM_OUT], task[field.NUM_GIVEN] = self.num_out, num_given
        task[field.ROWS], task[field.PRODUCT] = rows, product
        task[field.STEPS], task[field.STARTS], task[field.SIZES] = rounded
        task[field.SCALES], task[field.MATRIX] = self._scales.data_ptr(), self._matrix.data_ptr()
        task[field.LEVELS] = 0 if self._table is None else self._table.data_ptr()

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """The product; the last numbers of x may lie apart."""
        num_given = x.shape[-1]
        if num_given % self._loops.code.LANES:  # up to where the loops fill rows up themselves
            num_given += -num_given % self._loops.code.LANES
            x = F.pad(x, (0, num_given - x.shape[-1]))
        rows = x.reshape(-1, num_given).contiguous()
        num = len(rows)
        product = torch.empty(num, self.num_out, dtype=torch.bfloat16)
        steps = scratch("steps", (num, self.num_in), torch.int8)
        shape = num, self.num_blocks
        starts, sizes = (
            scratch(name, shape, dtype)
            for name, dtype in (("starts", torch.int32), ("sizes", torch.float32))
        )
        task = (c_int64 * len(self._loops.task))()
        places = Rounded(*(each.data_ptr() for each in (steps, starts, sizes)))
        self.describe(task, num, rows.data_ptr(), num_given, places, product.data_ptr())
        if num <= ROUNDED_ALONE:
            self._loops.round_few(addressof(task))
        else:
            openmp.run(self._loops.round_rows, addressof(task))
        openmp.run(self.loop, addressof(task))
        return product.view(*x.shape[:-1], self.num_out)


def nf4_product(codes: torch.Tensor, largest: torch.Tensor, levels: torch.Tensor) -> Int8Product:
    """Of a matrix in NF4, where `can_run_loops`.

    Args:
        codes: laid out `in_fours` and `packed`, uint8, shape (out, in / 2).
        largest: each 64 numbers' largest magnitude, bfloat16, laid out `in_stretches`. Both stay
            where they are, and in use.
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    """
    table = (torch.round(levels * LARGEST) + LEVEL_ZERO).to(torch.uint8)
    return Int8Product("nf4", codes, largest, table)


def int8_product(levels: torch.Tensor, largest: torch.Tensor) -> Int8Product:
    """Of a matrix in int8, where `can_run_loops`.

    Args:
        levels: from -127 to 127, moved up by 128 and laid out by `in_fours`.
        largest: each 64 numbers' largest magnitude, bfloat16, laid out `in_stretches`. Both stay
            where they are, and in use.
    """
    return Int8Product("int8", levels, largest)


def two_bit_product(codes: torch.Tensor, largest: torch.Tensor) -> Int8Product:
    """Of a matrix in two bits, where `can_run_loops`.

    Args:
        codes: from 0 to 3, which stand for -3, -1, 1 and 3; laid out `in_fours` and `packed`.
        largest: what LARGEST would stand for in each 64 numbers, bfloat16, laid out `in_stretches`.
            Both stay where they are, and in use.
    """
    return Int8Product("two_bits", codes, largest)
