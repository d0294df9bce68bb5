"""Products in int8: near the exact ones, and the same for a row whatever is beside it."""

from __future__ import annotations

import pytest
import torch

from core import openmp, vector_code
from core.instructions import NEEDED, can_run_loops
from core.nf4_rows_weight import Nf4RowsWeight
from core.nf4_weight import Nf4Weight
from core.quantize import quantize
from tests.core.rounding import FURTHEST_OFF, STEPS

needs_instructions = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")


def random_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


def multiplied(weight: Nf4RowsWeight, rows: torch.Tensor) -> torch.Tensor:
    return weight.in_int8(rows)


@needs_instructions
@pytest.mark.parametrize("shape", [(32, 64), (96, 192), (160, 128), (512, 1024)])
@pytest.mark.parametrize("num_rows", [1, 2, 3, 8, 15, 127, 128, 300])
def test_products_are_nearly_those_of_the_matrix_itself(
    shape: tuple[int, int], num_rows: int
) -> None:
    weight, rows = (
        Nf4RowsWeight(random_numbers(*shape), torch.bfloat16),
        random_numbers(num_rows, shape[1]),
    )
    product = multiplied(weight, rows)
    assert (product.dtype, product.shape) == (torch.bfloat16, (num_rows, shape[0]))
    exact = rows.double() @ weight.dequantize().double().T
    assert (product - exact).norm() < FURTHEST_OFF * exact.norm()


@needs_instructions
def test_whole_numbers_are_multiplied_exactly() -> None:
    """Levels of one size each, and activations that are whole steps."""
    matrix = torch.zeros(64, 128, dtype=torch.bfloat16)
    matrix[torch.arange(64), torch.arange(64)] = 1.0
    matrix[torch.arange(64), 127 - torch.arange(64)] = -2.0
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(-STEPS, STEPS + 1, (5, 128), generator=generator)
    rows[:, 0] = rows[:, 127] = STEPS  # of each 64, one is the largest, so that a step is 1
    product = multiplied(Nf4RowsWeight(matrix, torch.bfloat16), rows.bfloat16())
    expected = rows[:, :64] - 2 * rows[:, 64:].flip(1)
    assert torch.equal(product, expected.float().bfloat16())


@needs_instructions
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_a_row_has_the_same_product_whatever_is_beside_it(num_threads: int) -> None:
    weight, rows = Nf4RowsWeight(random_numbers(320, 256), torch.bfloat16), random_numbers(141, 256)
    before = torch.get_num_threads()
    alone = torch.cat([multiplied(weight, row[None]) for row in rows])
    torch.set_num_threads(num_threads)
    try:
        assert torch.equal(multiplied(weight, rows), alone)
    finally:
        torch.set_num_threads(before)


@needs_instructions
def test_a_number_that_towers_over_its_row_spoils_its_64_alone() -> None:
    weight, rows = Nf4RowsWeight(random_numbers(96, 256), torch.bfloat16), random_numbers(4, 256)
    rows[:, 70] = 3000.0
    rest = rows.clone()
    rest[:, 64:128] = 0.0
    matrix = weight.dequantize().double()
    off = multiplied(weight, rows) - rows.double() @ matrix.T
    assert off.norm() < 0.01 * (rows[:, 64:128].double() @ matrix[:, 64:128].T).norm()
    exact = rest.double() @ matrix.T
    assert (multiplied(weight, rest) - exact).norm() < FURTHEST_OFF * exact.norm()


@needs_instructions
def test_rows_of_nothing_and_no_rows_are_multiplied_too() -> None:
    weight = Nf4RowsWeight(random_numbers(32, 64), torch.bfloat16)
    assert torch.equal(
        multiplied(weight, torch.zeros(3, 64).bfloat16()), torch.zeros(3, 32).bfloat16()
    )
    assert multiplied(weight, torch.zeros(0, 64).bfloat16()).shape == (0, 32)


@needs_instructions
def test_rows_may_lie_apart_and_have_more_dimensions() -> None:
    weight, rows = Nf4RowsWeight(random_numbers(96, 64), torch.bfloat16), random_numbers(2, 3, 128)
    apart = rows[..., ::2]
    assert torch.equal(multiplied(weight, apart), multiplied(weight, apart.contiguous()))
    assert multiplied(weight, apart).shape == (2, 3, 96)


@needs_instructions
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_rows_may_be_of_either_type(dtype: torch.dtype) -> None:
    weight, rows = Nf4RowsWeight(random_numbers(96, 64), torch.bfloat16), random_numbers(3, 64)
    product = weight.multiply(rows.to(dtype))
    assert product.dtype == dtype
    assert torch.equal(product.bfloat16(), multiplied(weight, rows))


@pytest.mark.parametrize("is_missing", ["an instruction", "the threads"])
def test_where_something_is_missing_bitsandbytes_multiplies(
    is_missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_missing == "the threads":
        monkeypatch.setattr(openmp, "is_there", lambda: False)
    else:
        some = frozenset(NEEDED - {"avx2"})
        monkeypatch.setattr(vector_code, "cpu_features", lambda: some)
    can_run_loops.cache_clear()
    try:
        weight = quantize(random_numbers(96, 192), "nf4", torch.bfloat16, "w")
        assert isinstance(weight, Nf4Weight)
    finally:
        can_run_loops.cache_clear()


def test_other_threads_than_gccs_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for changed in (
        (torch.__config__, "parallel_info", lambda: "native"),
        (openmp, "LIBRARY", "libno.so"),
    ):
        openmp._library.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(*changed)
            assert not openmp.is_there()
    openmp._library.cache_clear()
