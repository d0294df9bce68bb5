"""The int4 weights of CPUs without AVX512-BF16: levels, both ways to multiply, the layout."""

from __future__ import annotations

import pytest
import torch

from core import int4_weight
from core.int4_weight import MAX_KERNEL_ROWS, Int4Weight, packed_together, unpacked_levels

SHAPES = [(64, 32), (96, 192), (256, 128), (1088, 64)]  # the last is unpacked in two pieces
FEW, MANY = MAX_KERNEL_ROWS, MAX_KERNEL_ROWS + 1


def random_matrix(num_out: int, num_in: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_out + num_in)
    return torch.randn(num_out, num_in, generator=generator) * 0.02


def error(ours: torch.Tensor, exact: torch.Tensor) -> float:
    return float((ours.double() - exact.double()).norm() / exact.double().norm())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("num_rows", [1, FEW, MANY, 3 * MANY])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_a_product_is_that_of_the_dequantized_matrix(
    shape: tuple[int, int], num_rows: int, dtype: torch.dtype
) -> None:
    weight = Int4Weight(random_matrix(*shape), torch.float32)
    x = torch.randn(2, num_rows, shape[1]).to(dtype)[:1]
    product = weight.multiply(x)
    assert (product.dtype, product.shape) == (dtype, (1, num_rows, shape[0]))
    assert error(product, x.double() @ weight.dequantize().double().T) < 0.005


@torch.inference_mode()
def test_no_number_is_further_off_than_half_a_level() -> None:
    matrix = random_matrix(128, 96)
    groups = matrix.view(128, -1, 32)
    level = (groups.amax(-1) - groups.amin(-1)) / 15
    off = (Int4Weight(matrix, torch.float32).dequantize() - matrix).view(128, -1, 32).abs().amax(-1)
    assert (off <= 0.56 * level).all()  # the scale and the middle are rounded to bfloat16


@torch.inference_mode()
def test_a_group_of_one_number_is_kept() -> None:
    matrix = random_matrix(32, 64)
    matrix[3, 32:] = 0.75
    matrix[4, :32] = 0.0
    kept = Int4Weight(matrix, torch.float32).dequantize()
    assert torch.allclose(kept[3, 32:], torch.tensor(0.75), atol=1e-6)
    assert torch.allclose(kept[4, :32], torch.tensor(0.0), atol=1e-6)


@pytest.mark.parametrize("shape", [(128, 64), (80, 32)])
@torch.inference_mode()
def test_an_unknown_layout_is_left_to_the_kernel(
    shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = random_matrix(*shape)
    known = Int4Weight(matrix, torch.float32).dequantize()
    monkeypatch.setattr(int4_weight, "packed_together", lambda: 0)
    weight = Int4Weight(matrix, torch.float32)
    assert error(weight.dequantize(), known) < 0.003  # the kernel's result is rounded
    x = torch.randn(MANY, shape[1])
    assert error(weight.multiply(x), x @ known.T) < 0.005


@pytest.mark.skipif(not packed_together(), reason="this machine's kernel has another layout")
def test_the_layout_is_read_back() -> None:
    levels = torch.randint(0, 16, (192, 64), dtype=torch.int32)
    codes = torch._convert_weight_to_int4pack_for_cpu(levels, 1)
    assert torch.equal(unpacked_levels(codes, packed_together()), levels.T)


def test_a_vectorised_kernel_has_a_known_layout() -> None:
    if not int4_weight.has_fast_int4_cpu():
        pytest.skip("this machine has no vectorised kernel")
    assert packed_together() in (32, 64)
