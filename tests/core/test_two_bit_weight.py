"""Matrices in two bits: products near enough to find the largest, whatever towers over the rest."""

from __future__ import annotations

import pytest
import torch

from core import two_bit_weight
from core.head import NUM_RESCORED
from core.instructions import can_run_loops
from core.quantize import restored, weight_bytes
from core.two_bit_weight import TwoBitWeight, fits_two_bits, rotated, rotated_back
from tests.core.rounding import FURTHEST_OFF

needs_instructions = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
SHAPES = ((32, 64), (96, 192), (64, 3072), (1056, 128))
# What four levels evenly apart lose of a normal distribution: 0.1188 of its variance (Max, 1960).
LEAST_LOST = 0.1188**0.5


def random_numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


def random_signs(num: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num)
    return torch.randint(2, (num,), generator=generator, dtype=torch.int8) * 2 - 1


@pytest.mark.parametrize("width", [64, 192, 256, 1280, 3072])
def test_rotating_both_sides_changes_no_product_and_is_undone(width: int) -> None:
    signs, rows, others = (
        random_signs(width),
        random_numbers(5, width),
        random_numbers(7, width, seed=1),
    )
    product = rotated(rows, signs) @ rotated(others, signs).T
    torch.testing.assert_close(product, rows @ others.T, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(rotated_back(rotated(rows, signs), signs), rows)


@pytest.mark.parametrize("place", [0, 500, 3071])
def test_a_number_that_towers_is_spread_over_a_thousand(place: int) -> None:
    row = torch.zeros(1, 3072)
    row[0, place] = 1.0
    spread = rotated(row, random_signs(3072)).abs()
    stretch = place // 1024
    assert torch.allclose(spread[0, 1024 * stretch :][:1024], torch.tensor(1 / 32))
    assert spread.sum() == pytest.approx(32.0)


@needs_instructions
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_rows", [1, 2, 7, 130])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_those_of_the_matrix_that_is_held(
    shape: tuple[int, int], num_rows: int, dtype: torch.dtype
) -> None:
    weight = TwoBitWeight(random_numbers(*shape), torch.float32)
    assert weight.shape == shape
    rows = random_numbers(num_rows, shape[1], seed=2).to(dtype)
    product = weight.multiply(rows)
    assert (product.dtype, product.shape) == (dtype, (num_rows, shape[0]))
    exact = rows.double() @ weight.dequantize().double().T
    assert (product - exact).norm() < FURTHEST_OFF * exact.norm()


@needs_instructions
def test_a_normal_distribution_loses_about_the_least_that_two_bits_can() -> None:
    matrix = random_numbers(512, 3072) * 0.02
    lost = (TwoBitWeight(matrix, torch.float32).dequantize() - matrix).norm() / matrix.norm()
    assert lost == pytest.approx(LEAST_LOST, rel=0.02)


@needs_instructions
@pytest.mark.parametrize("columns", [[3, 70, 900], list(range(0, 1024, 20))])
def test_the_largest_product_is_found_where_some_numbers_tower_over_others(
    columns: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, rows = random_numbers(8192, 1024) * 0.02, random_numbers(128, 1024, seed=3)
    matrix[:, columns] *= 20.0
    rows[:, [3, 500]] *= 20.0
    best = (rows @ matrix.T).argmax(1, keepdim=True)

    def lowest_rank_of_the_best() -> int:
        found = TwoBitWeight(matrix, torch.float32).multiply(rows)
        return int((found > found.gather(1, best)).sum(1).max())

    assert lowest_rank_of_the_best() < NUM_RESCORED // 2  # of 8192
    monkeypatch.setattr(two_bit_weight, "rotated", lambda rows, signs: rows.float())
    assert lowest_rank_of_the_best() > 2 * NUM_RESCORED


@needs_instructions
def test_rows_of_zeros_stay_next_to_nothing() -> None:
    matrix = random_numbers(64, 128)
    matrix[5] = 0.0
    held = TwoBitWeight(matrix, torch.float32).dequantize()
    assert held[5].abs().max() < 1e-20
    assert held[6].abs().max() > 0.1


@needs_instructions
def test_what_is_stored_multiplies_the_same_and_takes_two_bits() -> None:
    weight, rows = TwoBitWeight(random_numbers(96, 1024), torch.bfloat16), random_numbers(3, 1024)
    kind, tensors = weight.stored()
    again = restored(kind, tensors, torch.bfloat16)
    assert again.shape == (96, 1024)
    assert torch.equal(again.multiply(rows), weight.multiply(rows))
    bits = 8 * weight_bytes(weight) / (96 * 1024)
    assert 2.25 <= bits < 2.4  # with a scale of 16 bits for 64 numbers; and the signs


@needs_instructions
def test_a_row_has_the_same_product_whatever_is_beside_it() -> None:
    weight, rows = TwoBitWeight(random_numbers(320, 256), torch.bfloat16), random_numbers(70, 256)
    alone = torch.cat([weight.multiply(row[None]) for row in rows])
    assert torch.equal(weight.multiply(rows), alone)


@pytest.mark.parametrize(
    ("shape", "is_fit"),
    [((200064, 3072), True), ((32, 64), True), ((33, 64), False), ((32, 96), False)],
)
def test_only_shapes_without_a_rest_fit(shape: tuple[int, int], is_fit: bool) -> None:
    assert fits_two_bits(shape) == is_fit
