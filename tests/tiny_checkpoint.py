"""Writes tiny checkpoints with random weights, built like Phi-4-multimodal, in either layout.

Everything that matters for correctness is as in the real one (tied embeddings, grouped queries,
partial rotary, a LongRoPE switch, two LoRAs of different ranks, bias distance 500); only sizes
are small and the rope switch comes after 64 tokens. Main's layout is made by inverting the key
map, so the two layouts hold equal numbers.
Leaves out: tokenizer and processor files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    Phi4MultimodalAudioConfig,
    Phi4MultimodalConfig,
    Phi4MultimodalForCausalLM,
    Phi4MultimodalVisionConfig,
)

from core.key_map import main_lora_name, main_name, peft_lora_key
from core.router import AdapterName

IMAGE_TOKEN_ID: Final = 310
AUDIO_TOKEN_ID: Final = 311
VOCAB_SIZE: Final = 320
ROPE_SWITCH: Final = 64
ROPE_MAX: Final = 1024
CROP_PX: Final = 56
PATCH_PX: Final = 14
RANKS: Final[dict[AdapterName, int]] = {"speech": 8, "vision": 4}
_LORA_TARGETS: Final = r"model\.layers\.\d+\.(self_attn\.(qkv|o)_proj|mlp\.(gate_up|down)_proj)"
_SHARD_BYTES: Final = 400_000


def write_tiny_checkpoint(
    folder: Path,
    layout: Literal["native", "main"] = "native",
    sharded: bool = False,
    seed: int = 0,
) -> Path:
    """Write a tiny checkpoint; the same seed gives the same numbers in every layout.

    Args:
        folder: made if need be.
        layout: transformers' names and adapter folders, or main's names with LoRAs inside.
        sharded: several files and an index, or a single file.
        seed: of the random weights.
    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _write_native(folder, sharded)
    if layout == "main":
        _rewrite_as_main(folder, sharded)
    return folder


def tiny_config() -> Phi4MultimodalConfig:
    """The architecture of the tiny checkpoints."""
    num_factors = 12  # head_dim 32, three quarters of it rotary, in pairs
    return Phi4MultimodalConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=128,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=ROPE_MAX,
        original_max_position_embeddings=ROPE_SWITCH,
        tie_word_embeddings=True,
        sliding_window=262144,
        bos_token_id=300,
        eos_token_id=[300, 301],
        pad_token_id=300,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "original_max_position_embeddings": ROPE_SWITCH,
            "factor": ROPE_MAX / ROPE_SWITCH,
            "short_factor": [1.0] * num_factors,
            "long_factor": [1.0 + 0.9 * i for i in range(num_factors)],
        },
        vision_config=_tiny_vision(),
        audio_config=_tiny_audio(),
    )


def _tiny_vision() -> Phi4MultimodalVisionConfig:
    return Phi4MultimodalVisionConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=16,
        image_size=CROP_PX,
        crop_size=CROP_PX,
        patch_size=PATCH_PX,
        image_token_id=IMAGE_TOKEN_ID,
    )


def _tiny_audio() -> Phi4MultimodalAudioConfig:
    return Phi4MultimodalAudioConfig(
        hidden_size=32,
        intermediate_size=48,
        num_blocks=2,
        num_attention_heads=4,
        ext_pw_out_channel=32,
        depthwise_separable_out_channel=32,
        nemo_conv_channels=8,
        bias_max_distance=500,
        audio_token_id=AUDIO_TOKEN_ID,
    )


def _write_native(folder: Path, sharded: bool) -> None:
    model = Phi4MultimodalForCausalLM(tiny_config())
    _randomize(model)
    size = _SHARD_BYTES if sharded else "1GB"
    model.save_pretrained(folder, max_shard_size=size)
    for name, rank in RANKS.items():
        options = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=_LORA_TARGETS)
        adapted = get_peft_model(model, options)
        _randomize_loras(adapted)
        adapted.save_pretrained(folder / f"{name}-lora")
        model = adapted.unload()


