"""The parts that learn on their own, kept in a folder so that other stages can build on them.

The base language model and the two encoders depend on nothing else in the recipe; whoever has them
need not train them again. A folder of parts is model.safetensors with the tensors of one or more
of them by native name (but those that are never computed with), and the vocabulary; a finished
model's folder is one too. Where a finished model goes on, its adapters are parts as well: each has
its LoRA, and the projectors that it is used with.
Leaves out: whole models (export.py, start_from.py) and stages under way (loop.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer as RawTokenizer

from core.errors import BadModelError
from core.training.architecture import is_run
from core.training.export import base_tensors, load_adapter, save_adapter, stored
from core.training.learner import Learner

_IMAGE: Final = "model.embed_tokens_extend.image_embed."
_AUDIO: Final = "model.embed_tokens_extend.audio_embed."
# The stage that makes a part, and how its tensors' names begin.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("model.embed_tokens.", "model.layers.", "model.norm."),
    "vision_encoder": (f"{_IMAGE}img_processor.",),
    "speech_encoder": (f"{_AUDIO}encoder.",),
}
# The stages that a LoRA or its projectors learn in, and how these projectors' tensors' names begin.
ADAPTER_STAGES: Final[dict[str, tuple[str, ...]]] = {
    "vision": ("vision_projector", "vision_joint", "vision", "vision_pairs", "vision_speech"),
    "speech": ("speech_projector", "speech"),
}
PROJECTORS: Final[dict[str, tuple[str, ...]]] = {
    "vision": (
        *(f"{_IMAGE}{name}" for name in ("img_projection_", "global_img", "sub_img")),
        *(f"{_AUDIO}{name}_proj_for_vision_speech." for name in ("up", "down")),
    ),
    "speech": tuple(f"{_AUDIO}{name}_proj_for_speech." for name in ("up", "down")),
}
FILE_NAME: Final = "model.safetensors"


def save_parts(
    learner: Learner, tokenizer: RawTokenizer, stages: Iterable[str], folder: Path
) -> None:
    """Write the parts that these stages made, in bfloat16, in place of those that are there.

    Args:
        stages: of the recipe; those of adapters mean the whole adapter.
        folder: made if need be.
    """
    made = frozenset(stages)
    adapters = [name for name, learned in ADAPTER_STAGES.items() if made.intersection(learned)]
    named = PARTS | PROJECTORS
    prefixes = tuple(
        prefix for part in (*made.intersection(PARTS), *adapters) for prefix in named[part]
    )
    tensors = {
        name: stored(tensor)
        for name, tensor in base_tensors(learner).items()
        if name.startswith(prefixes) and is_run(name)
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / FILE_NAME, {"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    for name in adapters:
        save_adapter(learner, name, folder)


@torch.no_grad()
def load_parts(learner: Learner, folder: Path, with_adapters: bool = False) -> frozenset[str]:
    """Give the learner every part that the folder has.

    Args:
        with_adapters: adapters too; they fit the base and the encoders that they learned with.
    Returns:
        The stages that made them.
    Raises:
        BadModelError: the folder has no part of the recipe's own architecture.
    """
    own = base_tensors(learner)
    found: set[str] = set()
    try:
        with safe_open(folder / FILE_NAME, "pt") as kept:
            there = set(kept.keys())
            for part, prefixes in (PARTS | PROJECTORS if with_adapters else PARTS).items():
                names = [name for name in own if name.startswith(prefixes) and is_run(name)]
                if not there.issuperset(names):
                    continue
                for name in names:
                    own[name].copy_(kept.get_tensor(name))
                if part in PROJECTORS:
                    load_adapter(learner, part, folder)
                found.update(ADAPTER_STAGES.get(part, (part,)))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadModelError(_problem(folder)) from error
    if not found:
        raise BadModelError(_problem(folder))
    return frozenset(found)


def stages_of(stages: Iterable[str]) -> frozenset[str]:
    """All that had a hand in the parts that these stages made."""
    made = frozenset(stages)
    learned = [each for each in ADAPTER_STAGES.values() if made.intersection(each)]
    return made.intersection(PARTS).union(*learned)


def _problem(folder: Path) -> str:
    return (
        f"{folder} has no part of a model of this recipe: give a folder that launch.py train wrote."
    )
