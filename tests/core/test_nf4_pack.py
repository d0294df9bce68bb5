"""NF4 for our loops: bitsandbytes' own codes, in one pass or in many, whatever the matrix holds."""

from __future__ import annotations

import bitsandbytes
import pytest
import torch

from core import nf4_codes, nf4_pack, nf4_rows_weight
from core.int8_layout import in_fours, in_stretches, packed
from core.nf4_rows_weight import Nf4RowsWeight


def random_matrix(num_out: int, num_in: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_in)
    return torch.randn(num_out, num_in, generator=generator).bfloat16()


def by_bitsandbytes(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes laid out as ours are, and scales."""
    given, state = bitsandbytes.functional.quantize_4bit(
        matrix, blocksize=64, quant_type="nf4", compress_statistics=False
    )
    codes = torch.stack((given >> 4, given & 15), -1).view(matrix.shape)
    largest = in_stretches(state.absmax.view(len(matrix), -1).bfloat16())
    return packed(in_fours(codes), 4), largest


def test_the_levels_are_those_of_bitsandbytes() -> None:
    theirs = bitsandbytes.functional.get_4bit_type("nf4", device="cpu")
    assert torch.equal(nf4_codes.levels(), theirs)


@pytest.mark.parametrize("shape", [(32, 64), (96, 192), (160, 128), (2080, 64)])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_codes_and_scales_are_those_of_bitsandbytes(
    shape: tuple[int, int], num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    matrix = random_matrix(*shape)
    for ours, theirs in zip(nf4_pack.packed(matrix), by_bitsandbytes(matrix), strict=True):
        assert ours.shape == theirs.shape
        assert torch.equal(ours, theirs)


def test_a_number_at_a_border_gets_the_code_that_the_plain_way_gives_it() -> None:
    """Zeros, tiny blocks, the largest numbers, and all that lie just between two levels."""
    middles = nf4_codes.middles()
    matrix = random_matrix(64, 256)
    matrix[3, 64:128] = 0.0
    matrix[4] = 1e-38 * matrix[4].sign()
    matrix[5, ::7] = 3e38
    matrix[6:8, :64] = torch.cat((middles, -middles, middles * 3, torch.ones(19))).bfloat16()
    codes, scales = nf4_pack.packed(matrix)
    plain, largest = nf4_codes.nf4_codes(matrix)
    assert torch.equal(codes, packed(in_fours(plain), 4))
    assert torch.equal(scales, in_stretches(largest.bfloat16()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_large_matrix_is_packed_so_and_a_small_one_without_compiling(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = random_matrix(96, 128).to(dtype)
    monkeypatch.setattr(nf4_rows_weight, "PACK_LEAST_NUMBERS", matrix.numel())
    large = Nf4RowsWeight(matrix, torch.bfloat16)
    monkeypatch.setattr(nf4_rows_weight, "PACK_LEAST_NUMBERS", matrix.numel() + 1)
    monkeypatch.setattr(nf4_pack, "compiled", lambda: pytest.fail("compiled"))
    small = Nf4RowsWeight(matrix, torch.bfloat16)
    assert large.shape == small.shape == (96, 128)
    (kind, ours), (same_kind, theirs) = large.stored(), small.stored()
    assert kind == same_kind == "nf4 rows"
    assert all(torch.equal(ours[part], tensor) for part, tensor in theirs.items())


def test_what_is_kept_is_what_bitsandbytes_keeps() -> None:
    matrix = random_matrix(96, 128).float()
    given, state = bitsandbytes.functional.quantize_4bit(
        matrix, blocksize=64, quant_type="nf4", compress_statistics=False
    )
    state.absmax = state.absmax.bfloat16().float()  # as ours are kept
    theirs = bitsandbytes.functional.dequantize_4bit(given, state)
    assert torch.equal(Nf4RowsWeight(matrix, torch.float32).dequantize(), theirs)
