"""The loops of int8_products.py, as vector instructions: rows in int8 times NF4, int8 or two bits.

A vector holds four columns of 16 rows of the matrix, a byte each, as they are or looked up from
codes of 4 or 2 bits; one instruction (VPDPBUSD, of AVX512-VNNI) multiplies it by four columns of a
row of activations and adds up. It wants the first factor without a sign: levels are moved up by
LEVEL_ZERO, and each sum begins with what that adds too much. Every 64 columns the sums, which are
whole numbers and exact, are multiplied by both scales.
Leaves out: what is multiplied (int8_products.py).
Source: the layout of NF4 is bitsandbytes' `_convert_weight_packed_for_cpu`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, Protocol

from llvmlite import ir

from core.int8_products import LARGEST, LEVEL_ZERO
from core.nf4_pack import BLOCK, TOGETHER
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

TILES: Final = (8, 4, 2, 1)  # rows of activations that a pass over 32 rows of the matrix serves
BLOCKS_AT_ONCE: Final = 2  # of 32 rows, that a thread takes
ROWS_AT_ONCE: Final = 128  # of activations, which stay in a cache meanwhile
ROUNDED_AT_ONCE: Final = 4  # rows that a thread takes to round
LOOK_UP: Final = "llvm.x86.avx512.pshuf.b.512"
MULTIPLY_ADD: Final = "llvm.x86.avx512.vpdpbusd.512"
_UNROLLED: Final = 4
_BYTES: Final = ir.VectorType(BYTE, 64)
_WORDS: Final = ir.VectorType(SHORT, 32)
# 32 pairs of columns, the first two of 16 rows and then the next two -> the four of each row.
_IN_FOURS: Final = [half + 16 * second for half in range(16) for second in range(2)]


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
    STARTS = 9  # int32, (num_rows, in / 64): what a sum begins with
    SIZES = 10  # float32, (num_rows, in / 64): of the steps, by the size of a level's
    # uint8: of NF4 the codes, (out / 32, in / 2, 32); of int8, (out / 32, in / 4, 128); of two bits
    # the codes, (out / 32, in / 8, 64)
    MATRIX = 11
    SCALES = 12  # bfloat16, (in / 64, out)
    LEVELS = 13  # of codes, uint8, (16,)
    PRODUCT = 14  # bfloat16, (num_rows, out)
    NUM_GIVEN = 15  # numbers in a row; the columns beyond are taken for zeros


def module() -> ir.Module:
    """`round_rows`, and `multiply_` with each kind: each thread runs them with the same task."""
    made = ir.Module()
    _round_rows(made)
    for kind in (_Nf4, _Int8, _TwoBits):
        for num_rows in TILES:
            _tile(made, kind, num_rows)
        _multiply(made, kind)
    return made


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
    factor = code.spread(builder.fdiv(ir.Constant(FLOAT, LARGEST), largest))
    total = same(INTS, 0)
    for part, number in enumerate(numbers):
        scaled = code.call("llvm.rint.v16f32", FLOATS, builder.fmul(number, factor))
        whole = builder.fptosi(scaled, INTS)
        total = builder.add(total, whole)
        narrow = builder.trunc(whole, ir.VectorType(BYTE, LANES))
        code.store(narrow, steps, code.plus(offset, LANES * part))
    added = code.call("llvm.vector.reduce.add.v16i32", INT, total)
    place = code.times(builder.sdiv(offset, constant(BLOCK)), 4)
    start = builder.mul(added, ir.Constant(INT, -LEVEL_ZERO))
    code.store(start, code.address(Task.STARTS), place)
    size = builder.fmul(largest, ir.Constant(FLOAT, 1 / LARGEST**2))
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
            for num in TILES:
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

    def __init__(self, code: Code, first: Value) -> None: ...

    def columns(self, first: Value, four: int) -> list[Value]:
        """Four columns of the first 16 rows and of the others, a byte each without a sign.

        Args:
            first: a column, a multiple of 4 * _UNROLLED.
            four: which four from there on, less than _UNROLLED.
        """


class _Nf4:
    """Codes of 4 bits, looked up. Arguments as in `_Matrix`."""

    NAME = "nf4"

    def __init__(self, code: Code, first: Value) -> None:
        self._code = code
        self._codes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER // 2))
        self._table = _table(code)

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`."""
        code, builder = self._code, self._code.builder
        column = code.plus(first, 4 * four)
        pairs = code.load(_WORDS, self._codes, code.times(column, TOGETHER // 2))
        fours = code.pick(pairs, _IN_FOURS)
        high = builder.lshr(fours, same(_WORDS, 4))
        halves = [builder.bitcast(each, _BYTES) for each in (fours, high)]
        codes = [builder.and_(half, same(_BYTES, 15)) for half in halves]
        looked_up = [code.call(LOOK_UP, _BYTES, self._table, each) for each in codes]
        return [builder.bitcast(each, INTS) for each in looked_up]


class _Int8:
    """Bytes as they are multiplied. Arguments as in `_Matrix`."""

    NAME = "int8"

    def __init__(self, code: Code, first: Value) -> None:
        self._code = code
        self._bytes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER))

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`."""
        code = self._code
        place = code.times(code.plus(first, 4 * four), TOGETHER)
        return [code.load(INTS, self._bytes, code.plus(place, half)) for half in (0, 64)]


class _TwoBits:
    """Codes of 2 bits, four a byte, looked up. Arguments as in `_Matrix`.

    A byte's codes are of one row half after the other: of the first 16 rows and of the others, then
    of both four columns further on.
    """

    NAME = "two_bits"

    def __init__(self, code: Code, first: Value) -> None:
        self._code = code
        self._codes = code.at(code.address(Task.MATRIX), code.times(first, TOGETHER // 4))
        self._table = _table(code)

    def columns(self, first: Value, four: int) -> list[Value]:
        """As in `_Matrix`."""
        code, builder = self._code, self._code.builder
        place = code.times(code.plus(first, 4 * (four - four % 2)), TOGETHER // 4)
        bytes_ = code.load(_BYTES, self._codes, place)  # once for both fours, LLVM sees to that
        shifts = [4 * (four % 2) + 2 * half for half in range(2)]
        codes = [
            builder.and_(builder.lshr(bytes_, same(_BYTES, shift)), same(_BYTES, 3))
            for shift in shifts
        ]
        looked_up = [code.call(LOOK_UP, _BYTES, self._table, each) for each in codes]
        return [builder.bitcast(each, INTS) for each in looked_up]


def _table(code: Code) -> Value:
    """The levels of codes, as what looks them up wants them."""
    levels = code.load(ir.VectorType(BYTE, 16), code.address(Task.LEVELS), constant(0))
    return code.pick(levels, [lane % 16 for lane in range(64)])


def _tile(made: ir.Module, kind: type[_Matrix], num_rows: int) -> None:
    """Some rows of activations, as many as fit registers, times 32 rows of the matrix."""
    code = Code(made, f"tile_{kind.NAME}_{num_rows}", num_more=2)
    builder = code.builder
    block, row = code.more
    num_in, num_out = code.field(Task.NUM_IN), code.field(Task.NUM_OUT)
    num_scales = builder.sdiv(num_in, constant(BLOCK))
    matrix = kind(code, code.times(block, num_in))
    scales = code.at(code.address(Task.SCALES), code.times(block, 2 * TOGETHER))
    rows = [code.plus(row, number) for number in range(num_rows)]
    steps = [code.at(code.address(Task.STEPS), code.times(each, num_in)) for each in rows]
    places = [code.times(code.times(each, num_scales), 4) for each in rows]
    starts = [code.at(code.address(Task.STARTS), place) for place in places]
    sizes = [code.at(code.address(Task.SIZES), place) for place in places]

    def scaled_block(number: Value, sums: list[Value]) -> list[Value]:
        """64 columns."""
        place = code.times(number, 4)
        begin = [code.spread(code.load(INT, start, place)) for start in starts]
        totals = _four_by_four(code, matrix, steps, number, begin)
        shorts = code.load(_WORDS, scales, code.times(code.times(number, num_out), 2))
        halves = [code.widened(code.pick(shorts, range(at, at + LANES))) for at in (0, LANES)]
        new = []
        for each, size in enumerate(sizes):
            factor = code.spread(code.load(FLOAT, size, place))
            for half, scale in enumerate(halves):
                at = 2 * each + half
                total = builder.sitofp(totals[at], FLOATS)
                both = builder.fmul(scale, factor)
                new.append(code.call("llvm.fma.v16f32", FLOATS, total, both, sums[at]))
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
    code: Code, matrix: _Matrix, steps: list[Value], block: Value, begin: list[Value]
) -> list[Value]:
    """Sums over 64 columns, of whole numbers.

    Args:
        matrix: 32 rows of it.
        steps: of some rows of activations.
        block: which 64 columns.
        begin: what each row's sums begin with.
    Returns:
        For each row of activations the sums with the matrix's first 16 rows, and with the others.
    """
    first = code.times(block, BLOCK)

    def columns(number: Value, sums: list[Value]) -> list[Value]:
        """Some columns at once, four by four."""
        sums = list(sums)
        begin = code.plus(first, code.times(number, 4))
        for four in range(_UNROLLED):
            halves = matrix.columns(begin, four)
            for row, numbers in enumerate(steps):
                activations = code.spread(code.load(INT, numbers, code.plus(begin, 4 * four)))
                for half, levels in enumerate(halves):
                    at = 2 * row + half
                    sums[at] = code.call(MULTIPLY_ADD, INTS, sums[at], levels, activations)
        return sums

    twice = [start for start in begin for _ in range(2)]
    return code.loop(constant(0), constant(BLOCK // 4), columns, twice, step=_UNROLLED)
