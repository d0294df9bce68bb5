"""The decoder of a random checkpoint alone, as Phi-4-mini is published: for engines of text.

The same sizes, names and legacy fields as microsoft/Phi-4-mini-instruct, which every peer's
converter reads. Leaves out: the checkpoint with adapters and encoders (factory.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.benchmarks import factory
from tests.tiny_checkpoint import decoder_json

TOKENIZER = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "bos_token": "<|endoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
}


def write_text_twin(folder: Path, num_layers: int, seed: int = 0) -> Path:
    """Write a twin; a line a shard tells how far it is.

    Args:
        folder: made here; appears whole or not at all.
        num_layers: of the decoder.
        seed: of the random weights.
    Returns:
        The folder.
    """
    config = factory.full_config(num_layers)
    shapes = {
        name: shape
        for name, shape in factory.base_shapes(config).items()
        if "embed_tokens_extend" not in name
    }
    native = json.loads(config.to_json_string(use_diff=False))
    written = decoder_json(native) | {
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "eos_token_id": config.bos_token_id,
        "torch_dtype": "bfloat16",
    }
    with factory.appearing_whole(folder) as partial:
        factory.write_shards(partial, shapes, torch.Generator().manual_seed(seed))
        factory.write_json(partial / "config.json", written)
        factory.write_json(partial / "tokenizer_config.json", TOKENIZER)
        (partial / "tokenizer.json").write_text(factory.byte_tokenizer(), encoding="utf-8")
    return folder
