"""Tensors read from safetensors files: what safetensors itself reads, and what befalls files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from core.errors import BadModelError
from core.stored_tensor import DTYPES, stored_tensors


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (3, 4, 5)])
def test_a_tensor_is_read_as_it_was_written(
    dtype: torch.dtype, shape: tuple[int, ...], tmp_path: Path
) -> None:
    numbers = torch.randint(2, shape).to(dtype)
    save_file({"before": torch.ones(3), "it": numbers}, tmp_path / "some.safetensors")
    stored = stored_tensors(tmp_path / "some.safetensors")
    assert set(stored) == {"before", "it"}
    assert (stored["it"].dtype, stored["it"].shape) == (dtype, shape)
    read = stored["it"].read()
    assert (read.dtype, read.shape) == (dtype, shape)
    assert torch.equal(read.float(), numbers.float())


def test_each_read_is_a_copy_of_its_own(tmp_path: Path) -> None:
    save_file({"it": torch.ones(5)}, tmp_path / "some.safetensors")
    stored = stored_tensors(tmp_path / "some.safetensors")["it"]
    stored.read().zero_()
    assert torch.equal(stored.read(), torch.ones(5))


def test_a_file_that_is_replaced_is_read_on(tmp_path: Path) -> None:
    path, other = tmp_path / "some.safetensors", tmp_path / "other.safetensors"
    save_file({"it": torch.ones(5)}, path)
    stored = stored_tensors(path)["it"]
    save_file({"it": torch.zeros(5)}, other)
    other.replace(path)
    assert torch.equal(stored.read(), torch.ones(5))
    assert torch.equal(stored_tensors(path)["it"].read(), torch.zeros(5))


def test_a_file_that_is_cut_meanwhile_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"it": torch.ones(5000)}, path)
    stored = stored_tensors(path)["it"]
    os.truncate(path, path.stat().st_size - 4)
    with pytest.raises(BadModelError, match="is damaged or half-written: download it again"):
        stored.read()


@pytest.mark.parametrize("content", [b"", b"\x05", b"\xff" * 40, b"\x02\0\0\0\0\0\0\0[]"])
def test_what_is_no_such_file_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadModelError, match="is damaged or half-written: download it again"):
        stored_tensors(path)
