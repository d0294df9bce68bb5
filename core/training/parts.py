"""The parts that learn on their own, kept in a folder so that other stages can build on them.

The base language model and the two encoders depend on nothing else in the recipe; whoever has them
need not train them again. A folder of parts is model.safetensors with the tensors of one or more
of them by native name (but those that are never computed with), and the vocabulary; a finished
model's folder is one too.
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
from core.training.export import base_tensors, stored
from core.training.learner import Learner

# The stage that makes a part, and how its tensors' names begin.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "text": ("model.embed_tokens.", "model.layers.", "model.norm."),
    "vision_encoder": ("model.embed_tokens_extend.image_embed.img_processor.",),
    "speech_encoder": ("model.embed_tokens_extend.audio_embed.encoder.",),
}
FILE_NAME: Final = "model.safetensors"


def save_parts(
    learner: Learner, tokenizer: RawTokenizer, stages: Iterable[str], folder: Path
) -> None:
    """Write the parts that these stages made, in bfloat16, in place of those that are there.

    Args:
        stages: keys of PARTS.
        folder: made if need be.
    """
    prefixes = tuple(prefix for stage in stages for prefix in PARTS[stage])
    tensors = {
        name: stored(tensor)
        for name, tensor in base_tensors(learner).items()
        if name.startswith(prefixes) and is_run(name)
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / FILE_NAME, {"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))


@torch.no_grad()
def load_parts(learner: Learner, folder: Path) -> frozenset[str]:
    """Give the learner every part that the folder has.

    Returns:
        The stages that made them.
    Raises:
        BadModelError: the folder has no part of the recipe's own architecture.
    """
    own = base_tensors(learner)
    found = set()
    try:
        with safe_open(folder / FILE_NAME, "pt") as kept:
            there = set(kept.keys())
            for stage, prefixes in PARTS.items():
                names = [name for name in own if name.startswith(prefixes) and is_run(name)]
                if not there.issuperset(names):
                    continue
                for name in names:
                    own[name].copy_(kept.get_tensor(name))
                found.add(stage)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadModelError(_problem(folder)) from error
    if not found:
        raise BadModelError(_problem(folder))
    return frozenset(found)


def _problem(folder: Path) -> str:
    return (
        f"{folder} has no part of a model of this recipe: give a folder that launch.py train wrote."
    )
