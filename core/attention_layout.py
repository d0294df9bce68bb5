"""What the loops of attention are told, and how keys and values are laid out for them.

Two numbers of a key lie side by side, and those of 16 keys together; of values, 16 places of two,
by turns. Leaves out: the attention itself (attention_loops.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from llvmlite import ir

from core.vector_code import INT, INTS, LANES, SHORT, Code, Value, constant, same

KEYS_TOGETHER: Final = 32
NOT_SEEN: Final = -1e30  # the score of a key that a query does not see
_SHORTS: Final = ir.VectorType(SHORT, LANES)


class Task(IntEnum):
    """What the loops are told, in order; distances are in bytes."""

    NEXT_PACKED = 0
    NUM_PACKED = 1  # batch * kv_heads
    NEXT_ITEM = 2
    NUM_ITEMS = 3
    NEXT_THREAD = 4
    NUM_HEADS = 5
    NUM_KV_HEADS = 6
    NUM_QUERIES = 7
    NUM_KEYS = 8
    NUM_PADDED = 9  # keys, up to a multiple of KEYS_TOGETHER
    NUM_BEFORE = 10  # keys that the first query sees before its own; all keys if it sees them all
    SCALE = 11  # float32
    QUERIES = 12
    QUERY_BATCH = 13
    QUERY_HEAD = 14
    QUERY = 15
    KEYS = 16
    KEY_BATCH = 17
    KEY_HEAD = 18
    KEY = 19
    VALUES = 20
    VALUE_BATCH = 21
    VALUE_HEAD = 22
    VALUE = 23
    BIAS = 24  # float32, (batch, num_padded)
    PACKED_KEYS = 25  # (batch * kv_heads, num_padded / 32, width / 2, 2, 16, 2)
    PACKED_VALUES = 26  # (batch * kv_heads, units, num_padded / 2, 16, 2)
    SCORES = 27  # float32, (threads, 8, num_padded)
    WEIGHTS = 28  # bfloat16, (threads, 8, num_padded)
    MIXED = 29  # bfloat16, (batch, num_queries, num_heads, width)


def num_units(width: int) -> int:
    """How many vectors hold a value."""
    return -(-width // LANES)


def pack(made: ir.Module, width: int) -> None:
    """Keys and values -> the order in which they are multiplied."""
    code = Code(made, "pack")
    builder = code.builder
    num_padded, num_kv_heads = code.field(Task.NUM_PADDED), code.field(Task.NUM_KV_HEADS)

    def head(item: Value) -> None:
        """Of one head of one batch."""
        batch, number = builder.sdiv(item, num_kv_heads), builder.srem(item, num_kv_heads)

        def first(base: Task, by_batch: Task, by_head: Task) -> Value:
            of_batch = code.times(batch, code.field(by_batch))
            offset = code.plus(of_batch, code.times(number, code.field(by_head)))
            return code.at(code.address(base), offset)

        keys = first(Task.KEYS, Task.KEY_BATCH, Task.KEY_HEAD)
        values = first(Task.VALUES, Task.VALUE_BATCH, Task.VALUE_HEAD)
        in_keys = code.times(code.times(item, num_padded), 2 * width)
        _pack_keys(code, keys, code.at(code.address(Task.PACKED_KEYS), in_keys), width)
        in_values = code.times(code.times(item, num_padded), 2 * LANES * num_units(width))
        packed = code.at(code.address(Task.PACKED_VALUES), in_values)
        _pack_values(code, values, packed, width)

    code.for_each_item(Task.NEXT_PACKED, Task.NUM_PACKED, head)
    code.end()


def _pack_keys(code: Code, keys: Value, packed: Value, width: int) -> None:
    """Two numbers of 16 keys side by side; zeros for keys that are not there."""
    builder = code.builder
    num_keys, num_padded = code.field(Task.NUM_KEYS), code.field(Task.NUM_PADDED)

    def put(key: Value, source: Value | None) -> None:
        """A key's numbers, from where they lie, or zeros."""
        block = builder.sdiv(key, constant(KEYS_TOGETHER))
        lane = builder.srem(key, constant(KEYS_TOGETHER))
        first = code.plus(code.times(block, KEYS_TOGETHER * 2 * width), code.times(lane, 4))

        def pair(number: Value, _: list[Value]) -> tuple[()]:
            two = ir.Constant(INT, 0)
            if source is not None:
                two = code.load(INT, source, code.times(number, 4))
            code.store(two, packed, code.plus(first, code.times(number, 4 * KEYS_TOGETHER)))
            return ()

        code.loop(constant(0), constant(width // 2), pair)

    def given(key: Value, _: list[Value]) -> tuple[()]:
        put(key, code.at(keys, code.times(key, code.field(Task.KEY))))
        return ()

    def missing(key: Value, _: list[Value]) -> tuple[()]:
        put(key, None)
        return ()

    code.loop(constant(0), num_keys, given)
    code.loop(num_keys, num_padded, missing)


def _pack_values(code: Code, values: Value, packed: Value, width: int) -> None:
    """16 places of two values, by turns; zeros for values that are not there."""
    builder = code.builder
    num_keys, num_padded = code.field(Task.NUM_KEYS), code.field(Task.NUM_PADDED)
    nothing = same(_SHORTS, 0)

    def part(key: Value, unit: int) -> Value:
        """16 places of a value, or as many as are left, and zeros."""
        place = code.plus(code.times(key, code.field(Task.VALUE)), 2 * LANES * unit)
        num = min(LANES, width - LANES * unit)
        loaded = code.load(ir.VectorType(SHORT, num), values, place)
        if num == LANES:
            return loaded
        zeros = same(loaded.type, 0)
        lanes = ir.Constant(INTS, [*range(num), *[num] * (LANES - num)])
        return builder.shuffle_vector(loaded, zeros, lanes)

    def put(pair: Value, first: Sequence[Value], second: Sequence[Value]) -> None:
        for unit, (one, other) in enumerate(zip(first, second, strict=True)):
            turns = [lane // 2 + LANES * (lane % 2) for lane in range(2 * LANES)]
            mask = ir.Constant(ir.VectorType(INT, 2 * LANES), turns)
            both = builder.shuffle_vector(one, other, mask)
            place = code.plus(code.times(num_padded, unit * 2 * LANES), code.times(pair, 64))
            code.store(both, packed, place)

    units = range(num_units(width))
    num_whole, num_pairs = (builder.sdiv(num, constant(2)) for num in (num_keys, num_padded))

    def whole(pair: Value, _: list[Value]) -> tuple[()]:
        key = code.times(pair, 2)
        put(pair, [part(key, unit) for unit in units], [part(code.plus(key, 1), u) for u in units])
        return ()

    def half(pair: Value, _: list[Value]) -> tuple[()]:
        put(pair, [part(code.times(pair, 2), unit) for unit in units], [nothing] * len(units))
        return ()

    def missing(pair: Value, _: list[Value]) -> tuple[()]:
        put(pair, [nothing] * len(units), [nothing] * len(units))
        return ()

    num_begun = builder.sdiv(code.plus(num_keys, 1), constant(2))
    code.loop(constant(0), num_whole, whole)
    code.loop(num_whole, num_begun, half)
    code.loop(num_begun, num_pairs, missing)
