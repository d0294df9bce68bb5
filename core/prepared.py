"""A packed model kept on disk, so that only the first start of a large model packs it.

A prepared model is a folder in the cache: safetensors files of packed pieces, which are mapped into
memory and used where they lie, and an index, written last, that says what each piece is and what
each file hashes to. The folder's name follows from the model's files, the options and the kernels'
layouts: whatever changes makes another one. A folder appears whole or not at all; one that was
damaged is found when it is opened, and removed.
Leaves out: when a model is prepared (loader.py), how a folder is written (recorder.py), and how
pieces are packed (quantize.py).
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open

from core.aligned import seen_as
from core.cache_folder import cache_folder
from core.config import ModelOptions, has_fast_bfloat16
from core.instructions import can_run_loops
from core.int4_weight import packed_together
from core.key_map import LoraKey
from core.nf4_weight import has_quick_nf4
from core.out_of_memory import is_out_of_memory
from core.quantize import Weight, restored

LOGGER: Final = logging.getLogger(__name__)
FORMAT: Final = 7  # of these files; another one is another folder
INDEX: Final = "index.json"
NUM_SPOTS: Final = 16  # of a model's file that are looked at,
SPOT_BYTES: Final = 4096  # so many bytes each
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
        return self._weight(lora_name(key))

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


def lora_name(key: LoraKey) -> str:
    """What a factor of a LoRA is kept as."""
    return f"{key.linear}.lora_{key.factor}.{key.adapter}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
