"""Machine code of vector instructions, written in LLVM's own language by llvmlite.

For loops whose speed is that of one instruction, which neither PyTorch nor Numba can be asked for.
A function takes one argument, a task: whole numbers of 64 bits side by side, some of them
addresses.
Leaves out: the loops (int8_loops.py) and the threads that run them (openmp.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import llvmlite
from llvmlite import binding, ir

from core import kept_code

BYTE: Final = ir.IntType(8)
SHORT: Final = ir.IntType(16)
INT: Final = ir.IntType(32)
LONG: Final = ir.IntType(64)
FLOAT: Final = ir.FloatType()
POINTER: Final = ir.PointerType()
LANES: Final = 16  # 32-bit numbers in a vector of 512 bits
INTS: Final = ir.VectorType(INT, LANES)
FLOATS: Final = ir.VectorType(FLOAT, LANES)
Value = Any  # llvmlite's own are not typed
Body = Callable[[Value, list[Value]], Sequence[Value]]


def constant(number: int) -> Value:
    """A whole number of 64 bits."""
    return ir.Constant(LONG, number)


def same(type_: Any, number: float) -> Value:
    """A vector of one number throughout."""
    return ir.Constant(type_, [number] * type_.count)


class Code:
    """A function in the making.

    Args:
        module: what it becomes a part of.
        name: of the function.
        num_more: how many whole numbers of 64 bits it takes behind the task.
    """

    def __init__(self, module: ir.Module, name: str, num_more: int = 0) -> None:
        self.module = module
        kind = ir.FunctionType(ir.VoidType(), [POINTER] + [LONG] * num_more)
        self.function = ir.Function(module, kind, name)
        self.task, *self.more = self.function.args
        self.builder = ir.IRBuilder(self.function.append_basic_block())

    def field(self, number: int) -> Value:
        """A number of the task."""
        return self.load(LONG, self.task, constant(8 * number))

    def address(self, number: int) -> Value:
        """A number of the task, as an address."""
        return self.builder.inttoptr(self.field(number), POINTER)

    def at(self, base: Value, offset: Value) -> Value:
        """The address some bytes behind another."""
        return self.builder.gep(base, [offset], source_etype=BYTE)

    def load(self, type_: Any, base: Value, offset: Value) -> Value:
        """What lies some bytes behind an address."""
        return self.builder.load(self.at(base, offset), typ=type_, align=1)

    def store(self, value: Value, base: Value, offset: Value) -> None:
        """Put a value some bytes behind an address."""
        self.builder.store(value, self.at(base, offset), align=1)

    def fetch(self, address: Value) -> None:
        """Have memory read that will be needed soon; nothing happens where there is none."""
        to_read, to_all_caches, is_data = (ir.Constant(INT, each) for each in (0, 3, 1))
        self.call("llvm.prefetch.p0", ir.VoidType(), address, to_read, to_all_caches, is_data)

    def times(self, one: Value, other: Value | int) -> Value:
        """A product of whole numbers."""
        return self.builder.mul(one, constant(other) if isinstance(other, int) else other)

    def plus(self, one: Value, other: Value | int) -> Value:
        """A sum of whole numbers."""
        return self.builder.add(one, constant(other) if isinstance(other, int) else other)

    def smaller(self, one: Value, other: Value) -> Value:
        """The smaller of two whole numbers."""
        return self.builder.select(self.builder.icmp_signed("<", one, other), one, other)

    def call(self, name: str, result: Any, *values: Value) -> Value:
        """Call one of LLVM's intrinsics, or another function of the module."""
        return self.builder.call(self._declared(name, result, values), values)

    def call_at(self, address: Value, result: Any, *values: Value) -> Value:
        """Call the function that begins at an address, a whole number."""
        kind = ir.FunctionType(result, [value.type for value in values])
        return self.builder.call(self.builder.inttoptr(address, ir.PointerType(kind)), values)

    def _declared(self, name: str, result: Any, values: Sequence[Value]) -> Value:
        """A function of the module by its name, which is made known to it."""
        known = self.module.globals.get(name)
        if known is None:
            kind = ir.FunctionType(result, [value.type for value in values])
            known = ir.Function(self.module, kind, name)
        return known

    def spread(self, number: Value) -> Value:
        """A vector of one number throughout."""
        nothing = ir.Constant(ir.VectorType(number.type, LANES), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(INT, 0))
        return self.builder.shuffle_vector(first, nothing, same(INTS, 0))

    def pick(self, vector: Value, lanes: Sequence[int]) -> Value:
        """The numbers in some lanes of a vector."""
        nothing = ir.Constant(vector.type, ir.Undefined)
        mask = ir.Constant(ir.VectorType(INT, len(lanes)), list(lanes))
        return self.builder.shuffle_vector(vector, nothing, mask)

    def widened(self, shorts: Value) -> Value:
        """Numbers in bfloat16 as float32: the same bits, and zeros behind them."""
        ints, floats = (ir.VectorType(kind, shorts.type.count) for kind in (INT, FLOAT))
        wide = self.builder.zext(shorts, ints)
        return self.builder.bitcast(self.builder.shl(wide, same(ints, 16)), floats)

    def narrowed(self, floats: Value) -> Value:
        """Numbers in float32 as bfloat16, the nearest, and of two the even one."""
        ints, shorts = (ir.VectorType(kind, floats.type.count) for kind in (INT, SHORT))
        bits = self.builder.bitcast(floats, ints)
        is_odd = self.builder.and_(self.builder.lshr(bits, same(ints, 16)), same(ints, 1))
        moved = self.builder.add(self.builder.add(bits, same(ints, 0x7FFF)), is_odd)
        return self.builder.trunc(self.builder.lshr(moved, same(ints, 16)), shorts)

    def rounded(self, floats: Value) -> Value:
        """Numbers in float32, rounded to what bfloat16 can hold."""
        return self.widened(self.narrowed(floats))

    def total(self, floats: Value) -> Value:
        """The sum of a vector's 16 numbers, in whatever order."""
        values = ir.Constant(FLOAT, -0.0), floats
        add = self._declared("llvm.vector.reduce.fadd.v16f32", FLOAT, values)
        return self.builder.call(add, values, fastmath=("reassoc",))

    def loop(
        self, first: Value, end: Value, body: Body, carried: Sequence[Value] = (), step: int = 1
    ) -> list[Value]:
        """Count from `first` to below `end`.

        Args:
            body: is given the count and what is carried, and returns what is carried on.
            carried: at first.
        Returns:
            What is carried in the end.
        """
        before = self.builder.block
        head, inside, behind = (self.function.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        count = self.builder.phi(LONG)
        kept = [self.builder.phi(value.type) for value in carried]
        self.builder.cbranch(self.builder.icmp_signed("<", count, end), inside, behind)
        self.builder.position_at_end(inside)
        new = body(count, kept)
        following = self.plus(count, step)
        for phi, at_first, later in zip(
            [count, *kept], [first, *carried], [following, *new], strict=True
        ):
            phi.add_incoming(at_first, before)
            phi.add_incoming(later, self.builder.block)
        self.builder.branch(head)
        self.builder.position_at_end(behind)
        return kept

    def for_each_item(self, next_: int, num: int, body: Callable[[Value], None]) -> None:
        """Take items that no other thread has taken, as long as there are any.

        Args:
            next_, num: the task's fields that have the next item, 0 at first, and their number.
            body: is given an item's number.
        """
        head, inside, behind = (self.function.append_basic_block() for _ in range(3))
        self.builder.branch(head)
        self.builder.position_at_end(head)
        place = self.at(self.task, constant(8 * next_))
        item = self.builder.atomic_rmw("add", place, constant(1), "monotonic")
        self.builder.cbranch(self.builder.icmp_signed("<", item, self.field(num)), inside, behind)
        self.builder.position_at_end(inside)
        body(item)
        self.builder.branch(head)
        self.builder.position_at_end(behind)

    def end(self) -> None:
        """The function returns here."""
        self.builder.ret_void()


@cache
def cpu_features() -> frozenset[str]:
    """What this CPU has, in LLVM's words ("avx512vnni"); nothing where LLVM cannot tell."""
    try:
        found = binding.get_host_cpu_features()
    except RuntimeError:
        return frozenset()
    return frozenset(name for name, is_there in found.items() if is_there)


class Compiled:
    """A module's functions in machine code for this CPU.

    Args:
        module: what to compile.
    """

    def __init__(self, module: ir.Module) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        cpu, features = binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()
        machine = binding.Target.from_default_triple().create_target_machine(
            cpu=cpu, features=features, opt=2
        )
        code = str(module)
        name = kept_code.key(code, cpu, features, llvmlite.__version__)
        found = kept_code.find(name)
        parsed = binding.parse_assembly("" if found else code)
        # It keeps the code alive.
        self._engine = binding.create_mcjit_compiler(parsed, machine)
        if found:
            self._engine.add_object_file(binding.ObjectFileRef.from_data(found))
        else:
            parsed.verify()
            options = binding.create_pipeline_tuning_options(speed_level=2)
            builder = binding.create_pass_builder(machine, options)
            builder.getModulePassManager().run(parsed, builder)
            kept_code.keep(name, machine.emit_object(parsed))
        self._engine.finalize_object()

    def address(self, name: str) -> int:
        """Where a function begins."""
        return int(self._engine.get_function_address(name))
