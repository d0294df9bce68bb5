"""`launch.py model`: which models are on this computer, what they are, and what they take.

Leaves out: its options (command_line.py) and loading (core/loader.py).
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from collections.abc import Callable, Set
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.status_line import StatusLine
from core.checkpoint import Checkpoint, open_checkpoint
from core.config import ModelOptions
from core.errors import BadModelError, TriadError
from core.hub import BUNDLED_FOLDER, HUB_NAME, HubModel, hub_models, model_folder, remove_hub_model
from core.loader import is_kept, load_model, with_quantization
from core.prepared import (
    PreparedModel,
    leftovers,
    prepared_folder,
    prepared_home,
    prepared_models,
)

PACKED: Final = "packed"  # instead of a name: all that is packed of any model
BUNDLED: Final = "Triad bundled model"
UNITS: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "KB"))


class NotPreparedError(TriadError):
    """A model could not be kept on disk."""


def run(options: argparse.Namespace) -> int:
    """Do what `launch.py model` is asked; returns the exit code.

    Raises:
        BadModelError: the model is not here, is another kind, or cannot be fetched.
        BadOptionError: it cannot be loaded so here.
    """
    match options.what:
        case "list":
            list_models()
        case "pull":
            pull_model(options.model)
        case "remove":
            remove_model(options.model, (lambda question: True) if options.yes else agrees)
        case _:
            wanted = ModelOptions(options.dtype, options.quantization, options.device)
            do = describe_model if options.what == "info" else prepare_model
            do(options.model, wanted)
    return 0


def agrees(question: str) -> bool:
    """Ask on the terminal; where nobody can answer, the answer is no."""
    if not sys.stdin.isatty():
        print(f"{question} Nobody can be asked here: give --yes.", file=sys.stderr)
        return False
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:  # Ctrl-D
        print()
        return False


def list_models() -> None:
    """Print a line for each model that is on this computer, and what is packed of it."""
    rows = [(BUNDLED, _folder_bytes(BUNDLED_FOLDER), "comes with Triad")]
    others = {one.model_folder for one in prepared_models()}
    for model in hub_models():
        folders = {folder.resolve() for folder in model.folders}
        rows.append((model.name, model.num_bytes, "fetched from the hub"))
        rows += _packed_rows(folders)
        others -= folders
    for folder in sorted(others):
        is_there = "a folder" if folder.is_dir() else "a folder that is gone"
        rows.append((str(folder), _folder_bytes(folder), is_there))
        rows += _packed_rows({folder})
    rows += [("left over", _folder_bytes(path), str(path)) for path in leftovers()]
    width = max(len(name) for name, _, _ in rows)
    for name, num_bytes, about in rows:
        print(f"{name:<{width}}  {size_text(num_bytes):>8}  {about}")


def describe_model(model: str | None, options: ModelOptions) -> None:
    """Print what a model is and how it would be loaded here.

    Args:
        model: None for the bundled one, a folder, or the hub name of one that was fetched.
        options: how it would be loaded.
    Raises:
        BadModelError: it is not here, or is no such model.
        BadOptionError: it cannot be loaded so here.
    """
    folder = _local_folder(model)
    checkpoint = open_checkpoint(folder)
    config = checkpoint.config
    decided = with_quantization(options.resolved(), config)
    packed = _packed_from({folder.resolve()})
    lines = {
        "folder": f"{folder} ({size_text(_folder_bytes(folder))}, {checkpoint.layout} layout)",
        "numbers": _count_text(_num_numbers(checkpoint)),
        "decoder": f"{config.num_hidden_layers} layers of {config.hidden_size}, "
        f"vocabulary {config.vocab_size}, up to {config.max_position_embeddings} tokens",
        "adapters": ", ".join(f"{a.name} (rank {a.rank})" for a in checkpoint.adapters.values())
        or "none",
        "here": f"{decided.quantization}, {decided.dtype}, on {decided.device}",
        "packed": ", ".join(
            f"{one.quantization} for {one.dtype} ({size_text(one.num_bytes)})" for one in packed
        )
        or "nothing is kept",
    }
    for name, text in lines.items():
        print(f"{name:<9} {text}")


def pull_model(name: str) -> None:
    """Fetch a model from the hub, or what is missing of it.

    Raises:
        BadModelError: this is no hub name, or the hub does not give it.
    """
    if not HUB_NAME.fullmatch(name):
        raise BadModelError(
            f"'{name}' is no hub name: give one such as microsoft/Phi-4-multimodal-instruct."
        )
    folder = model_folder(name)
    open_checkpoint(folder)  # says so if it is another kind of model
    print(f"{name} is in {folder} ({size_text(_folder_bytes(folder))}).")


def prepare_model(model: str | None, options: ModelOptions) -> None:
    """Pack a model now, so that the first start is as quick as the later ones.

    Raises:
        BadModelError: it is missing, half-written or of another kind.
        BadOptionError: it cannot be loaded so here.
        NotPreparedError: there is no room for it.
    """
    folder, status, begun_s = model_folder(model), StatusLine(sys.stderr), time.monotonic()
    config = open_checkpoint(folder).config
    options = with_quantization(options.resolved(), config)
    if not is_kept(config, options):
        print("There is nothing to prepare: this model loads without being packed on disk.")
        return

    def progress(num_done: int, num_all: int) -> None:
        status.show(f"Packing the model: {100 * num_done // max(num_all, 1)} %")

    load_model(folder, options, progress)
    status.clear()
    kept_in = prepared_folder(folder, options)
    if not kept_in.is_dir():
        raise NotPreparedError("The model was packed, but could not be kept: see the line above.")
    print(
        f"{options.quantization} for {options.dtype}: {size_text(_folder_bytes(kept_in))} "
        f"in {kept_in}, after {time.monotonic() - begun_s:.1f} s."
    )


def remove_model(model: str, ask: Callable[[str], bool]) -> None:
    """Remove what is packed of a model, and the model itself if it was fetched from the hub.

    Args:
        model: a hub name, a folder, or "packed" for all that is packed of any model.
        ask: shows what would go and returns whether it may.
    Raises:
        BadModelError: there is nothing of it to remove.
    """
    fetched = [one for one in hub_models() if one.name == model]
    packed = _packed_of(model, fetched)
    broken = leftovers() if model == PACKED else []
    if not fetched and not packed and not broken:
        raise BadModelError(
            f"There is nothing of '{model}' to remove: `python3 launch.py model list` shows what "
            "there is. (The bundled model, and folders of yours, stay.)"
        )
    num_bytes = sum(one.num_bytes for one in fetched) + sum(one.num_bytes for one in packed)
    num_bytes += sum(_folder_bytes(path) for path in broken)
    places = [*(one.name for one in fetched), *(str(one.folder) for one in packed)]
    places += [str(path) for path in broken]
    if not ask(f"Remove {size_text(num_bytes)}: {', '.join(places)}?"):
        print("Nothing was removed.")
        return
    for folder in (*(one.folder for one in packed), *broken):
        shutil.rmtree(folder)
    for other in fetched:
        remove_hub_model(other.name)
    print(f"Removed {size_text(num_bytes)}.")


def size_text(num_bytes: int) -> str:
    """A number of bytes as people read it."""
    for unit, name in UNITS:
        if num_bytes >= unit:
            return f"{num_bytes / unit:.1f} {name}"
    return f"{num_bytes} B"


def _count_text(num: int) -> str:
    return f"{num / 1e9:.3f} billion" if num >= 10**9 else f"{num / 1e6:.1f} million"


def _packed_of(model: str, fetched: list[HubModel]) -> list[PreparedModel]:
    if model == PACKED:
        return prepared_models()
    folders = {folder.resolve() for one in fetched for folder in one.folders}
    with suppress(OSError, RuntimeError):  # a name too long, or a home that nobody has
        folders.add(Path(model).expanduser().resolve())
    return _packed_from(folders)


def _packed_from(folders: Set[Path]) -> list[PreparedModel]:
    """What is packed of the checkpoints in these resolved folders."""
    return [one for one in prepared_models() if one.model_folder in folders]


def _local_folder(model: str | None) -> Path:
    """A model's folder, without asking the hub."""
    if model is None or not HUB_NAME.fullmatch(model) or Path(model).exists():
        return model_folder(model)
    for one in hub_models():
        if one.name == model:
            return one.folders[-1]
    raise BadModelError(
        f"{model} is not on this computer: fetch it with `python3 launch.py model pull {model}`."
    )


def _packed_rows(folders: Set[Path]) -> list[tuple[str, int, str]]:
    home = prepared_home().parent
    return [
        (
            "  packed",
            one.num_bytes,
            f"{one.quantization} for {one.dtype}, in {one.folder.relative_to(home)}",
        )
        for one in _packed_from(folders)
    ]


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _num_numbers(checkpoint: Checkpoint) -> int:
    stored = (*checkpoint.base_tensors.values(), *checkpoint.lora_tensors.values())
    return sum(math.prod(tensor.shape) for tensor in stored)
