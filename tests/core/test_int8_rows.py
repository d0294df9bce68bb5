"""Products in int8 with a scale a token: close to the exact ones, whatever its numbers are."""

from __future__ import annotations

import pytest
import torch

from core import int8_rows
from core.int8_rows import int8_product, rounded

NUM_IN, NUM_OUT = 256, 96


def matrix() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    levels = torch.randint(-127, 128, (NUM_OUT, NUM_IN), generator=generator, dtype=torch.int8)
    return levels, torch.rand(NUM_OUT, generator=generator) + 0.5


def tokens(num: int) -> torch.Tensor:
    return torch.randn(num, NUM_IN, generator=torch.Generator().manual_seed(1))


def errors(rows: torch.Tensor, channels: slice = slice(None)) -> torch.Tensor:
    """Of what some channels add to each row's product, in units of the exact addition.

    Args:
        channels: those outside hold whole steps, so that all that is off is these channels'.
    """
    levels, scales = matrix()
    weights = levels.double() * scales.double()[:, None]
    exact = rows.double() @ weights.T
    added = rows[:, channels].double() @ weights[:, channels].T
    off = int8_product(rows, levels, scales).double() - exact
    return off.norm(dim=1) / added.norm(dim=1)


def test_a_product_is_off_by_little() -> None:
    assert errors(tokens(40)).max() < 0.02


@pytest.mark.parametrize("size", [10.0, 25.0, 127.0, 1270.0])
def test_a_number_that_towers_over_its_token_does_not_drown_the_others(size: float) -> None:
    rows = tokens(40)
    rows[::3, 0] = size
    assert errors(rows, slice(1, None)).max() < 0.1  # what NF4 costs


def test_without_the_second_token_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tokens(40)
    rows[::3, 0] = 1270.0
    monkeypatch.setattr(int8_rows, "LARGEST_STEP", torch.inf)
    assert errors(rows, slice(1, None)).max() > 0.9


def test_a_token_is_multiplied_the_same_alone_and_beside_others() -> None:
    rows = tokens(40)
    rows[::3, 5] = 300.0
    together = int8_product(rows, *matrix())
    for index, row in enumerate(rows):
        assert torch.equal(int8_product(row[None], *matrix())[0], together[index])


def test_so_many_tokens_that_they_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = tokens(41)
    rows[::3, 5] = 300.0
    at_once = int8_product(rows, *matrix())
    monkeypatch.setattr(int8_rows, "ROWS_AT_ONCE", 20)
    assert torch.equal(int8_product(rows, *matrix()), at_once)


def test_a_token_of_zeros_stays_one_and_types_are_kept() -> None:
    rows = torch.zeros(20, NUM_IN, dtype=torch.bfloat16)
    product = int8_product(rows, *matrix())
    assert product.dtype == torch.bfloat16
    assert product.shape == (20, NUM_OUT)
    assert not product.any()
    assert not rounded(rows.float())[0].any()
