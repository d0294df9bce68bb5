"""The order in which matrices lie that are multiplied in int8 and in fewer bits."""

from __future__ import annotations

import pytest
import torch

from core.int8_layout import (
    in_fours,
    in_stretches,
    out_of_fours,
    out_of_stretches,
    packed,
    unpacked,
)


def test_a_layout_in_fours_is_undone() -> None:
    matrix = torch.arange(64 * 128).view(64, 128)
    laid_out = in_fours(matrix)
    assert laid_out.flatten()[:8].tolist() == [0, 1, 2, 3, 128, 129, 130, 131]
    assert laid_out.flatten()[64:66].tolist() == [16 * 128, 16 * 128 + 1]
    assert torch.equal(out_of_fours(laid_out), matrix)


def test_scales_of_rows_that_are_read_together_lie_side_by_side() -> None:
    scales = torch.arange(64 * 3).view(64, 3)
    laid_out = in_stretches(scales)
    assert laid_out.shape == (2, 3, 32)
    assert laid_out[1, 2].tolist() == scales[32:, 2].tolist()
    assert laid_out.is_contiguous()
    assert torch.equal(out_of_stretches(laid_out), scales)


@pytest.mark.parametrize("num_bits", [2, 4])
def test_codes_of_few_bits_are_packed_and_unpacked_again(num_bits: int) -> None:
    codes = torch.randint(2**num_bits, (64, 128), dtype=torch.uint8)
    laid_out = in_fours(codes)
    bytes_ = packed(laid_out, num_bits)
    assert bytes_.shape == (64, 16 * num_bits)
    assert torch.equal(unpacked(bytes_, num_bits), laid_out)
    place = 5  # of a vector; behind it the same place of the next one, a byte's higher bits
    parts = laid_out.view(-1, 64)[: 8 // num_bits, place].tolist()
    assert bytes_.flatten()[place] == sum(each << num * num_bits for num, each in enumerate(parts))
