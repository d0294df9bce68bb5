"""Matrices in int8 that are multiplied in int8: close to the exact ones, of any shape."""

from __future__ import annotations

import pytest
import torch

from core import quantize
from core.config import Quantization
from core.instructions import can_run_loops
from core.int8_weight import Int8RowsWeight, is_int8_quick
from core.quantize import Int8Weight, restored
from tests.core.rounding import FURTHEST_OFF

needs_instructions = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")


def random_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@needs_instructions
@pytest.mark.parametrize("shape", [(32, 64), (33, 65), (10, 100), (1030, 256), (96, 4)])
@pytest.mark.parametrize("num_rows", [1, 7, 130])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_products_are_nearly_the_exact_ones(
    shape: tuple[int, int], num_rows: int, dtype: torch.dtype
) -> None:
    matrix, rows = random_numbers(*shape), random_numbers(num_rows, shape[1]).to(dtype)
    weight = Int8RowsWeight(matrix, torch.bfloat16)
    assert weight.shape == shape
    product = weight.multiply(rows)
    assert (product.dtype, product.shape) == (dtype, (num_rows, shape[0]))
    exact = rows.double() @ matrix.double().T
    assert (product.double() - exact).norm() < FURTHEST_OFF * exact.norm()


@needs_instructions
def test_the_matrix_is_kept_to_half_a_step() -> None:
    matrix = random_numbers(70, 130)
    matrix[3] = 0.0
    matrix[4, 5] = 1000.0  # its block alone is coarse
    weight = Int8RowsWeight(matrix, torch.float32)
    off = (weight.dequantize() - matrix).abs()
    assert off[3].max() == 0.0
    assert off[4, 64:].max() < 0.02
    steps = matrix[:, :64].abs().amax(1, keepdim=True) / 127
    assert (off[:, :64] <= 0.53 * steps).all()


@needs_instructions
def test_what_is_stored_multiplies_the_same() -> None:
    weight, rows = Int8RowsWeight(random_numbers(40, 100), torch.bfloat16), random_numbers(3, 100)
    kind, tensors = weight.stored()
    again = restored(kind, tensors, torch.bfloat16)
    assert again.shape == (40, 100)
    assert torch.equal(again.multiply(rows), weight.multiply(rows))


@needs_instructions
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_large_matrices_are_multiplied_so_where_it_is_quick(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind: Quantization = "int8"
    matrix = random_numbers(32, 64)
    assert isinstance(quantize.quantize(matrix, kind, dtype, "small"), Int8Weight)
    monkeypatch.setattr(quantize, "INT8_ROWS_LEAST_NUMBERS", matrix.numel())
    weight = quantize.quantize(matrix, kind, dtype, "large")
    assert isinstance(weight, Int8RowsWeight if dtype == torch.bfloat16 else Int8Weight)
    assert is_int8_quick(dtype) == (dtype == torch.bfloat16)
