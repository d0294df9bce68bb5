"""bitsandbytes' fused kernel, called as it is: the same bits as through bitsandbytes."""

from __future__ import annotations

import pytest
import torch

from core import nf4_kernel, nf4_weight
from core.nf4_kernel import has_fused_kernel
from core.nf4_weight import Nf4Weight


def random_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


def without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf4_weight, "fused_multiply", lambda *_: None)


@pytest.mark.skipif(not has_fused_kernel(), reason="this CPU has no AVX512-BF16")
@pytest.mark.parametrize("shape", [(32, 64), (96, 192), (512, 128)])
@pytest.mark.parametrize("rows", [(1,), (1, 1), (3, 2), (100,)])
@torch.inference_mode()
def test_products_are_bitsandbytes_own(
    shape: tuple[int, int], rows: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, x = random_numbers(*shape), random_numbers(*rows, shape[1])
    quick = Nf4Weight(matrix, torch.bfloat16)
    without_the_kernel(monkeypatch)
    plain = Nf4Weight(matrix, torch.bfloat16)
    assert (quick._fused is None, plain._fused is None) == (False, True)
    assert torch.equal(quick.multiply(x), plain.multiply(x))
    assert quick.multiply(x).shape == (*rows, shape[0])
    assert torch.equal(quick.dequantize(), plain.dequantize())


@pytest.mark.skipif(not has_fused_kernel(), reason="this CPU has no AVX512-BF16")
@torch.inference_mode()
def test_rows_that_lie_apart_are_read_where_they_lie() -> None:
    weight, numbers = Nf4Weight(random_numbers(64, 128), torch.bfloat16), random_numbers(8, 256)
    for apart in (numbers[:, :128], numbers[::2, 128:], numbers[:, ::2], numbers.T[:128].T):
        assert torch.equal(weight.multiply(apart), weight.multiply(apart.contiguous()))


@pytest.mark.skipif(not has_fused_kernel(), reason="this CPU has no AVX512-BF16")
def test_no_rows_have_no_product() -> None:
    weight = Nf4Weight(random_numbers(64, 128), torch.bfloat16)
    assert weight.multiply(random_numbers(0, 3, 128)).shape == (0, 3, 64)


@pytest.mark.skipif(not has_fused_kernel(), reason="this CPU has no AVX512-BF16")
@torch.inference_mode()
def test_another_type_takes_the_way_through_bitsandbytes() -> None:
    weight = Nf4Weight(random_numbers(64, 128), torch.bfloat16)
    x = random_numbers(2, 128)
    assert weight.multiply(x.float()).dtype == torch.float32
    assert torch.equal(weight.multiply(x.float()).bfloat16(), weight.multiply(x))


def test_without_the_kernel_there_is_nothing_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf4_kernel, "_kernel", lambda: None)
    codes, absmax = torch.zeros(32, 32, dtype=torch.uint8), torch.zeros(1, 32).bfloat16()
    assert nf4_kernel.fused_multiply(codes, absmax) is None
