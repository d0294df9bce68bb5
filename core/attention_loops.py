"""The loops of attention.py, as vector instructions: scores, softmax, and the mixture of values.

A vector holds two numbers of 16 keys, or of 16 places of a value from two keys; it is multiplied by
two numbers of a query, or two weights, and added up in float32 (vector_products.py). Eight queries
share what is loaded. A thread has the scores of its eight with all keys in memory that stays in its
cache, so that softmax needs no second reading of keys.
Leaves out: what attends to what (attention.py), and how keys and values lie (attention_layout.py).
"""

from __future__ import annotations

from typing import Final

from llvmlite import ir

from core.attention_layout import KEYS_TOGETHER, NOT_SEEN, Task, num_units, pack
from core.vector_code import (
    FLOAT,
    FLOATS,
    INT,
    INTS,
    LANES,
    Code,
    Value,
    constant,
    same,
)
from core.vector_math import exponential
from core.vector_products import added_pairs

TILES: Final = (8, 4, 2, 1)  # queries that share what is loaded
MOST_QUERIES: Final = TILES[0]
QUERIES_AT_ONCE: Final = 32  # that a thread takes
_UNROLLED: Final = 4


def module(width: int) -> ir.Module:
    """`pack` and `attend`, which each thread runs with the same task.

    Args:
        width: of a head, a multiple of 8.
    """
    made = ir.Module()
    pack(made, width)
    for num in TILES:
        _Tile(made, width, num).write()
    _attend(made)
    return made


def _attend(made: ir.Module) -> None:
    """All queries, by parts: some of one head at a time."""
    code = Code(made, "attend")
    builder = code.builder
    thread = builder.atomic_rmw(
        "add", code.at(code.task, constant(8 * Task.NEXT_THREAD)), constant(1), "monotonic"
    )
    num_queries = code.field(Task.NUM_QUERIES)
    num_parts = builder.sdiv(code.plus(num_queries, QUERIES_AT_ONCE - 1), constant(QUERIES_AT_ONCE))

    def part(item: Value) -> None:
        """Some queries of one head, by tiles that get smaller."""
        head, first = builder.sdiv(item, num_parts), builder.srem(item, num_parts)
        query = code.times(first, QUERIES_AT_ONCE)
        last = code.plus(query, QUERIES_AT_ONCE)
        last = code.smaller(last, num_queries)
        for num in TILES:
            left = builder.sub(last, query)
            stop = code.plus(query, builder.sub(left, builder.srem(left, constant(num))))

            def tile(at: Value, _: list[Value], num: int = num) -> tuple[()]:
                code.call(f"tile_{num}", ir.VoidType(), code.task, thread, head, at)
                return ()

            code.loop(query, stop, tile, step=num)
            query = stop

    code.for_each_item(Task.NEXT_ITEM, Task.NUM_ITEMS, part)
    code.end()


def largest_score(code: Code, scores: Value, num: Value) -> Value:
    """A vector of the largest of so many scores; to a whole vector, those behind count too.

    Args:
        scores: where they lie, float32.
    """

    def larger(key: Value, kept: list[Value]) -> list[Value]:
        score = code.load(FLOATS, scores, code.times(key, 4))
        return [code.call("llvm.maxnum.v16f32", FLOATS, kept[0], score)]

    (largest,) = code.loop(constant(0), num, larger, [same(FLOATS, NOT_SEEN)], step=LANES)
    return code.spread(code.call("llvm.vector.reduce.fmax.v16f32", FLOAT, largest))


