"""Writes Phi-4-multimodal checkpoints of the real size with random weights, in either layout.

    .venv/bin/python -m tests.benchmarks.factory FOLDER [--layout main] [--layers 4]

Speed and memory do not depend on the values, and the real weights may not be at hand. Matrices
are N(0, 0.02), scales 1, biases 0, all in bfloat16; the same seed gives the same numbers. About 11
GB, written tensor by tensor into shards of 2 GB. Its tokenizer knows single bytes and the real
model's control tokens.
Leaves out: what is measured.
Source of the sizes: config.json of microsoft/Phi-4-multimodal-instruct.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, get_args

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    Phi4MultimodalAudioConfig,
    Phi4MultimodalConfig,
    Phi4MultimodalForCausalLM,
    Phi4MultimodalVisionConfig,
)

from core.checkpoint import decoder_linear_shapes
from core.key_map import LoraKey, main_lora_name, main_name, peft_lora_name
from core.router import AdapterName
from tests.tiny_checkpoint import main_json

Layout = Literal["native", "main"]
RANKS: Final[dict[AdapterName, int]] = {"speech": 320, "vision": 256}
NUM_LAYERS: Final = 32
SHARD_BYTES: Final = 2_000_000_000
STD: Final = 0.02
FIRST_CONTROL_ID: Final = 199_999
LAST_CONTROL_ID: Final = 200_023
CONTROL_TOKENS: Final = {
    200_018: "<|endofprompt|>",
    200_019: "<|assistant|>",
    200_020: "<|end|>",
    200_021: "<|user|>",
    200_022: "<|system|>",
    200_023: "<|tool|>",
}
LONG_FACTORS: Final = (
    *(1.1183**i for i in range(32)),
    *(32.1, 32.13, 32.23, 32.6, 32.61, 32.64, 32.66, 32.7, 32.71, 32.93, 32.97),
    *(33.28, 33.49, 33.5, 44.16, 47.77),
)


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write a random checkpoint of the real size.")
    parser.add_argument("folder", type=Path, help="where to write it; must not exist yet")
    parser.add_argument("--layout", choices=get_args(Layout), default="native")
    parser.add_argument("--layers", type=int, default=NUM_LAYERS, help="of the decoder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    if options.folder.exists():
        parser.error(f"{options.folder} exists already: name another folder or remove it")
    write_checkpoint(options.folder, options.layout, options.layers, options.seed)
    return 0


def write_checkpoint(
    folder: Path, layout: Layout = "native", num_layers: int = NUM_LAYERS, seed: int = 0
) -> Path:
    """Write a checkpoint; a line a shard tells how far it is.

    Args:
        folder: made here; appears whole or not at all.
        layout: transformers' names and adapter folders, or main's names with LoRAs inside.
        num_layers: of the decoder; encoders are always whole.
        seed: of the random weights.
    Returns:
        The folder.
    """
    config = full_config(num_layers)
    generator = torch.Generator().manual_seed(seed)
    base = base_shapes(config)
    native = json.loads(config.to_json_string(use_diff=False))
    with appearing_whole(folder) as partial:
        if layout == "main":
            shapes = {main_name(name): shape for name, shape in base.items()}
            for adapter in RANKS:
                loras = _lora_shapes(config, adapter)
                shapes |= {main_lora_name(key): shape for key, shape in loras.items()}
            write_shards(partial, shapes, generator)
            write_json(partial / "config.json", main_json(native, RANKS))
        else:
            write_shards(partial, base, generator)
            write_json(partial / "config.json", native)
            for adapter, rank in RANKS.items():
                _write_adapter(partial / f"{adapter}-lora", config, adapter, rank, generator)
        (partial / "tokenizer.json").write_text(byte_tokenizer(), encoding="utf-8")
    return folder


@contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """A new folder to write to, which takes this one's name when all is written."""
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.replace(folder)


def byte_tokenizer() -> str:
    """The text of a tokenizer.json: single bytes, and the control tokens at their real places."""
    names = sorted(pre_tokenizers.ByteLevel.alphabet())
    names += [f"<t{number}>" for number in range(len(names), FIRST_CONTROL_ID)]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    controls = {FIRST_CONTROL_ID: "<|endoftext|>", **CONTROL_TOKENS}
    tokenizer.add_tokens(
        [
            AddedToken(
                controls.get(number, f"<|endoftext{number - FIRST_CONTROL_ID - 1}|>"),
                special=True,
                normalized=False,
                rstrip=number in CONTROL_TOKENS,
            )
            for number in range(FIRST_CONTROL_ID, LAST_CONTROL_ID + 1)
        ]
    )
    return tokenizer.to_str()


