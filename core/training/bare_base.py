"""Is text the frozen base model's alone? Its logits with the adapters attached, and without them.

Leaves out: whether replies are right (evaluate.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from core.checkpoint import open_checkpoint
from core.config import ModelOptions
from core.inputs import ModelInputs
from core.loader import load_model
from core.messages import Conversation
from core.model import Model
from core.processor import Processor
from core.tokenizer import Tokenizer


def num_identical(folder: Path, options: ModelOptions, asked: Iterable[Conversation]) -> int | None:
    """How many conversations get the same logits, bit for bit, from the model without its adapters.

    What is compared is the logits of the token after the prompt.

    Args:
        folder: a model folder in the native layout, its adapters in folders of their own.
        options: how both are loaded.
        asked: text alone.
    Returns:
        None where the adapters cannot be left out: in the other layout they lie among the weights.
    Raises:
        BadModelError: the model cannot be loaded.
    """
    if open_checkpoint(folder).layout != "native":
        return None
    whole = load_model(folder, options)
    with TemporaryDirectory() as kept:
        bare_folder = Path(kept) / "bare"
        bare_folder.mkdir()
        for path in folder.iterdir():
            if not path.name.endswith("-lora"):
                (bare_folder / path.name).symlink_to(path.resolve())
        bare = load_model(bare_folder, options)
    processor = Processor.from_folder(folder, Tokenizer.from_folder(folder), whole.config)
    prompts = (processor.inputs(conversation) for conversation in asked)
    return sum(torch.equal(_logits(whole, it), _logits(bare, it)) for it in prompts)


def _logits(model: Model, inputs: ModelInputs) -> torch.Tensor:
    """Of the next token, float32, (1, vocab)."""
    cache = model.new_kv_cache(1, inputs.num_tokens)
    cache.clear(0, model.rope_regime(inputs.num_tokens))
    return model.forward(model.embed(inputs)[None], cache, [0], [inputs.route.adapter])
