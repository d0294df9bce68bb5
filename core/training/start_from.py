"""Starts the learner from an exported model instead of from random weights.

So that a finished model can learn on, one stage at a time. Leaves out: checkpoints of a stage that
was interrupted (loop.py).
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer as RawTokenizer

from core.checkpoint import open_checkpoint
from core.errors import BadModelError
from core.training.architecture import ADAPTER_RANKS
from core.training.export import adapter_file, base_tensors, load_adapter
from core.training.learner import Learner
from core.training.vocabulary import CONTROL_TOKENS


def tokenizer_of(folder: Path) -> RawTokenizer:
    """The vocabulary of the model in a folder: its embeddings mean nothing with another.

    Raises:
        BadModelError: the folder has no tokenizer.json, or not one of this recipe.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise BadModelError(f"{folder} has no tokenizer.json: give a folder of launch.py train.")
    try:
        raw = RawTokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises nothing more exact
        raise BadModelError(f"{path} is damaged: take it from where it came again.") from error
    if any(raw.token_to_id(name) is None for name in CONTROL_TOKENS):
        raise BadModelError(
            f"{folder} is not a model of this recipe: give a folder that launch.py train wrote."
        )
    return raw


def start_from(learner: Learner, folder: Path) -> None:
    """Give the learner the weights that `export` wrote into a folder.

    Args:
        folder: a model folder in the native layout, of the recipe's own architecture.
    Raises:
        BadModelError: the folder holds no whole model, or one of another architecture.
    """
    checkpoint = open_checkpoint(folder)
    own = base_tensors(learner)
    theirs = {name: tensor.shape for name, tensor in checkpoint.base_tensors.items()}
    differing = theirs.items() ^ {(name, tuple(tensor.shape)) for name, tensor in own.items()}
    has_adapters = all(adapter_file(name, folder).is_file() for name in ADAPTER_RANKS)
    is_whole = checkpoint.layout == "native" and has_adapters
    if differing or not is_whole:
        raise BadModelError(
            f"{folder} is not a model of this recipe: give a folder that launch.py train wrote."
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(checkpoint.tensor(name))
    for name in ADAPTER_RANKS:
        load_adapter(learner, name, folder)
