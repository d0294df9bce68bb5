"""Attention of one new token each of some rows, as vector instructions.

A thread takes a head of keys and values and the queries that share it: turns them by their
position, writes the key and the value behind the row's others, and mixes what is there. Nothing is
laid out anew, so that every key and value is read once. Scores, softmax, weights and sums are in
float32. Leaves out: attention of many queries (attention_loops.py).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from llvmlite import ir

from core.attention_layout import NOT_SEEN
from core.attention_loops import largest_score
from core.vector_code import (
    BYTE,
    FLOAT,
    FLOATS,
    INTS,
    LANES,
    SHORT,
    Code,
    Value,
    constant,
    same,
)
from core.vector_math import exponential
from core.vector_products import added_pairs

WIDTH_MULTIPLE: Final = 2 * LANES  # of a head
TURNED_MULTIPLE: Final = 16  # of the numbers of a head that are turned
_TURNED_AT_ONCE: Final = TURNED_MULTIPLE // 2
_UNITS_AT_ONCE: Final = 4  # vectors of a value, so that the sums of several queries fit registers


class Task(IntEnum):
    """What the loop is told, in order; addresses among them."""

    NEXT_ITEM = 0
    NUM_ITEMS = 1  # rows * kv_heads
    NEXT_THREAD = 2
    NUM_KV_HEADS = 3
    SCALE = 4  # float32
    HEADS = 5  # bfloat16, (num_rows, heads + 2 * kv_heads, width): turned where they lie
    COSINES = 6  # bfloat16, (num_rows, turned)
    SINES = 7
    LENGTHS = 8  # int64, (num_rows,): how many tokens are there before the new one
    CAPACITIES = 9  # int64, (num_rows,)
    KEYS = 10  # of each row the address of (kv_heads, capacity, width), bfloat16
    VALUES = 11
    SCORES = 12  # float32, (threads, queries a head, MOST_KEYS)
    MOST_KEYS = 13  # room for at least 16 more than any row has
    MIXED = 14  # bfloat16, (num_rows, heads, width)


def module(width: int, num_turned: int, num_shared: int) -> ir.Module:
    """`attend_tokens`, which each thread runs with the same task.

    Args:
        width: of a head, a multiple of WIDTH_MULTIPLE.
        num_turned: of a head's first numbers, a multiple of TURNED_MULTIPLE.
        num_shared: queries for each head of keys and values.
    """
    made = ir.Module()
    code = Code(made, "attend_tokens")
    first = code.at(code.task, constant(8 * Task.NEXT_THREAD))
    thread = code.builder.atomic_rmw("add", first, constant(1), "monotonic")

    def head(item: Value) -> None:
        _Head(code, thread, item, width, num_turned, num_shared).write()

    code.for_each_item(Task.NEXT_ITEM, Task.NUM_ITEMS, head)
    code.end()
    return made


class _Head:
    """A row's head of keys and values, and the queries that share it.

    Args:
        code: the function in the making.
        thread, item: numbers of this thread and of the head, of all rows.
        width, num_turned, num_shared: as in `module`.
    """

    def __init__(
        self, code: Code, thread: Value, item: Value, width: int, num_turned: int, num_shared: int
    ) -> None:
        self._code, builder = code, code.builder
        self._width, self._num_turned, self._num_shared = width, num_turned, num_shared
        num_kv_heads = code.field(Task.NUM_KV_HEADS)
        self._row = builder.sdiv(item, num_kv_heads)
        head = builder.srem(item, num_kv_heads)
        num_heads = code.times(num_kv_heads, num_shared)
        before = code.times(self._row, code.plus(num_heads, code.times(num_kv_heads, 2)))
        first_query = code.plus(before, code.times(head, num_shared))
        self._queries = [
            self._vectors(Task.HEADS, code.plus(first_query, number))
            for number in range(num_shared)
        ]
        key = code.plus(code.plus(before, num_heads), head)
        self._new_key = self._vectors(Task.HEADS, key)
        self._new_value = self._vectors(Task.HEADS, code.plus(key, num_kv_heads))
        first_mixed = code.plus(code.times(self._row, num_heads), code.times(head, num_shared))
        self._mixed = [
            self._vectors(Task.MIXED, code.plus(first_mixed, number))
            for number in range(num_shared)
        ]
        self._num_before = self._of_row(Task.LENGTHS)
        room = code.times(code.times(head, self._of_row(Task.CAPACITIES)), 2 * width)
        self._keys, self._values = (
            code.at(builder.inttoptr(self._of_row(base), code.task.type), room)
            for base in (Task.KEYS, Task.VALUES)
        )
        most_keys = code.field(Task.MOST_KEYS)
        first_scores = code.times(code.times(thread, num_shared), most_keys)
        self._scores = [
            code.at(
                code.address(Task.SCORES),
                code.times(code.plus(first_scores, code.times(most_keys, number)), 4),
            )
            for number in range(num_shared)
        ]

    def _vectors(self, base: Task, number: Value) -> Value:
        """Where the numbers of one of many heads begin."""
        code = self._code
        return code.at(code.address(base), code.times(number, 2 * self._width))

    def _of_row(self, base: Task) -> Value:
        """The row's own number among those of all rows."""
        code = self._code
        return code.load(ir.IntType(64), code.address(base), code.times(self._row, 8))

    def write(self) -> None:
        """All that is done for the head."""
        for heads in (*self._queries, self._new_key):
            self._turn(heads)
        place = self._code.times(self._num_before, 2 * self._width)
        for source, kept in ((self._new_key, self._keys), (self._new_value, self._values)):
            self._copy(source, self._code.at(kept, place))
        self._write_scores()
        shares = [self._write_weights(scores) for scores in self._scores]
        units = self._width // LANES
        for first in range(0, units, _UNITS_AT_ONCE):
            self._mix(range(first, min(first + _UNITS_AT_ONCE, units)), shares)

    def _turn(self, head: Value) -> None:
        """Rotate a head's first numbers by the row's position, rounded as the oracle does.

        Source: `rotate` of rope.py.
        """
        code, builder, half = self._code, self._code.builder, self._num_turned // 2
        kind = ir.VectorType(SHORT, _TURNED_AT_ONCE)
        in_row = code.times(self._row, 2 * self._num_turned)

        def loaded(base: Value, place: Value | int) -> Value:
            offset = constant(2 * place) if isinstance(place, int) else place
            return code.widened(code.load(kind, base, offset))

        tables = [code.at(code.address(base), in_row) for base in (Task.COSINES, Task.SINES)]
        for first in range(0, half, _TURNED_AT_ONCE):
            second = first + half
            one, other = loaded(head, first), loaded(head, second)
            for place, own, crossed in ((first, one, builder.fneg(other)), (second, other, one)):
                cos, sin = (loaded(table, place) for table in tables)
                turned = builder.fadd(
                    code.rounded(builder.fmul(own, cos)), code.rounded(builder.fmul(crossed, sin))
                )
                code.store(code.narrowed(turned), head, constant(2 * place))

    def _copy(self, source: Value, target: Value) -> None:
        """One head's numbers."""
        code, kind = self._code, ir.VectorType(BYTE, 64)
        for place in range(0, 2 * self._width, 64):
            code.store(code.load(kind, source, constant(place)), target, constant(place))

    def _write_scores(self) -> None:
        """Products of the queries with all keys, scaled; behind them some that nobody sees."""
        code, builder = self._code, self._code.builder
        places = range(0, 2 * self._width, 64)
        queries = [
            [code.load(INTS, query, constant(at)) for at in places] for query in self._queries
        ]
        scale = code.load(FLOAT, code.task, constant(8 * Task.SCALE))

        def key(number: Value, _: list[Value]) -> tuple[()]:
            """The scores of one key with all queries."""
            base = code.at(self._keys, code.times(number, 2 * self._width))
            parts = [code.load(INTS, base, constant(at)) for at in places]
            for query, scores in zip(queries, self._scores, strict=True):
                products = same(FLOATS, 0.0)
                for pair in zip(query, parts, strict=True):
                    products = added_pairs(code, products, *pair)
                score = builder.fmul(code.total(products), scale)
                code.store(score, scores, code.times(number, 4))
            return ()

        num = code.plus(self._num_before, 1)
        code.loop(constant(0), num, key)
        for scores in self._scores:
            code.store(same(FLOATS, NOT_SEEN), scores, code.times(num, 4))

    def _write_weights(self, scores: Value) -> Value:
        """A query's scores -> weights, not yet divided by their sum; returns one over that."""
        code, builder = self._code, self._code.builder
        num = code.plus(self._num_before, 1)

        largest = largest_score(code, scores, num)

        def weight(key: Value, kept: list[Value]) -> list[Value]:
            place = code.times(key, 4)
            power = exponential(code, builder.fsub(code.load(FLOATS, scores, place), largest))
            code.store(power, scores, place)
            return [builder.fadd(kept[0], power)]

        (total,) = code.loop(constant(0), num, weight, [same(FLOATS, 0.0)], step=LANES)
        return code.spread(builder.fdiv(ir.Constant(FLOAT, 1.0), code.total(total)))

    def _mix(self, units: range, shares: list[Value]) -> None:
        """The values of all keys by their weights, some vectors of them.

        Args:
            shares: one over the sum of each query's weights.
        """
        code, builder = self._code, self._code.builder
        kind = ir.VectorType(SHORT, LANES)

        def value(number: Value, sums: list[Value]) -> list[Value]:
            """One key's value, by each query's weight."""
            base = code.at(self._values, code.times(number, 2 * self._width))
            parts = [code.widened(code.load(kind, base, constant(32 * unit))) for unit in units]
            weights = [
                code.spread(code.load(FLOAT, scores, code.times(number, 4)))
                for scores in self._scores
            ]
            pairs = ((weight, part) for weight in weights for part in parts)
            return [
                code.call("llvm.fma.v16f32", FLOATS, weight, part, total)
                for (weight, part), total in zip(pairs, sums, strict=True)
            ]

        nothing = [same(FLOATS, 0.0)] * (len(units) * self._num_shared)
        sums = code.loop(constant(0), code.plus(self._num_before, 1), value, nothing)
        for number, (mixed, share) in enumerate(zip(self._mixed, shares, strict=True)):
            for at, unit in enumerate(units):
                total = builder.fmul(sums[number * len(units) + at], share)
                code.store(code.narrowed(total), mixed, constant(32 * unit))
