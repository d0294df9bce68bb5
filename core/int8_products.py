"""Rows of activations times a matrix in few bits, in int8: one token's, or a long prompt's.

Each 64 activations are rounded to steps of their own, and the levels of NF4 or of two bits to
1/127: whole numbers are then multiplied four at a time, straight from the codes, and the sums are
exact. Rounding adds little to what the few bits cost anyway, and a token's product is the same
whatever is beside it. Leaves out: the loops (int8_loops.py), and which matrices are multiplied so
(nf4_weight.py, int8_weight.py, two_bit_weight.py).
"""

from __future__ import annotations

from ctypes import CFUNCTYPE, Array, addressof, c_int64, c_void_p
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F

from core import openmp
from core.nf4_pack import BLOCK
from core.once import once
from core.scratch import scratch

if TYPE_CHECKING:
    from core.int8_loops import Task

NEEDED: Final = frozenset(("avx512f", "avx512bw", "avx512vnni"))
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
    assert can_multiply(), "LLVM ends the process where it has no such instruction"
    return _Loops()


@cache
def can_multiply() -> bool:
    """Whether this machine has the instructions, and threads that can be asked to run them."""
    from core.vector_code import cpu_features

    return cpu_features() >= NEEDED and openmp.is_there()


def compile_ahead() -> None:
    """Have the loops compiled, where `can_multiply`: in a thread that has time for it."""
    if can_multiply():
        _loops()


class Int8Product:
    """A matrix, as what multiplies rows by it: of bfloat16, (..., in), its product (..., out).

    Rows are on the CPU; they may be shorter, and are taken to have zeros behind them.

    Args:
        kind: of the matrix.
        matrix, scales: as the task has them; they stay where they are, and in use.
        table: the levels of codes as they are multiplied, uint8, shape (16,); int8 has none.
    """

    def __init__(
        self,
        kind: Kind,
        matrix: torch.Tensor,
        scales: torch.Tensor,
        table: torch.Tensor | None = None,
    ) -> None:
        self._kind, self._matrix, self._scales, self._table = kind, matrix, scales, table
        self.num_blocks, self.num_out = scales.shape
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


def nf4_product(codes: torch.Tensor, absmax: torch.Tensor, levels: torch.Tensor) -> Int8Product:
    """Of a matrix in NF4, where `can_multiply`.

    Args:
        codes: as bitsandbytes' packing lays them out, uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out). Both stay where they are, and in use.
        levels: float32, the 16 numbers of NF4 in [-1, 1].
    """
    return Int8Product("nf4", codes, absmax, _table(levels))


def int8_product(levels: torch.Tensor, largest: torch.Tensor) -> Int8Product:
    """Of a matrix in int8, where `can_multiply`.

    Args:
        levels: from -127 to 127, moved up by 128 and laid out by `in_fours`.
        largest: each 64 numbers' largest magnitude, bfloat16, shape (in / 64, out). Both stay where
            they are, and in use.
    """
    return Int8Product("int8", levels, largest)


def two_bit_product(
    codes: torch.Tensor, largest: torch.Tensor, levels: torch.Tensor
) -> Int8Product:
    """Of a matrix in two bits, where `can_multiply`.

    Args:
        codes: of `in_fours`, packed by `in_quarters`.
        largest: each 64 numbers' largest magnitude, bfloat16, shape (in / 64, out). Both stay where
            they are, and in use.
        levels: float32, what the codes mean, in [-1, 1].
    """
    return Int8Product("two_bits", codes, largest, _table(levels))


def _table(levels: torch.Tensor) -> torch.Tensor:
    """16 levels as they are multiplied; fewer are followed by zeros."""
    table = torch.full((16,), LEVEL_ZERO, dtype=torch.uint8)
    table[: len(levels)] = (torch.round(levels * LARGEST) + LEVEL_ZERO).to(torch.uint8)
    return table


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


def in_quarters(laid_out: torch.Tensor) -> torch.Tensor:
    """Codes below 4 that are laid out `in_fours`, four a byte.

    Args:
        laid_out: uint8, shape (out, in), of multiples of 32 and 8.
    Returns:
        uint8, shape (out, in / 4).
    """
    num_out, num_in = laid_out.shape
    codes = laid_out.view(-1, 4, 64)
    packed = codes[:, 0] | codes[:, 1] << 2 | codes[:, 2] << 4 | codes[:, 3] << 6
    return packed.view(num_out, num_in // 4)


def out_of_quarters(packed: torch.Tensor) -> torch.Tensor:
    """The codes that `in_quarters` packed so."""
    num_out, num_bytes = packed.shape
    codes = packed.view(-1, 1, 64) >> torch.tensor([0, 2, 4, 6], dtype=torch.uint8)[:, None] & 3
    return codes.view(num_out, 4 * num_bytes)
