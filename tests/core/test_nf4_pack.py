"""NF4 packed in one pass: the same bytes as bitsandbytes lays out, whatever the matrix holds."""

from __future__ import annotations

import bitsandbytes
import pytest
import torch

from core import nf4_pack, nf4_weight
from core.nf4_weight import Nf4Weight


def random_matrix(num_out: int, num_in: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_in)
    return torch.randn(num_out, num_in, generator=generator).bfloat16()


def packed_by_bitsandbytes(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    functional = bitsandbytes.functional
    given = functional.quantize_4bit(
        matrix, blocksize=64, quant_type="nf4", compress_statistics=False
    )
    codes, state = functional._convert_weight_packed_for_cpu(*given)
    return codes, state.absmax


def packed(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return nf4_pack.packed(matrix, bitsandbytes.functional.get_4bit_type("nf4", device="cpu"))


@pytest.mark.parametrize("shape", [(32, 64), (96, 192), (160, 128), (2080, 64)])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_codes_and_scales_are_those_of_bitsandbytes(
    shape: tuple[int, int], num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    matrix = random_matrix(*shape)
    for ours, theirs in zip(packed(matrix), packed_by_bitsandbytes(matrix), strict=True):
        assert ours.shape == theirs.shape
        assert torch.equal(ours, theirs)


def test_a_number_at_a_border_gets_the_code_that_the_plain_way_gives_it() -> None:
    """Zeros, tiny blocks, the largest numbers, and all that lie just between two levels."""
    levels = bitsandbytes.functional.get_4bit_type("nf4", device="cpu")
    middles = (levels[1:] + levels[:-1]) / 2
    matrix = random_matrix(64, 256)
    matrix[3, 64:128] = 0.0
    matrix[4] = 1e-38 * matrix[4].sign()
    matrix[5, ::7] = 3e38
    matrix[6:8, :64] = torch.cat((middles, -middles, middles * 3, torch.ones(19))).bfloat16()
    codes, scales = packed(matrix)
    expected = nf4_weight._nf4_quantize(matrix)
    theirs, state = bitsandbytes.functional._convert_weight_packed_for_cpu(*expected)
    assert torch.equal(codes, theirs)
    assert torch.equal(scales, state.absmax)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_large_matrix_is_packed_so_and_a_small_one_without_compiling(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nf4_weight, "has_fast_nf4_cpu", lambda: True)
    matrix = random_matrix(96, 128).to(dtype)
    monkeypatch.setattr(nf4_weight, "PACK_LEAST_NUMBERS", matrix.numel())
    large = Nf4Weight(matrix, torch.bfloat16)
    monkeypatch.setattr(nf4_weight, "PACK_LEAST_NUMBERS", matrix.numel() + 1)
    monkeypatch.setattr(nf4_pack, "compiled", lambda: pytest.fail("compiled"))
    small = Nf4Weight(matrix, torch.bfloat16)
    assert large.shape == small.shape == (96, 128)
    assert large._state.packing_format_for_cpu
    (kind, ours), (same_kind, theirs) = large.stored(), small.stored()
    assert kind == same_kind
    assert all(torch.equal(ours[part], tensor) for part, tensor in theirs.items())