def full_config(num_layers: int = NUM_LAYERS) -> Phi4MultimodalConfig:
    """The architecture of microsoft/Phi-4-multimodal-instruct."""
    return Phi4MultimodalConfig(
        vocab_size=200_064,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=num_layers,
        num_attention_heads=24,
        num_key_value_heads=8,
        rms_norm_eps=1e-5,
        max_position_embeddings=131_072,
        original_max_position_embeddings=4096,
        sliding_window=262_144,
        tie_word_embeddings=True,
        bos_token_id=199_999,
        eos_token_id=[199_999, 200_020],
        pad_token_id=199_999,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": 4096,
            "factor": 32.0,
            "short_factor": [1.0] * len(LONG_FACTORS),
            "long_factor": list(LONG_FACTORS),
        },
        vision_config=Phi4MultimodalVisionConfig(image_token_id=200_010),
        audio_config=Phi4MultimodalAudioConfig(bias_max_distance=500, audio_token_id=200_011),
    )


def base_shapes(config: Phi4MultimodalConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor but the adapters', by transformers' name; the head is the embedding."""
    with torch.device("meta"):
        skeleton = Phi4MultimodalForCausalLM(config)
    tensors = skeleton.state_dict()
    return {name: tuple(t.shape) for name, t in tensors.items() if name != "lm_head.weight"}


def _lora_shapes(
    config: Phi4MultimodalConfig, adapter: AdapterName
) -> dict[LoraKey, tuple[int, ...]]:
    rank = RANKS[adapter]
    shapes: dict[LoraKey, tuple[int, ...]] = {}
    for linear, (num_out, num_in) in decoder_linear_shapes(config).items():
        shapes[LoraKey(adapter, linear, "A")] = (rank, num_in)
        shapes[LoraKey(adapter, linear, "B")] = (num_out, rank)
    return shapes


def _tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    if name.endswith("bias") or name.endswith("global_mean"):
        return torch.zeros(shape, dtype=torch.bfloat16)
    if len(shape) < 2:
        return torch.ones(shape, dtype=torch.bfloat16)
    return torch.empty(shape, dtype=torch.bfloat16).normal_(std=STD, generator=generator)


def _shards(shapes: Mapping[str, tuple[int, ...]]) -> Iterator[dict[str, tuple[int, ...]]]:
    shard: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        shard[name] = shape
        if sum(2 * math.prod(each) for each in shard.values()) > SHARD_BYTES:
            yield shard
            shard = {}
    if shard:
        yield shard


def write_shards(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], generator: torch.Generator
) -> None:
    """Write random tensors of these shapes, in shards, and their index."""
    shards = list(_shards(shapes))
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {key: _tensor(key, shape, generator) for key, shape in shard.items()}
        save_file(tensors, folder / name, {"format": "pt"})
        weight_map |= dict.fromkeys(shard, name)
        print(f"  shard {number} of {len(shards)}", flush=True)
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})


def _write_adapter(
    folder: Path,
    config: Phi4MultimodalConfig,
    adapter: AdapterName,
    rank: int,
    generator: torch.Generator,
) -> None:
    folder.mkdir()
    shapes = {peft_lora_name(key): s for key, s in _lora_shapes(config, adapter).items()}
    tensors = {name: _tensor(name, shape, generator) for name, shape in shapes.items()}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    write_json(folder / "adapter_config.json", _adapter_config(rank))
    print(f"  {adapter} adapter", flush=True)


def _adapter_config(rank: int) -> dict[str, Any]:
    """As peft writes it; ours needs the rank and alpha alone."""
    targets = r"model\.layers\.\d+\.\w+\.(qkv_proj|o_proj|gate_up_proj|down_proj)"
    scale = {"r": rank, "lora_alpha": 2 * rank, "lora_dropout": 0.0, "bias": "none"}
    return {"peft_type": "LORA", "target_modules": targets, "inference_mode": True, **scale}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file of a model's folder."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