class _Tile:
    """The function for some queries of one head: of thread, head (of all batches) and query.

    Args:
        made: the module that it becomes a part of.
        width: of a head.
        num: queries.
    """

    def __init__(self, made: ir.Module, width: int, num: int) -> None:
        self._code = code = Code(made, f"tile_{num}", num_more=3)
        self._width, self._num = width, num
        self._thread, head, self._query = code.more
        builder = code.builder
        num_heads = code.field(Task.NUM_HEADS)
        self._batch = builder.sdiv(head, num_heads)
        self._head = builder.srem(head, num_heads)
        num_kv_heads = code.field(Task.NUM_KV_HEADS)
        shared_by = builder.sdiv(num_heads, num_kv_heads)
        kv_head = builder.sdiv(self._head, shared_by)
        self._kv = code.plus(code.times(self._batch, num_kv_heads), kv_head)
        self._num_padded = code.field(Task.NUM_PADDED)
        # Keys that the last of the queries sees, up to a whole block.
        seen = self._num_seen(num - 1)
        self._num_blocks = builder.sdiv(code.plus(seen, KEYS_TOGETHER - 1), constant(KEYS_TOGETHER))
        self._scores = self._of_thread(Task.SCORES, 4)
        self._weights = self._of_thread(Task.WEIGHTS, 2)

    def write(self) -> None:
        """The whole function."""
        self._write_scores()
        sums = [self._write_weights(number) for number in range(self._num)]
        self._write_mixed(sums)
        self._code.end()

    def _num_seen(self, number: int) -> Value:
        """How many keys a query sees."""
        code = self._code
        seen = code.plus(code.plus(self._query, number + 1), code.field(Task.NUM_BEFORE))
        return code.smaller(seen, code.field(Task.NUM_KEYS))

    def _of_thread(self, base: Task, num_bytes: int) -> list[Value]:
        """Where a thread keeps something of every query, one number a key."""
        code = self._code
        first = code.times(self._thread, MOST_QUERIES)
        rows = [code.plus(first, number) for number in range(self._num)]
        row_bytes = code.times(self._num_padded, num_bytes)
        return [code.at(code.address(base), code.times(row, row_bytes)) for row in rows]

    def _write_scores(self) -> None:
        """Products of the queries with all keys that one of them sees, scaled."""
        code, builder, num = self._code, self._code.builder, self._num
        queries = []
        for number in range(num):
            offset = code.times(self._batch, code.field(Task.QUERY_BATCH))
            offset = code.plus(offset, code.times(self._head, code.field(Task.QUERY_HEAD)))
            row = code.plus(self._query, number)
            offset = code.plus(offset, code.times(row, code.field(Task.QUERY)))
            queries.append(code.at(code.address(Task.QUERIES), offset))
        per_key = 2 * self._width
        in_keys = code.times(code.times(self._kv, self._num_padded), per_key)
        keys = code.at(code.address(Task.PACKED_KEYS), in_keys)
        in_bias = code.times(code.times(self._batch, self._num_padded), 4)
        bias = code.at(code.address(Task.BIAS), in_bias)
        scale = code.spread(code.load(FLOAT, code.task, constant(8 * Task.SCALE)))
        limits = [code.spread(builder.trunc(self._num_seen(number), INT)) for number in range(num)]
        lanes = ir.Constant(INTS, list(range(LANES)))

        def block(number: Value, _: list[Value]) -> tuple[()]:
            """The scores of some keys."""
            first = code.at(keys, code.times(number, KEYS_TOGETHER * per_key))
            sums = self._multiplied(
                [code.at(first, constant(64 * half)) for half in range(2)],
                128,
                queries,
                constant(self._width // 2),
            )
            for half in range(2):
                key = code.plus(code.times(number, KEYS_TOGETHER), LANES * half)
                added = code.load(FLOATS, bias, code.times(key, 4))
                keys_here = builder.add(code.spread(builder.trunc(key, INT)), lanes)
                for row in range(num):
                    score = code.call("llvm.fma.v16f32", FLOATS, sums[row][half], scale, added)
                    is_seen = builder.icmp_signed("<", keys_here, limits[row])
                    score = builder.select(is_seen, score, same(FLOATS, NOT_SEEN))
                    code.store(score, self._scores[row], code.times(key, 4))
            return ()

        code.loop(constant(0), self._num_blocks, block)

    def _multiplied(
        self, sources: list[Value], step_bytes: int, rows: list[Value], num: Value
    ) -> list[list[Value]]:
        """Sums of products, two by two, of each row with each of one or two vectors' lanes.

        Args:
            sources: where the vectors' first pairs lie.
            step_bytes: from there to the next.
            rows: where each row's first pair lies.
            num: pairs, a multiple of what is unrolled.
        """
        code = self._code

        def pairs(first: Value, sums: list[Value]) -> list[Value]:
            """Some pairs at once."""
            sums = list(sums)
            for more in range(_UNROLLED):
                pair = code.plus(first, more)
                loaded = [
                    code.load(INTS, source, code.times(pair, step_bytes)) for source in sources
                ]
                for row, numbers in enumerate(rows):
                    two = code.spread(code.load(INT, numbers, code.times(pair, 4)))
                    for half, vector in enumerate(loaded):
                        at = row * len(sources) + half
                        sums[at] = added_pairs(code, sums[at], vector, two)
            return sums

        nothing = [same(FLOATS, 0.0)] * (len(rows) * len(sources))
        sums = code.loop(constant(0), num, pairs, nothing, step=_UNROLLED)
        return [sums[at : at + len(sources)] for at in range(0, len(sums), len(sources))]

    def _write_weights(self, number: int) -> Value:
        """A query's scores -> weights, not yet divided by their sum, which is returned."""
        code, builder = self._code, self._code.builder
        scores, weights = self._scores[number], self._weights[number]
        num = code.times(self._num_blocks, KEYS_TOGETHER)

        largest = largest_score(code, scores, num)

        def weight(key: Value, kept: list[Value]) -> list[Value]:
            score = code.load(FLOATS, scores, code.times(key, 4))
            power = exponential(code, builder.fsub(score, largest))
            code.store(code.narrowed(power), weights, code.times(key, 2))
            return [builder.fadd(kept[0], power)]

        (total,) = code.loop(constant(0), num, weight, [same(FLOATS, 0.0)], step=LANES)
        return code.spread(builder.fdiv(ir.Constant(FLOAT, 1.0), code.total(total)))

    def _write_mixed(self, shares: list[Value]) -> None:
        """The values of all keys that are seen, by their weights.

        Args:
            shares: one over the sum of each query's weights.
        """
        code, builder = self._code, self._code.builder
        units, num_padded = num_units(self._width), self._num_padded
        in_values = code.times(code.times(self._kv, num_padded), 2 * LANES * units)
        values = code.at(code.address(Task.PACKED_VALUES), in_values)
        num_pairs = code.times(self._num_blocks, KEYS_TOGETHER // 2)
        for first in range(0, units, 2):
            together = range(first, min(first + 2, units))
            sources = [code.at(values, code.times(num_padded, 2 * LANES * u)) for u in together]
            mixed = self._multiplied(sources, 64, self._weights, num_pairs)
            for row in range(self._num):
                for half, unit in enumerate(together):
                    numbers = code.narrowed(builder.fmul(mixed[row][half], shares[row]))
                    num = min(LANES, self._width - LANES * unit)
                    numbers = numbers if num == LANES else code.pick(numbers, range(num))
                    code.store(numbers, self._mixed(row), constant(2 * LANES * unit))

    def _mixed(self, number: int) -> Value:
        """Where a query's result begins."""
        code = self._code
        row = code.times(self._batch, code.field(Task.NUM_QUERIES))
        row = code.plus(row, code.plus(self._query, number))
        row = code.plus(code.times(row, code.field(Task.NUM_HEADS)), self._head)
        return code.at(code.address(Task.MIXED), code.times(row, 2 * self._width))
