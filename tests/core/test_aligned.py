"""Tensors at multiples of 64 bytes, where the int8 kernel may read them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from core.aligned import ALIGNMENT, aligned, save_aligned, seen_as
from core.quantize import Int8Weight

SHAPES = ((3, 5), (64,), (), (1, 7, 2), (16, 32))
DTYPES = (torch.bfloat16, torch.float32, torch.int8, torch.uint8)


def moved(tensor: torch.Tensor, by: int) -> torch.Tensor:
    """A copy that begins so many bytes behind a multiple of 64."""
    room = torch.empty(tensor.nbytes + 2 * ALIGNMENT, dtype=torch.uint8)
    start = -room.data_ptr() % ALIGNMENT + by
    place = room[start : start + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
    return place.copy_(tensor)


def test_written_tensors_are_read_where_they_lie_and_begin_aligned(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{len(shape)}-{shape}/{dtype}": torch.randint(0, 99, shape, generator=generator).to(dtype)
        for shape in SHAPES
        for dtype in DTYPES
    }
    save_aligned(tensors, tmp_path / "some.safetensors")
    with safe_open(tmp_path / "some.safetensors", "pt") as file:
        for name, tensor in tensors.items():
            read = seen_as(file.get_tensor(name), tensor.dtype, tensor.shape)
            assert torch.equal(read, tensor)
            assert read.data_ptr() % ALIGNMENT == 0


def test_too_few_bytes_are_no_tensor() -> None:
    with pytest.raises(RuntimeError):
        seen_as(torch.zeros(64, dtype=torch.uint8), torch.float32, (5, 5))


def test_only_what_lies_wrong_is_copied() -> None:
    tensor = torch.arange(64.0)
    assert aligned(tensor).data_ptr() == tensor.data_ptr()
    assert torch.equal(aligned(moved(tensor, 8)), tensor)
    assert aligned(moved(tensor, 8)).data_ptr() % ALIGNMENT == 0


@pytest.mark.parametrize("by", [8, 16, 32, 48])
@pytest.mark.parametrize("num_rows", [1, 7, 24])
def test_int8_multiplies_from_anywhere(by: int, num_rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = Int8Weight(torch.randn(64, 64, generator=generator), torch.bfloat16)
    rows = torch.randn(num_rows, 64, generator=generator).bfloat16()
    tensors = {name: moved(tensor, by) for name, tensor in weight.stored()[1].items()}
    again = Int8Weight.restored(**tensors, dtype=torch.bfloat16)
    assert torch.equal(again.multiply(moved(rows, by)), weight.multiply(rows))
