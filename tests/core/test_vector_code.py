"""Code made of vector instructions: it computes what its builder says, on the threads there are."""

from __future__ import annotations

from ctypes import addressof, c_int64

import pytest
import torch
from llvmlite import binding, ir

from core import openmp
from core.vector_code import FLOATS, INT, INTS, SHORT, Code, Compiled, constant, cpu_features, same

pytestmark = pytest.mark.skipif(not openmp.is_there(), reason="PyTorch's threads are others")
SHORTS = ir.VectorType(SHORT, 16)


def run(made: ir.Module, *fields: int | torch.Tensor) -> list[int]:
    """Run the module's function "f" with a task; the task's numbers afterwards."""
    compiled = Compiled(made)
    numbers = [each.data_ptr() if isinstance(each, torch.Tensor) else each for each in fields]
    task = (c_int64 * len(numbers))(*numbers)
    openmp.run(compiled.address("f"), addressof(task))
    return list(task)


def test_every_item_is_taken_once() -> None:
    made = ir.Module()
    code = Code(made, "f")

    def item(number) -> None:  # type: ignore[no-untyped-def]
        place = code.times(number, 4)
        before = code.load(INT, code.address(2), place)
        code.store(code.builder.add(before, ir.Constant(INT, 1)), code.address(2), place)

    code.for_each_item(0, 1, item)
    code.end()
    taken = torch.zeros(1000, dtype=torch.int32)
    run(made, 0, 1000, taken)
    assert taken.tolist() == [1] * 1000


@pytest.mark.parametrize(("first", "end", "step"), [(0, 10, 1), (3, 3, 1), (2, 11, 4), (5, 1, 1)])
def test_a_loop_counts_as_range_does(first: int, end: int, step: int) -> None:
    made = ir.Module()
    code = Code(made, "f")
    sums = code.loop(
        code.field(0),
        code.field(1),
        lambda count, kept: [code.plus(kept[0], count)],
        [constant(0)],
        step,
    )
    code.store(sums[0], code.task, constant(16))
    code.end()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert run(made, first, end, 0)[2] == sum(range(first, end, step))
    finally:
        torch.set_num_threads(threads)


def test_numbers_are_rounded_to_bfloat16_as_pytorch_does() -> None:
    made = ir.Module()
    code = Code(made, "f")
    floats = code.load(FLOATS, code.address(0), constant(0))
    code.store(code.narrowed(floats), code.address(1), constant(0))
    shorts = code.load(SHORTS, code.address(2), constant(0))
    code.store(code.widened(shorts), code.address(3), constant(0))
    code.end()
    given = torch.randn(16, generator=torch.Generator().manual_seed(0))
    given[:4] = torch.tensor([1.00390625, 1.01171875, -1.00390625, 0.0])  # between two, and none
    narrow, wide = torch.zeros(16, dtype=torch.bfloat16), torch.zeros(16)
    run(made, given, narrow, given.bfloat16(), wide)
    assert torch.equal(narrow, given.bfloat16())
    assert torch.equal(wide, given.bfloat16().float())


def test_one_number_is_spread_and_lanes_are_picked() -> None:
    made = ir.Module()
    code = Code(made, "f")
    numbers = code.load(INTS, code.address(0), constant(0))
    added = code.builder.add(code.pick(numbers, range(15, -1, -1)), same(INTS, 100))
    spread = code.spread(code.load(INT, code.address(0), constant(8)))
    code.store(code.builder.add(added, spread), code.address(1), constant(0))
    code.end()
    result = torch.zeros(16, dtype=torch.int32)
    run(made, torch.arange(16, dtype=torch.int32), result)
    assert result.tolist() == [15 - lane + 100 + 2 for lane in range(16)]


def test_a_cpu_that_llvm_does_not_know_has_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RuntimeError("host CPU features not available")

    cpu_features.cache_clear()
    monkeypatch.setattr(binding, "get_host_cpu_features", refuse)
    try:
        assert cpu_features() == frozenset()
    finally:
        cpu_features.cache_clear()
