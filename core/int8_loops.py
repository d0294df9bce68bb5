"""The loops of int8_products.py, as vector instructions: rows in int8 times NF4, int8 or two bits.

A vector holds four columns of 16 rows of the matrix, a byte each, as they are, looked up from codes
of 4 bits, or cut out of codes of 2; it is multiplied by four columns of a row of activations, and
added up (vector_products.py). Levels are moved up so that none has a sign, for the instruction that
wants none, and what that adds too much is taken off each sum. Every 64 columns the sums, which are
whole numbers and exact, are multiplied by both scales.
Leaves out: what is multiplied (int8_products.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, Protocol

from llvmlite import ir

from core.int8_layout import BLOCK, TOGETHER
from core.int8_products import LARGEST, LEVEL_ZERO
from core.vector_code import (
    BYTE,
    FLOAT,
    FLOATS,
    INT,
    INTS,
    LANES,
    SHORT,
    Code,
    Value,
    constant,
    same,
)
from core.vector_products import (
    BYTES,
    ByteProducts,
    byte_products,
    is_wide,
    largest_step,
    looked_up,
)

TILES: Final = (8, 4, 2, 1)  # rows of activations that a pass over 32 rows of the matrix serves
NARROW_TILE: Final = 4  # the largest where registers are few
FETCHED_AHEAD: Final = 3072  # bytes
BLOCKS_AT_ONCE: Final = 2  # of 32 rows, that a thread takes
ROWS_AT_ONCE: Final = 128  # of activations, which stay in a cache meanwhile
ROUNDED_AT_ONCE: Final = 4  # rows that a thread takes to round
_UNROLLED: Final = 4
_WORDS: Final = ir.VectorType(SHORT, 32)


class Task(IntEnum):
    """What the loops are told, in order; addresses among them."""

    NEXT_ITEM = 0
    NUM_ITEMS = 1
    NEXT_ROUNDED = 2
    NUM_ROUNDED = 3
    NUM_ROWS = 4
    NUM_IN = 5  # columns of the matrix
    NUM_OUT = 6
    ROWS = 7  # bfloat16, (num_rows, given)
    STEPS = 8  # int8, (num_rows, in): the rows, rounded
    STARTS = 9  # int32, (num_rows, in / 64): each 64 steps' sum, negated
    SIZES = 10  # float32, (num_rows, in / 64): of the steps, by the size of a level's
    # uint8: of int8, (out / 32, in / 4, 128); of NF4 the codes, (out / 32, in / 4, 64); of two bits
    # the codes, (out / 32, in / 8, 64)
    MATRIX = 11
    SCALES = 12  # bfloat16, (out / 32, in / 64, 32)
    LEVELS = 13  # of codes, uint8, (16,)
    PRODUCT = 14  # bfloat16, (num_rows, out)
    NUM_GIVEN = 15  # numbers in a row; the columns beyond are taken for zeros


def module() -> ir.Module:
    """`round_rows`, and `multiply_` with each kind: each thread runs them with the same task."""
    made = ir.Module()
    _round_rows(made)
    for kind in (_Nf4, _Int8, _TwoBits):
        for num_rows in _tiles():
            _tile(made, kind, num_rows)
        _multiply(made, kind)
    return made


def _tiles() -> Sequence[int]:
    """Of what sizes tiles are on this CPU, the largest first."""
    return [num for num in TILES if is_wide() or num <= NARROW_TILE]


def num_items(num_rows: int, num_out: int) -> int:
    """Into how many parts `multiply` cuts a product."""
    num_blocks = -(-num_out // (TOGETHER * BLOCKS_AT_ONCE))
    return num_blocks * -(-num_rows // ROWS_AT_ONCE)


def _round_rows(made: ir.Module) -> None:
    """Rows of activations -> int8, each 64 numbers in steps of their own."""
    code = Code(made, "round_rows")
    num_rows, num_in = code.field(Task.NUM_ROWS), code.field(Task.NUM_IN)

    def some_rows(item: Value) -> None:
        """As many as a thread takes."""
        first = code.times(item, ROUNDED_AT_ONCE)
        last = code.smaller(code.plus(first, ROUNDED_AT_ONCE), num_rows)
        num_blocks = code.builder.sdiv(num_in, constant(BLOCK))

        def row(number: Value, _: list[Value]) -> tuple[()]:
            code.loop(constant(0), num_blocks, lambda block, _: _round_block(code, number, block))
            return ()

        code.loop(first, last, row)

    code.for_each_item(Task.NEXT_ROUNDED, Task.NUM_ROUNDED, some_rows)
    code.end()


def _round_block(code: Code, row: Value, block: Value) -> tuple[()]:
    """64 numbers that lie side by side, of a row."""
    builder, steps = code.builder, code.address(Task.STEPS)
    column = code.times(block, BLOCK)
    numbers = [
        _given_or_zeros(code, row, code.plus(column, part)) for part in range(0, BLOCK, LANES)
    ]
    num_in = code.field(Task.NUM_IN)
    offset = code.plus(code.times(row, num_in), column)
    magnitudes = [code.call("llvm.fabs.v16f32", FLOATS, number) for number in numbers]
    for _ in range(2):
        pairs = zip(magnitudes[::2], magnitudes[1::2], strict=True)
        magnitudes = [code.call("llvm.maxnum.v16f32", FLOATS, *pair) for pair in pairs]
    largest = code.call("llvm.vector.reduce.fmax.v16f32", FLOAT, magnitudes[0])
    largest = code.call("llvm.maxnum.f32", FLOAT, largest, ir.Constant(FLOAT, 1e-30))
    factor = code.spread(builder.fdiv(ir.Constant(FLOAT, largest_step()), largest))
    total = same(INTS, 0)
    for part, number in enumerate(numbers):
        scaled = code.call("llvm.rint.v16f32", FLOATS, builder.fmul(number, factor))
        whole = builder.fptosi(scaled, INTS)
        total = builder.add(total, whole)
        narrow = builder.trunc(whole, ir.VectorType(BYTE, LANES))
        code.store(narrow, steps, code.plus(offset, LANES * part))
    added = code.call("llvm.vector.reduce.add.v16i32", INT, total)
    place = code.times(builder.sdiv(offset, constant(BLOCK)), 4)
    code.store(builder.neg(added), code.address(Task.STARTS), place)
    size = builder.fmul(largest, ir.Constant(FLOAT, 1 / (LARGEST * largest_step())))
    code.store(size, code.address(Task.SIZES), place)
    return ()


def _given_or_zeros(code: Code, row: Value, column: Value) -> Value:
    """16 numbers of a row from a column on, which are all given or not at all."""
    builder, num_given = code.builder, code.field(Task.NUM_GIVEN)
    is_given = builder.icmp_signed("<", column, num_given)
    place = code.plus(code.times(row, num_given), builder.select(is_given, column, constant(0)))
    shorts = code.load(ir.VectorType(SHORT, LANES), code.address(Task.ROWS), code.times(place, 2))
    return builder.select(is_given, code.widened(shorts), same(FLOATS, 0.0))


def _multiply(made: ir.Module, kind: type[_Matrix]) -> None:
    """All rows times all of the matrix, by parts."""
    code = Code(made, f"multiply_{kind.NAME}")
    builder = code.builder
    num_rows = code.field(Task.NUM_ROWS)
    num_blocks = builder.sdiv(code.field(Task.NUM_OUT), constant(TOGETHER))
    num_groups = builder.sdiv(code.plus(num_rows, ROWS_AT_ONCE - 1), constant(ROWS_AT_ONCE))

    def part(item: Value) -> None:
        """Some rows times some blocks of the matrix."""
        first = code.times(builder.sdiv(item, num_groups), BLOCKS_AT_ONCE)
        end = code.smaller(code.plus(first, BLOCKS_AT_ONCE), num_blocks)
        first_row = code.times(builder.srem(item, num_groups), ROWS_AT_ONCE)
        end_row = code.smaller(code.plus(first_row, ROWS_AT_ONCE), num_rows)

        def block(number: Value, _: list[Value]) -> tuple[()]:
            """The rows times one block, by tiles that get smaller."""
            row = first_row
            for num in _tiles():
                left = builder.sub(end_row, row)
                stop = code.plus(row, builder.sub(left, builder.srem(left, constant(num))))

                def tile(at: Value, _: list[Value], num: int = num) -> tuple[()]:
                    code.call(f"tile_{kind.NAME}_{num}", ir.VoidType(), code.task, number, at)
                    return ()

                code.loop(row, stop, tile, step=num)
                row = stop
            return ()

        code.loop(first, end, block)

    code.for_each_item(Task.NEXT_ITEM, Task.NUM_ITEMS, part)
    code.end()


class _Matrix(Protocol):
    """32 rows of a matrix, of the code that multiplies by them.

    Args:
        code: a function in the making.
        first: how many numbers of the matrix lie before them.
    """

    NAME: str
    ZERO: int  # how much higher than they mean bytes lie

    def __init__(self, code: Code, first: Value) -> None: ...

    @property
    def products(self) -> ByteProducts:
        """How its bytes are multiplied."""

    def columns(self, first: Value, four: int) -> list[Value]:
        """Four columns of the first 16 rows and of the others, a byte each as `products` takes it.

        Args:
            first: a column, a multiple of 4 * _UNROLLED.
            four: which four from there on, less than _UNROLLED.
        """


class _Nf4:
    """Codes of 4 bits, looked up. Arguments as in `_Matrix`."""

    NAME, ZERO = "nf4", LEVEL_ZERO

    def __init__(self, code: Code, first: Value) -> None:
        self._code, self.products = code, byte_products()
        self._codes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER // 2))
        levels = code.load(ir.VectorType(BYTE, 16), code.address(Task.LEVELS), constant(0))
        self._table = code.pick(levels, [lane % 16 for lane in range(64)])

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`."""
        code, builder = self._code, self._code.builder
        place = code.times(code.plus(first, 4 * four), TOGETHER // 2)
        both = code.load(BYTES, self._codes, place)
        _fetch(code, self._codes, place)
        codes = [_some_bits(code, both, shift, 15) for shift in (0, 4)]
        return [builder.bitcast(looked_up(code, self._table, each), INTS) for each in codes]


class _Int8:
    """Bytes as they are multiplied. Arguments as in `_Matrix`."""

    NAME, ZERO = "int8", LEVEL_ZERO

    def __init__(self, code: Code, first: Value) -> None:
        self._code, self.products = code, byte_products()
        self._bytes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER))

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`."""
        code = self._code
        place = code.times(code.plus(first, 4 * four), TOGETHER)
        halves = [code.plus(place, half) for half in (0, 64)]
        for half in halves:
            _fetch(code, self._bytes, half)
        return [code.load(INTS, self._bytes, half) for half in halves]


class _TwoBits:
    """Codes of 2 bits, which stand for -3, -1, 1 and 3. Arguments as in `_Matrix`.

    A byte's codes are of one row half after the other: of the first 16 rows and of the others, then
    of both four columns further on.
    """

    NAME, ZERO = "two_bits", 3

    def __init__(self, code: Code, first: Value) -> None:
        self._code, self.products = code, byte_products(2 * self.ZERO)
        self._codes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER // 4))

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`: twice the code, so that whole numbers lie between the levels."""
        code, builder = self._code, self._code.builder
        place = code.times(code.plus(first, 4 * (four - four % 2)), TOGETHER // 4)
        bytes_ = code.load(BYTES, self._codes, place)  # once for both fours, LLVM sees to that
        if four % 2 == 0:
            _fetch(code, self._codes, place)
        shifts = [4 * (four % 2) + 2 * half - 1 for half in range(2)]
        doubled = [_some_bits(code, bytes_, shift, 6) for shift in shifts]
        return [builder.bitcast(each, INTS) for each in doubled]


def _fetch(code: Code, matrix: Value, place: Value) -> None:
    """Have memory read what lies further on: a CPU would compute and wait for it by turns."""
    code.fetch(code.at(matrix, code.plus(place, FETCHED_AHEAD)))


def _some_bits(code: Code, bytes_: Value, shift: int, mask: int) -> Value:
    """Some of the bits of each of 64 bytes.

    Args:
        shift: how far down they are moved; up if less than 0.
        mask: which of them are kept then.
    """
    builder = code.builder
    words = builder.bitcast(bytes_, _WORDS)  # no instruction moves the bits of bytes
    moved = builder.shl if shift < 0 else builder.lshr
    words = moved(words, same(_WORDS, abs(shift))) if shift else words
    return builder.and_(builder.bitcast(words, BYTES), same(BYTES, mask))


def _tile(made: ir.Module, kind: type[_Matrix], num_rows: int) -> None:
    """Some rows of activations, as many as fit registers, times 32 rows of the matrix."""
    code = Code(made, f"tile_{kind.NAME}_{num_rows}", num_more=2)
    builder = code.builder
    block, row = code.more
    num_in, num_out = code.field(Task.NUM_IN), code.field(Task.NUM_OUT)
    num_scales = builder.sdiv(num_in, constant(BLOCK))
    matrix = kind(code, code.times(block, num_in))
    first_scale = code.times(code.times(block, num_scales), TOGETHER)
    scales = code.at(code.address(Task.SCALES), code.times(first_scale, 2))
    rows = [code.plus(row, number) for number in range(num_rows)]
    steps = [code.at(code.address(Task.STEPS), code.times(each, num_in)) for each in rows]
    places = [code.times(code.times(each, num_scales), 4) for each in rows]
    starts = [code.at(code.address(Task.STARTS), place) for place in places]
    sizes = [code.at(code.address(Task.SIZES), place) for place in places]

    # Where registers are few, the sums of one half at a time are in them.
    passes = [(0, 1)] if is_wide() or num_rows == 1 else [(0,), (1,)]

    def scaled_block(number: Value, sums: list[Value]) -> list[Value]:
        """64 columns."""
        place = code.times(number, 4)
        zero = ir.Constant(INT, kind.ZERO)
        begin = [builder.mul(code.load(INT, start, place), zero) for start in starts]
        shorts = code.load(_WORDS, scales, code.times(number, 2 * TOGETHER))
        factors = [code.spread(code.load(FLOAT, size, place)) for size in sizes]
        new = list(sums)
        for halves in passes:
            totals = _four_by_four(code, matrix, steps, number, begin, halves)
            for half in halves:
                scale = code.widened(code.pick(shorts, range(LANES * half, LANES * (half + 1))))
                for each, factor in enumerate(factors):
                    total = builder.sitofp(totals.pop(0), FLOATS)
                    both, at = builder.fmul(scale, factor), 2 * each + half
                    new[at] = code.call("llvm.fma.v16f32", FLOATS, total, both, sums[at])
        return new

    nothing = [same(FLOATS, 0.0)] * (2 * num_rows)
    sums = code.loop(constant(0), num_scales, scaled_block, nothing)
    product = code.address(Task.PRODUCT)
    for number, each in enumerate(rows):
        first = code.plus(code.times(each, num_out), code.times(block, TOGETHER))
        for half in range(2):
            place = code.times(code.plus(first, LANES * half), 2)
            code.store(code.narrowed(sums[2 * number + half]), product, place)
    code.end()


def _four_by_four(
    code: Code,
    matrix: _Matrix,
    steps: list[Value],
    block: Value,
    starts: list[Value],
    halves: Sequence[int],
) -> list[Value]:
    """Sums over 64 columns, of whole numbers.

    Args:
        matrix: 32 rows of it.
        steps: of some rows of activations.
        block: which 64 columns.
        starts: what each row's sums will be too large by, negative.
        halves: of the matrix's rows.
    Returns:
        For each half the sums of each row of activations.
    """
    first, products = code.times(block, BLOCK), matrix.products

    def columns(number: Value, sums: list[Value]) -> list[Value]:
        """Some columns at once, four by four."""
        begin, new = code.plus(first, code.times(number, 4)), list(sums)
        for four in range(_UNROLLED):
            levels = matrix.columns(begin, four)
            for row, numbers in enumerate(steps):
                activations = code.spread(code.load(INT, numbers, code.plus(begin, 4 * four)))
                for number_, half in enumerate(halves):
                    at = number_ * len(steps) + row
                    new[at] = products.added(code, new[at], levels[half], activations)
        return new

    all_starts = [start for _ in halves for start in starts]
    begun = [products.begin(code, start) for start in all_starts]
    sums = code.loop(constant(0), constant(BLOCK // 4), columns, begun, step=_UNROLLED)
    return [products.ended(code, *each) for each in zip(sums, all_starts, strict=True)]
