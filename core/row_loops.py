"""Loops over rows of numbers in bfloat16: norms, activations, sums; and several loops in one go.

What lies between the products of a decoder takes longer to be started than to be done, one token
at a time. So each loop is here a function that all threads run, as the products are, and `run_all`
runs many one after the other, its threads waiting for each other in between.
Leaves out: what is computed (quick_rows.py), and which loops are run in one go (token_program.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Final

from llvmlite import ir

from core.vector_code import (
    FLOAT,
    FLOATS,
    INT,
    LANES,
    LONG,
    POINTER,
    SHORT,
    Code,
    Value,
    constant,
    same,
)
from core.vector_math import gelu_tanh, silu

COLUMNS_AT_ONCE: Final = 512  # that a thread takes of a row
_SUMS: Final = 4  # side by side, so that none waits for the one before
_PATIENCE: Final = 2048  # times that a thread looks whether the others are there, before it sleeps
_SHORTS: Final = ir.VectorType(SHORT, LANES)


class Task(IntEnum):
    """What the loops are told, in order; addresses among them."""

    NEXT_ITEM = 0
    NUM_ITEMS = 1
    NUM_COLUMNS = 2  # of the result, a multiple of 16
    ROWS = 3  # bfloat16, (num_rows, columns); of gates, each row's ups behind its gates
    RESULT = 4  # bfloat16, (num_rows, columns)
    WEIGHT = 5  # of a norm, bfloat16, (columns,)
    EPSILON = 6  # of a norm, float32


class Program(IntEnum):
    """What `run_all` is told, in order."""

    NUM_ARRIVED = 0  # threads behind a loop, counted on and on; 0 at first
    NUM_LOOPS = 1
    LOOPS = 2  # each loop's address and its task's, side by side
    TEAM_SIZE = 3  # the address of a function that tells how many threads there are


def module() -> ir.Module:
    """`norm`, `gate`, `gelu`, `add`, `run_all`: each thread runs them with the same task."""
    made = ir.Module()
    _norm(made)
    _by_columns(made, "gate", _gated)
    _by_columns(made, "gelu", lambda code, place, _: gelu_tanh(code, _loaded(code, place)))
    _by_columns(made, "add", _added)
    _run_all(made)
    return made


def num_items(num_rows: int, num_columns: int) -> int:
    """Into how many parts all loops but `norm` cut their rows."""
    return num_rows * -(-num_columns // COLUMNS_AT_ONCE)


def _loaded(code: Code, place: Value, base: Task = Task.ROWS) -> Value:
    """16 numbers, of which so many lie before."""
    return code.widened(code.load(_SHORTS, code.address(base), code.times(place, 2)))


def _kept(code: Code, numbers: Value, place: Value) -> None:
    """Write 16 numbers of the result, before which so many lie."""
    code.store(code.narrowed(numbers), code.address(Task.RESULT), code.times(place, 2))


def _norm(made: ir.Module) -> None:
    """Rows over the root of their mean square, times a weight: both rounded, as the oracle does.

    Source: Phi4MultimodalRMSNorm of transformers; Zhang and Sennrich, arXiv 1910.07467.
    """
    code = Code(made, "norm")
    builder, num_columns = code.builder, code.field(Task.NUM_COLUMNS)

    def row(number: Value) -> None:
        """One row: its squares first, then its numbers."""
        first = code.times(number, num_columns)

        def squares(column: Value, sums: list[Value]) -> list[Value]:
            numbers = _loaded(code, code.plus(first, column))
            return [*sums[1:], code.call("llvm.fma.v16f32", FLOATS, numbers, numbers, sums[0])]

        nothing = [same(FLOATS, 0.0)] * _SUMS
        sums = code.loop(constant(0), num_columns, squares, nothing, step=LANES)
        while len(sums) > 1:
            sums = [builder.fadd(*sums[:2]), *sums[2:]]
        mean = builder.fdiv(code.total(sums[0]), builder.sitofp(num_columns, FLOAT))
        epsilon = code.load(FLOAT, code.task, constant(8 * Task.EPSILON))
        root = code.call("llvm.sqrt.f32", FLOAT, builder.fadd(mean, epsilon))
        factor = code.spread(builder.fdiv(ir.Constant(FLOAT, 1.0), root))

        def scaled(column: Value, _: list[Value]) -> tuple[()]:
            place = code.plus(first, column)
            normed = code.rounded(builder.fmul(_loaded(code, place), factor))
            _kept(code, builder.fmul(normed, _loaded(code, column, Task.WEIGHT)), place)
            return ()

        code.loop(constant(0), num_columns, scaled, step=LANES)

    code.for_each_item(Task.NEXT_ITEM, Task.NUM_ITEMS, row)
    code.end()


def _by_columns(
    made: ir.Module, name: str, of: Callable[[Code, Value, tuple[Value, Value]], Value]
) -> None:
    """A loop each number of whose result depends on what lies at its own place.

    Args:
        of: gives 16 numbers of the result: of the code, how many numbers of the result lie before
            them, and of these the row's first and how many of the row.
    """
    code = Code(made, name)
    builder, num_columns = code.builder, code.field(Task.NUM_COLUMNS)
    num_parts = builder.sdiv(code.plus(num_columns, COLUMNS_AT_ONCE - 1), constant(COLUMNS_AT_ONCE))

    def part(item: Value) -> None:
        """Some columns of one row."""
        first = code.times(builder.sdiv(item, num_parts), num_columns)
        begin = code.times(builder.srem(item, num_parts), COLUMNS_AT_ONCE)
        end = code.smaller(code.plus(begin, COLUMNS_AT_ONCE), num_columns)

        def columns(column: Value, _: list[Value]) -> tuple[()]:
            place = code.plus(first, column)
            _kept(code, of(code, place, (first, column)), place)
            return ()

        code.loop(begin, end, columns, step=LANES)

    code.for_each_item(Task.NEXT_ITEM, Task.NUM_ITEMS, part)
    code.end()


def _gated(code: Code, _: Value, where: tuple[Value, Value]) -> Value:
    """The SiLU of what stands in the first half of a row of ROWS, times what is in the second."""
    first, column = where
    place = code.plus(code.times(first, 2), column)
    gate = code.rounded(silu(code, _loaded(code, place)))
    up = _loaded(code, code.plus(place, code.field(Task.NUM_COLUMNS)))
    return code.builder.fmul(gate, up)


def _added(code: Code, place: Value, _: tuple[Value, Value]) -> Value:
    """What the result holds already, and ROWS."""
    return code.builder.fadd(_loaded(code, place, Task.RESULT), _loaded(code, place))


def _run_all(made: ir.Module) -> None:
    """One loop after the other, each when all threads are behind the one before."""
    code = Code(made, "run_all")
    builder = code.builder
    size = builder.zext(code.call_at(code.field(Program.TEAM_SIZE), INT), LONG)
    loops = code.address(Program.LOOPS)
    arrived = code.at(code.task, constant(8 * Program.NUM_ARRIVED))

    def loop(number: Value, _: list[Value]) -> tuple[()]:
        at = code.times(number, 16)
        function, task = (code.load(LONG, loops, code.plus(at, more)) for more in (0, 8))
        code.call_at(function, ir.VoidType(), builder.inttoptr(task, POINTER))
        builder.atomic_rmw("add", arrived, constant(1), "acq_rel")
        _wait(code, arrived, code.times(code.plus(number, 1), size))
        return ()

    code.loop(constant(0), code.field(Program.NUM_LOOPS), loop)
    code.end()


def _wait(code: Code, counter: Value, wanted: Value) -> None:
    """Look at a number until it is as large as it should be; sleep if that takes long.

    A thread that only yielded would keep its core busy, and one that waits for a core where a
    stranger spins would not be moved to it.
    """
    builder = code.builder
    before = builder.block
    look, again, rest, behind = (code.function.append_basic_block() for _ in range(4))
    builder.branch(look)
    builder.position_at_end(look)
    times = builder.phi(LONG)
    found = builder.load_atomic(counter, "acquire", 8, typ=LONG)
    builder.cbranch(builder.icmp_signed("<", found, wanted), again, behind)
    builder.position_at_end(again)
    code.call("llvm.x86.sse2.pause", ir.VoidType())
    more = code.plus(times, 1)
    is_patient = builder.icmp_signed("!=", builder.srem(more, constant(_PATIENCE)), constant(0))
    builder.cbranch(is_patient, look, rest)
    builder.position_at_end(rest)
    code.call("usleep", INT, ir.Constant(INT, 1))
    builder.branch(look)
    for value, block in ((constant(0), before), (more, again), (more, rest)):
        times.add_incoming(value, block)
    builder.position_at_end(behind)
