"""Routed LoRA: each row gets its own adapter's share and nobody else's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from core.adapters import LoraFactors, RoutedLinear, RowAdapters
from core.quantize import PlainWeight
from core.router import AdapterName


@pytest.fixture
def linear() -> RoutedLinear:
    torch.manual_seed(0)
    loras: dict[AdapterName, LoraFactors] = {
        "speech": LoraFactors(plain(3, 16), plain(8, 3)),
        "vision": LoraFactors(plain(5, 16), plain(8, 5)),
    }
    return RoutedLinear(plain(8, 16), loras)


def plain(num_out: int, num_in: int) -> PlainWeight:
    return PlainWeight(torch.randn(num_out, num_in))


@pytest.mark.parametrize(
    ("adapters", "runs"),
    [
        ([], ()),
        ([None, None], ()),
        (["speech"], (("speech", slice(0, 1)),)),
        (
            [None, "speech", "speech", "vision"],
            (("speech", slice(1, 3)), ("vision", slice(3, 4))),
        ),
        (
            ["vision", None, "vision"],
            (("vision", slice(0, 1)), ("vision", slice(2, 3))),
        ),
    ],
)
def test_rows_fall_into_runs_of_one_adapter(
    adapters: Sequence[AdapterName | None], runs: tuple[tuple[AdapterName, slice], ...]
) -> None:
    assert RowAdapters.of_rows(adapters).runs == runs


def test_each_row_gets_its_own_adapters_share(linear: RoutedLinear) -> None:
    x = torch.randn(4, 6, 16)
    adapters: list[AdapterName | None] = ["speech", None, "vision", "speech"]
    y = linear(x, RowAdapters.of_rows(adapters))
    for row, adapter in enumerate(adapters):
        weight = linear.base.dequantize()
        if adapter is not None:
            lora = linear.loras[adapter]
            weight = weight + lora.up.dequantize() @ lora.down.dequantize()
        torch.testing.assert_close(y[row], x[row] @ weight.T, rtol=1e-4, atol=1e-4)


def test_rows_without_an_adapter_are_the_bases_bit_for_bit(linear: RoutedLinear) -> None:
    x = torch.randn(3, 5, 16)
    bare = RoutedLinear(linear.base, {})
    expected = bare(x, RowAdapters(()))
    assert torch.equal(linear(x, RowAdapters.of_rows([None, None, None])), expected)
    mixed = linear(x, RowAdapters.of_rows(["vision", None, "speech"]))
    assert torch.equal(mixed[1], expected[1])
    assert not torch.allclose(mixed[0], expected[0])


def test_the_input_is_left_alone(linear: RoutedLinear) -> None:
    x = torch.randn(2, 1, 16)
    kept = x.clone()
    linear(x, RowAdapters.of_rows(["speech", "vision"]))
    assert torch.equal(x, kept)
