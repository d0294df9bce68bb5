"""A model's name -> its folder: the bundled one, a folder on disk, or a model hub's name.

Nothing is fetched unless somebody names a model by its hub name; what was fetched can be listed and
removed.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.architecture import layout_of, read_json
from core.errors import BadModelError

if TYPE_CHECKING:
    from huggingface_hub import CachedRepoInfo

BUNDLED_FOLDER: Final = Path(__file__).resolve().parents[1] / "assets" / "bundled"
HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
# What a model is read from; nothing that could be executed is fetched.
WANTED_FILES: Final = ("*.json", "*.safetensors")


def model_folder(model: str | None) -> Path:
    """Find a model's folder, fetching it from the hub when it is named by its hub name.

    Args:
        model: None for the bundled model, a folder's path, or a name such as
            "microsoft/Phi-4-multimodal-instruct".
    Raises:
        BadModelError: there is no such folder, or the hub does not give it.
    """
    if model is None:
        if not BUNDLED_FOLDER.is_dir():
            raise BadModelError(
                "The bundled model is missing from assets/bundled: fetch the project again, "
                "or train it with `python3 launch.py train`."
            )
        return BUNDLED_FOLDER
    # A home that nobody has, or a name too long for any folder, is a folder that is not there.
    with contextlib.suppress(OSError, RuntimeError):
        folder = Path(model).expanduser()
        if folder.is_dir():
            return folder
        if folder.exists():
            raise BadModelError(
                f"'{model}' is a file: give the folder that holds config.json and the weights."
            )
    if HUB_NAME.fullmatch(model) and not model.startswith((".", "/")):
        return _fetched(model)
    raise BadModelError(
        f"There is no model folder '{model}': give a folder that exists, or a hub name such as "
        "microsoft/Phi-4-multimodal-instruct."
    )


@dataclass(frozen=True)
class HubModel:
    """A Phi-4-multimodal model in the hub's cache on this computer.

    Args:
        name: such as "microsoft/Phi-4-multimodal-instruct".
        folders: of each of its versions, the one that its name means last.
        num_bytes: of all of them.
    """

    name: str
    folders: tuple[Path, ...]
    num_bytes: int


def hub_models() -> list[HubModel]:
    """The Phi-4-multimodal models that were fetched from the hub, by name."""
    found = []
    for repo in _cached_repos():
        by_age = sorted(repo.revisions, key=lambda one: ("main" in one.refs, one.last_modified))
        folders = tuple(revision.snapshot_path for revision in by_age)
        if any(_is_phi4(folder) for folder in folders):
            found.append(HubModel(repo.repo_id, folders, repo.size_on_disk))
    return sorted(found, key=lambda model: model.name)


def remove_hub_model(name: str) -> None:
    """Remove every version of a model from the hub's cache; nothing where there is none.

    Raises:
        OSError: something of it cannot be removed.
    """
    for repo in _cached_repos():
        if repo.repo_id == name:
            shutil.rmtree(repo.repo_path)


def _cached_repos() -> Iterable[CachedRepoInfo]:
    from huggingface_hub import CacheNotFound, scan_cache_dir

    try:
        return [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except CacheNotFound:
        return []


def _is_phi4(folder: Path) -> bool:
    try:
        layout_of(read_json(folder / "config.json"), folder)
    except BadModelError:
        return False
    return True


def _fetched(name: str) -> Path:
    from huggingface_hub import hf_hub_download, snapshot_download

    try:
        # By itself first: of another kind of model no weights are fetched.
        layout_of(read_json(Path(hf_hub_download(name, "config.json"))), Path(name))
        return Path(snapshot_download(name, allow_patterns=list(WANTED_FILES)))
    except BadModelError:
        raise
    except Exception as error:  # the client's errors, and those of the HTTP library below it
        raise BadModelError(
            f"The model '{name}' could not be fetched: check the name and the network, "
            "or give the folder of a model that is on this computer."
        ) from error
