"""Tensors of a safetensors file, each read when it is asked for.

Read and not mapped into memory: a mapped file counts as this process' memory page by page, and a
file that is cut while it is mapped ends the process. safetensors' own reader checks the file.
Leaves out: which tensors a model has (checkpoint.py).
Source: the format as safetensors describes it.
"""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from core.aligned import BEFORE_HEADER
from core.errors import BadModelError

DTYPES: Final = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
}


class OpenFile:
    """A file that stays the same when another one takes its name; closed when nobody holds it.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._file = path, path.open("rb")
        self._lock = threading.Lock()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read_into(self, buffer: memoryview, start: int) -> int:
        """Fill a buffer with what lies from a byte on; how many bytes there were."""
        with self._lock:
            self._file.seek(start)
            return self._file.readinto(buffer)


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies.

    Args:
        file: that it lies in.
        start: its first byte there.
        dtype, shape: as it is stored.
    """

    file: OpenFile
    start: int
    dtype: torch.dtype
    shape: tuple[int, ...]

    def read(self) -> torch.Tensor:
        """The tensor as stored, in memory of its own.

        Raises:
            BadModelError: the file has become shorter.
        """
        tensor = torch.empty(self.shape, dtype=self.dtype)
        bytes_ = tensor.view(-1).view(torch.uint8).numpy().data
        if self.file.read_into(bytes_, self.start) != tensor.nbytes:
            raise _damaged(self.file.path)
        return tensor


def stored_tensors(path: Path) -> dict[str, StoredTensor]:
    """Every tensor of a safetensors file by its name there.

    Raises:
        BadModelError: the file is damaged or half-written, or has numbers of an unknown type.
    """
    try:
        with safe_open(path, framework="pt") as checked:
            keys = set(checked.keys())
        with path.open("rb") as file:
            (length,) = struct.unpack(BEFORE_HEADER, file.read(struct.calcsize(BEFORE_HEADER)))
            header, first = json.loads(file.read(length)), file.tell()
        opened = OpenFile(path)
        return {key: _stored(opened, first, header[key]) for key in keys}
    except (SafetensorError, OSError, ValueError, LookupError, struct.error):
        raise _damaged(path) from None


def _stored(file: OpenFile, first: int, said: Mapping[str, Any]) -> StoredTensor:
    (start, _), shape = said["data_offsets"], said["shape"]
    return StoredTensor(file, first + start, DTYPES[said["dtype"]], tuple(shape))


def _damaged(path: Path) -> BadModelError:
    return BadModelError(f"{path} is damaged or half-written: download it again.")
