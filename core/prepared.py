"""A packed model kept on disk, so that only the first start of a large model packs it.

A prepared model is a folder in the cache: safetensors files of packed pieces, which are mapped into
memory and used where they lie, and an index, written last, that says what each piece is and what
each file hashes to. The folder's name follows from the model's files, the options and the kernels'
layouts: whatever changes makes another one. A folder appears whole or not at all; one that was
damaged is found when it is opened, and removed.
Leaves out: when a model is prepared (loader.py), and how pieces are packed (quantize.py).
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from core.aligned import save_aligned, seen_as
from core.cache_folder import cache_folder
from core.config import ModelOptions, has_fast_bfloat16
from core.instructions import can_run_loops
from core.int4_weight import packed_together
from core.key_map import LoraKey
from core.nf4_weight import has_quick_nf4
from core.out_of_memory import is_out_of_memory
from core.quantize import Weight, restored
from core.sources import Source

LOGGER: Final = logging.getLogger(__name__)
FORMAT: Final = 7  # of these files; another one is another folder
INDEX: Final = "index.json"
FILE_BYTES: Final = 512 * 2**20  # about so much is collected before a file is written
NUM_SPOTS: Final = 16  # of a model's file that are looked at,
SPOT_BYTES: Final = 4096  # so many bytes each
ABANDONED_S: Final = 3600.0  # a start that has written nothing for so long was killed
PLAIN: Final = "tensor"  # the kind of a piece that is no weight
# What is raised where a prepared model is not as it was written.
DAMAGE: Final = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, RuntimeError),
    SafetensorError,
)


def prepared_home() -> Path:
    """Where prepared models are kept."""
    return cache_folder("prepared")


def prepared_folder(model_folder: Path, options: ModelOptions) -> Path:
    """Where a model is kept once it is prepared.

    Args:
        model_folder: the checkpoint's.
        options: nothing left on "auto".
    """
    files = sorted((*model_folder.rglob("*.safetensors"), *model_folder.rglob("*.json")))
    stats = [(path, path.stat()) for path in files if path.is_file()]  # not a dangling link
    said = {
        "format": FORMAT,
        "files": [
            (path.relative_to(model_folder).as_posix(), stat.st_mtime_ns, _sampled(path))
            for path, stat in stats
        ],
        "options": (options.quantization, options.dtype, options.device),
        "kernels": (has_quick_nf4(), can_run_loops(), packed_together(), has_fast_bfloat16("cpu")),
        "packages": (version("torch"), version("bitsandbytes")),
    }
    digest = hashlib.sha256(json.dumps(said).encode()).hexdigest()
    return prepared_home() / f"{model_folder.resolve().name}-{digest[:16]}"


def _sampled(path: Path) -> str:
    """What a file is by its size and some of its bytes, without reading all of it.

    Copies may have the same times, and models of one kind have files of the same sizes.
    """
    num_bytes = path.stat().st_size
    digest = hashlib.sha256(str(num_bytes).encode())
    with path.open("rb") as file:
        for spot in range(NUM_SPOTS):
            file.seek(num_bytes * spot // NUM_SPOTS)
            digest.update(file.read(SPOT_BYTES))
    return digest.hexdigest()


@dataclass(frozen=True)
class PreparedModel:
    """What is kept of one model, packed in one way.

    Args:
        folder: where it is kept.
        model_folder: the checkpoint that it was made of.
        quantization, dtype: how it is packed, and what computes with it.
        num_bytes: on disk.
    """

    folder: Path
    model_folder: Path
    quantization: str
    dtype: str
    num_bytes: int


def prepared_models() -> list[PreparedModel]:
    """All that is kept, by folder; what is damaged is passed over."""
    found = []
    for path in sorted(prepared_home().glob(f"*/{INDEX}")):
        with suppress(OSError, ValueError, LookupError, TypeError):
            index = json.loads(path.read_text("utf-8"))
            num_bytes = sum(file.stat().st_size for file in path.parent.iterdir())
            about = index["quantization"], index["dtype"]
            found.append(PreparedModel(path.parent, Path(index["model"]), *about, num_bytes))
    return found


def leftovers() -> list[Path]:
    """Folders beside the prepared models that are none: half written, or damaged."""
    whole = {one.folder for one in prepared_models()}
    with suppress(OSError):
        return sorted(path for path in prepared_home().iterdir() if path not in whole)
    return []


class PreparedSource:
    """The pieces of a prepared model.

    Args:
        folder: a whole one; `open_prepared` checks.
        index: what its index says.
        dtype: the activations' type.
    """

    is_lasting = True

    def __init__(self, folder: Path, index: Mapping[str, Any], dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._pieces: Mapping[str, Mapping[str, Any]] = index["pieces"]
        self._files = {name: safe_open(folder / name, "pt") for name in index["files"]}

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor by native name, as it is stored."""
        return self._tensors(name)[PLAIN]

    def linear(self, name: str) -> Weight:
        """A decoder linear by native name without `.weight`, packed."""
        return self._weight(name)

    def lora_factor(self, key: LoraKey) -> Weight:
        """A factor of a LoRA, packed."""
        return self._weight(_lora_name(key))

    def coarse_head(self, name: str) -> Weight:
        """The output matrix, whose exact tensor has this name, packed."""
        return self._weight(f"{name}.coarse")

    def encoder_linear(self, name: str) -> Weight:
        """A matrix of an encoder's layer by native name with `.weight`, packed or not."""
        return self._weight(name)

    def _weight(self, name: str) -> Weight:
        return restored(self._pieces[name]["kind"], self._tensors(name), self._dtype)

    def _tensors(self, name: str) -> dict[str, torch.Tensor]:
        piece = self._pieces[name]
        file = self._files[piece["file"]]
        return {
            part: seen_as(file.get_tensor(f"{name}/{part}"), getattr(torch, dtype), shape)
            for part, (dtype, shape) in piece["parts"].items()
        }


