"""Keeps a copy of each piece that a model is loaded from, as the prepared model of the next start.

Pieces are collected, written together in a thread beside the packing, and from then on used where
they lie in the file: a start that packs needs memory for a file's pieces, not for the model's.
Leaves out: what a prepared model is and how it is opened (prepared.py).
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

import torch
from safetensors import safe_open

from core.aligned import save_aligned, seen_as
from core.config import ModelOptions
from core.key_map import LoraKey
from core.prepared import INDEX, PLAIN, lora_name, prepared_folder
from core.quantize import Weight
from core.sources import Source

LOGGER: Final = logging.getLogger(__name__)
FILE_BYTES: Final = 512 * 2**20  # about so much is collected before a file is written
ABANDONED_S: Final = 3600.0  # a start that has written nothing for so long was killed


class _Written(NamedTuple):
    """A file that is being written.

    Args:
        path: of the file.
        tensors: what it will hold, by name.
        digest: of its bytes, once it is there.
    """

    path: Path
    tensors: dict[str, torch.Tensor]
    digest: Future[str]


class Recorder:
    """Passes a source's pieces on and keeps a copy of each for the next start.

    That nothing can be written, for want of room or of rights, is a warning: the model loads.

    Args:
        source: gives the pieces.
        model_folder, options: as for `prepared_folder`, which appears when `finish` is called.
    """

    def __init__(self, source: Source, model_folder: Path, options: ModelOptions) -> None:
        self._source = source
        self._folder = prepared_folder(model_folder, options)
        # Of its own: another process may be preparing the same model.
        self._partial = self._folder.with_name(f"{self._folder.name}.{uuid.uuid4().hex}.part")
        self._about = {
            "model": str(model_folder.resolve()),
            "quantization": options.quantization,
            "dtype": options.dtype,
        }
        self._pieces: dict[str, dict[str, object]] = {}
        self._files: dict[str, str] = {}
        self._collected: dict[str, torch.Tensor] = {}
        self._num_collected_bytes = 0
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._in_writing: _Written | None = None
        self._is_writing = True
        with self._or_give_up():
            _remove_abandoned(self._folder)
            self._partial.mkdir(parents=True)

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor by native name, as it is stored."""
        tensor = self._source.tensor(name)
        self._keep(name, PLAIN, {PLAIN: tensor})
        return tensor

    def linear(self, name: str) -> Weight:
        """A decoder linear by native name without `.weight`, packed."""
        return self._kept(name, self._source.linear(name))

    def lora_factor(self, key: LoraKey) -> Weight:
        """A factor of a LoRA, packed."""
        return self._kept(lora_name(key), self._source.lora_factor(key))

    def coarse_head(self, name: str) -> Weight:
        """The output matrix, whose exact tensor has this name, packed."""
        return self._kept(f"{name}.coarse", self._source.coarse_head(name))

    def encoder_linear(self, name: str) -> Weight:
        """A matrix of an encoder's layer by native name with `.weight`, packed or not."""
        return self._kept(name, self._source.encoder_linear(name))

    def discard(self) -> None:
        """The load failed or was interrupted: leave nothing behind."""
        self._is_writing = False
        self._collected = {}
        self._in_writing = None
        self._writer.shutdown(wait=True)
        shutil.rmtree(self._partial, ignore_errors=True)

    def finish(self) -> None:
        """All pieces were asked for: let the folder appear."""
        if not self._is_writing:
            return
        with self._or_give_up():
            self._write()
            self._settle()
            self._writer.shutdown()
            index = {**self._about, "pieces": self._pieces, "files": self._files}
            (self._partial / INDEX).write_text(json.dumps(index), encoding="utf-8")
            if (self._folder / INDEX).is_file():  # another process was quicker
                shutil.rmtree(self._partial)
                return
            shutil.rmtree(self._folder, ignore_errors=True)
            self._partial.replace(self._folder)

    def _kept(self, name: str, weight: Weight) -> Weight:
        self._keep(name, *weight.stored())
        return weight

    def _keep(self, name: str, kind: str, tensors: Mapping[str, torch.Tensor]) -> None:
        if not self._is_writing or name in self._pieces:
            return
        parts = {
            part: (str(tensor.dtype).removeprefix("torch."), list(tensor.shape))
            for part, tensor in tensors.items()
        }
        self._pieces[name] = {"kind": kind, "file": self._file_name, "parts": parts}
        for part, tensor in tensors.items():
            self._collected[f"{name}/{part}"] = tensor.contiguous()
            self._num_collected_bytes += tensor.nbytes
        if self._num_collected_bytes > FILE_BYTES:
            with self._or_give_up():
                self._write()

    @property
    def _file_name(self) -> str:
        """Of the file that is being collected."""
        return f"pieces-{len(self._files) + 1:03d}.safetensors"

    def _write(self) -> None:
        """Have what was collected written as one file, once the file before is there."""
        self._settle()
        if not self._collected:
            return
        path, tensors = self._partial / self._file_name, self._collected
        self._collected, self._num_collected_bytes = {}, 0
        self._files[path.name] = ""  # until it is there
        self._in_writing = _Written(path, tensors, self._writer.submit(save_aligned, tensors, path))

    def _settle(self) -> None:
        """Wait for the file that is being written; its pieces are used where they lie now."""
        if self._in_writing is None:
            return
        path, tensors, digest = self._in_writing
        self._files[path.name] = digest.result()
        self._in_writing = None
        if os.name != "nt":  # Windows lets nobody move a folder whose files are in use
            _use_in_place(tensors, path)

    @contextmanager
    def _or_give_up(self) -> Iterator[None]:
        """Inside, a failure to write ends the writing and nothing else."""
        try:
            yield
        except OSError as error:
            LOGGER.warning(
                "The packed model could not be kept in %s (%s): the next start packs it again. "
                "Make room there, or set XDG_CACHE_HOME to another folder.",
                self._folder.parent,
                error,
            )
            self.discard()


@torch.inference_mode()
def _use_in_place(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Let tensors lie in the file that has their numbers, and not in memory of their own.

    Whoever holds one of them holds the same numbers as before.
    """
    with safe_open(path, "pt") as file:
        for name, tensor in tensors.items():
            lying = seen_as(file.get_tensor(name), tensor.dtype, tensor.shape)
            place = lying.storage_offset(), lying.shape, lying.stride()
            tensor.set_(lying.untyped_storage(), *place)


def _remove_abandoned(folder: Path) -> None:
    """Remove what starts that were killed left half written of a prepared model."""
    for path in folder.parent.glob(f"{folder.name}.*.part"):
        with suppress(FileNotFoundError):  # its start may have ended meanwhile
            if time.time() - path.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)
