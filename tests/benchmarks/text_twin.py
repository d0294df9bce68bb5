"""The decoder of a random checkpoint alone, as Phi-4-mini is published: for engines of text.

The same sizes, names and legacy fields as microsoft/Phi-4-mini-instruct, which every peer's
converter reads. Leaves out: the checkpoint with adapters and encoders (factory.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import Phi4MultimodalConfig

from tests.benchmarks import factory

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
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    config = factory.full_config(num_layers)
    shapes = {
        name: shape
        for name, shape in factory.base_shapes(config).items()
        if "embed_tokens_extend" not in name
    }
    factory.write_shards(partial, shapes, torch.Generator().manual_seed(seed))
    factory.write_json(partial / "config.json", twin_config(config))
    factory.write_json(partial / "tokenizer_config.json", TOKENIZER)
    (partial / "tokenizer.json").write_text(factory.byte_tokenizer(), encoding="utf-8")
    partial.replace(folder)
    return folder


def twin_config(config: Phi4MultimodalConfig) -> dict[str, Any]:
    """The decoder's config.json, in the fields of Phi-4-mini-instruct."""
    same = (
        *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
        *("num_attention_heads", "num_key_value_heads", "rms_norm_eps", "sliding_window"),
        *("max_position_embeddings", "original_max_position_embeddings", "tie_word_embeddings"),
        *("bos_token_id", "pad_token_id", "hidden_act"),
    )
    rope = config.rope_parameters
    return {
        **{name: getattr(config, name) for name in same},
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "eos_token_id": config.bos_token_id,
        "torch_dtype": "bfloat16",
        "rope_theta": rope["rope_theta"],
        "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": {
            "type": "longrope",
            "short_factor": rope["short_factor"],
            "long_factor": rope["long_factor"],
        },
    }