def open_prepared(folder: Path, dtype: torch.dtype) -> PreparedSource | None:
    """A prepared model; None where there is none, or was none that is whole.

    Args:
        folder: of `prepared_folder`.
        dtype: the activations' type.
    """
    try:
        if not (folder / INDEX).is_file():
            return None
        index = json.loads((folder / INDEX).read_text("utf-8"))
        with ThreadPoolExecutor() as pool:
            found = pool.map(_digest, [folder / name for name in index["files"]])
            if list(found) != list(index["files"].values()):
                raise ValueError("a file has changed")
        return PreparedSource(folder, index, dtype)
    except DAMAGE as error:
        if is_short_of_something(error):
            raise
        remove_damaged(folder, error)
        return None


def is_short_of_something(error: Exception) -> bool:
    """Whether the machine lacks memory or open files: the prepared model is whole all the same."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
    return is_out_of_memory(error)


def remove_damaged(folder: Path, error: Exception) -> None:
    """Say that a prepared model is damaged, and remove it."""
    LOGGER.warning("The prepared model in %s is damaged (%r): it is made anew.", folder, error)
    shutil.rmtree(folder, ignore_errors=True)


class Recorder:
    """Passes a source's pieces on and keeps a copy of each for the next start.

    That nothing can be written, for want of room or of rights, is a warning: the model loads.

    Args:
        source: gives the pieces.
        model_folder, options: as for `prepared_folder`, which appears when `finish` is called.
    """

    is_lasting = False

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
        self._pieces: dict[str, dict[str, Any]] = {}
        self._files: dict[str, str] = {}
        self._collected: dict[str, torch.Tensor] = {}
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
        return self._kept(_lora_name(key), self._source.lora_factor(key))

    def coarse_head(self, name: str) -> Weight:
        """The output matrix, whose exact tensor has this name, packed."""
        return self._kept(f"{name}.coarse", self._source.coarse_head(name))

    def encoder_linear(self, name: str) -> Weight:
        """A matrix of an encoder's layer by native name with `.weight`, packed or not."""
        return self._kept(name, self._source.encoder_linear(name))

    def discard(self) -> None:
        """The load failed or was interrupted: leave nothing behind."""
        shutil.rmtree(self._partial, ignore_errors=True)

    def finish(self) -> None:
        """All pieces were asked for: let the folder appear."""
        if not self._is_writing:
            return
        with self._or_give_up():
            self._write()
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
        if sum(tensor.nbytes for tensor in self._collected.values()) > FILE_BYTES:
            with self._or_give_up():
                self._write()

    @property
    def _file_name(self) -> str:
        """Of the file that is being collected."""
        return f"pieces-{len(self._files) + 1:03d}.safetensors"

    def _write(self) -> None:
        """What was collected, as one file."""
        if not self._collected:
            return
        path = self._partial / self._file_name
        save_aligned(self._collected, path)
        self._collected = {}
        self._files[path.name] = _digest(path)

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
            self._is_writing = False
            self._collected = {}
            shutil.rmtree(self._partial, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Remove what starts that were killed left half written of a prepared model."""
    for path in folder.parent.glob(f"{folder.name}.*.part"):
        if time.time() - path.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _lora_name(key: LoraKey) -> str:
    return f"{key.linear}.lora_{key.factor}.{key.adapter}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