@torch.no_grad()
def _randomize(model: torch.nn.Module) -> None:
    """Weights that neither vanish nor explode, so that logits differ by about one."""
    for name, parameter in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            parameter.copy_(1.0 + 0.1 * torch.randn_like(parameter))
        elif parameter.ndim < 2:
            parameter.normal_(std=0.1)
        elif "embed_tokens.weight" in name or "bias_values" in name or "extensor" in name:
            parameter.normal_(std=0.3)
        else:
            parameter.normal_(std=1.0 / math.sqrt(parameter[0].numel()))
    for name, buffer in model.named_buffers():
        if name.endswith("global_mean"):
            buffer.normal_(mean=2.0)
        if name.endswith("global_invstd"):
            buffer.uniform_(0.3, 0.6)


@torch.no_grad()
def _randomize_loras(model: torch.nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # peft starts it at zero, where an adapter would change nothing
            parameter.normal_(std=0.1)


def _rewrite_as_main(folder: Path, sharded: bool) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        tensors |= {main_name(name): tensor for name, tensor in load_file(path).items()}
        path.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    for adapter in RANKS:
        stored = load_file(folder / f"{adapter}-lora" / "adapter_model.safetensors")
        for name, tensor in stored.items():
            key = peft_lora_key(name, adapter)
            assert key is not None, f"{name} is no LoRA factor"
            tensors[main_lora_name(key)] = tensor
    _save_shards(folder, tensors, sharded)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(main_json(config, RANKS)), encoding="utf-8")


def _save_shards(folder: Path, tensors: dict[str, torch.Tensor], sharded: bool) -> None:
    if not sharded:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for i in range(3):
        file = f"model-{i + 1:05d}-of-00003.safetensors"
        part = {name: tensors[name] for name in names[i::3]}
        save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = json.dumps({"metadata": {}, "weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")


def main_json(native: dict[str, Any], ranks: Mapping[AdapterName, int]) -> dict[str, Any]:
    """The same architecture in the words of main's config.json.

    Args:
        native: transformers' config.json.
        ranks: of the LoRAs; their alpha is twice as large.
    """
    return {
        **decoder_json(native),
        "model_type": "phi4mm",
        "audio_processor": {"name": "cascades", "config": _main_audio_json(native["audio_config"])},
        "embd_layer": {
            "embedding_cls": "image_audio",
            "image_embd_layer": {
                "crop_size": native["vision_config"]["crop_size"],
                "image_token_id": native["vision_config"]["image_token_id"],
            },
            "audio_embd_layer": {
                "downsample_rate": 1,
                "audio_token_id": native["audio_config"]["audio_token_id"],
            },
        },
        **{f"{name}_lora": {"r": rank, "lora_alpha": 2 * rank} for name, rank in ranks.items()},
    }


def decoder_json(native: dict[str, Any]) -> dict[str, Any]:
    """The decoder in the fields that Phi-4 is published with, from transformers' config.json."""
    same = (
        "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads "
        "num_key_value_heads hidden_act max_position_embeddings original_max_position_embeddings "
        "rms_norm_eps tie_word_embeddings sliding_window bos_token_id eos_token_id pad_token_id"
    ).split()
    rope = native["rope_parameters"]
    return {
        **{name: native[name] for name in same},
        "rope_theta": rope["rope_theta"],
        "partial_rotary_factor": rope["partial_rotary_factor"],
        "rope_scaling": {
            "type": "longrope",
            "short_factor": rope["short_factor"],
            "long_factor": rope["long_factor"],
        },
    }


def _main_audio_json(native: dict[str, Any]) -> dict[str, Any]:
    return {
        "activation": "swish",
        "attention_dim": native["hidden_size"],
        "attention_heads": native["num_attention_heads"],
        "chunk_size": -1,
        "depthwise_seperable_out_channel": native["depthwise_separable_out_channel"],
        "ext_pw_out_channel": native["ext_pw_out_channel"],
        "input_size": 80,
        "kernel_size": native["kernel_size"],
        "left_chunk": 18,
        "linear_units": native["intermediate_size"],
        "nemo_conv_settings": {"conv_channels": native["nemo_conv_channels"]},
        "num_blocks": native["num_blocks"],
        "relative_attention_bias_args": {
            "t5_bias_max_distance": native["bias_max_distance"],
            "type": "t5",
        },
        "time_reduction": native["time_reduction"],
    }
