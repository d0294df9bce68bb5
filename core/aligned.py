"""Tensors that begin where the CPU's kernels may read them.

With AVX512, PyTorch's int8 kernel reads whole registers from addresses that it takes to be
multiples of 32, and brings the process down where they are not. What PyTorch allocates begins at
multiples of 64; what is mapped from a file begins where the file has it, and safetensors' own
writer puts tensors one right behind the other. Here the header and each tensor are filled up to
multiples of 64 bytes.
Leaves out: what is written, and what it says of its shape (prepared.py).
Source: the format as safetensors describes it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import torch

ALIGNMENT: Final = 64  # bytes: a register, a cache line, and what PyTorch allocates by
BEFORE_HEADER: Final = "<Q"  # its length


def aligned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, contiguous; a copy where it begins anywhere but at a multiple of 64 bytes."""
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % ALIGNMENT else tensor


def save_aligned(tensors: Mapping[str, torch.Tensor], path: Path) -> str:
    """Write a safetensors file whose tensors begin at multiples of 64 bytes.

    Args:
        tensors: by name, on the CPU; each is written as bytes, for `seen_as`.
    Returns:
        The file's SHA-256, in hexadecimal digits.
    """
    header, end = {}, 0
    for name, tensor in tensors.items():
        start, end = end, end + _filled(tensor.nbytes)
        shape, offsets = [end - start], [start, end]
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": offsets}
    said = json.dumps(header).encode()
    before = struct.calcsize(BEFORE_HEADER)
    said = said.ljust(_filled(before + len(said)) - before)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for part in _parts(struct.pack(BEFORE_HEADER, len(said)) + said, tensors.values()):
            file.write(part)
            digest.update(part)
    return digest.hexdigest()


def _parts(header: bytes, tensors: Iterable[torch.Tensor]) -> Iterator[bytes | memoryview]:
    """What a file holds, one after the other."""
    yield header
    for tensor in tensors:
        yield tensor.contiguous().flatten().view(torch.uint8).numpy().data
        yield bytes(_filled(tensor.nbytes) - tensor.nbytes)


def seen_as(written: torch.Tensor, dtype: torch.dtype, shape: Sequence[int]) -> torch.Tensor:
    """The tensor that `save_aligned` wrote as these bytes, where they lie.

    Raises:
        RuntimeError: they are too few.
    """
    num_bytes = dtype.itemsize * torch.Size(shape).numel()
    return written[:num_bytes].view(dtype).view(torch.Size(shape))


def _filled(num_bytes: int) -> int:
    """The next multiple of 64."""
    return num_bytes + -num_bytes % ALIGNMENT
