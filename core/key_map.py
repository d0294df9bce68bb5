"""Tensor names: main's layout and peft's files to the native names, and back.

Main keeps both LoRAs inside its shards and names encoders and projectors as its own code does;
transformers' names are the ones used everywhere else here. The map is one to one, so a test can
write main's layout from a native model.
Leaves out: files and shapes (checkpoint.py).
Source: the key lists of microsoft/Phi-4-multimodal-instruct and of its native port.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from core.router import AdapterName

DECODER_LINEARS: Final = (
    "self_attn.qkv_proj",
    "self_attn.o_proj",
    "mlp.gate_up_proj",
    "mlp.down_proj",
)
IMAGE: Final = "model.embed_tokens_extend.image_embed."
AUDIO: Final = "model.embed_tokens_extend.audio_embed."
PEFT_PREFIX: Final = "base_model.model."

# (main, native): whole beginnings of names.
_PREFIXES: Final = (
    (f"{IMAGE}img_projection.0.", f"{IMAGE}img_projection_up."),
    (f"{IMAGE}img_projection.2.", f"{IMAGE}img_projection_down."),
    (f"{IMAGE}glb_GN", f"{IMAGE}global_img_feature_extensor"),
    (f"{IMAGE}sub_GN", f"{IMAGE}sub_img_feature_extensor"),
    (f"{AUDIO}audio_projection.speech.0.", f"{AUDIO}up_proj_for_speech."),
    (f"{AUDIO}audio_projection.speech.2.", f"{AUDIO}down_proj_for_speech."),
    (f"{AUDIO}audio_projection.vision.0.", f"{AUDIO}up_proj_for_vision_speech."),
    (f"{AUDIO}audio_projection.vision.2.", f"{AUDIO}down_proj_for_vision_speech."),
)
# (main, native): the middle of names inside a conformer block.
_CONFORMER_PARTS: Final = (
    (".feed_forward_in.net.0.linear.", ".feed_forward_in.gate_up_proj."),
    (".feed_forward_in.net.2.", ".feed_forward_in.down_proj."),
    (".feed_forward_out.net.0.linear.", ".feed_forward_out.gate_up_proj."),
    (".feed_forward_out.net.2.", ".feed_forward_out.down_proj."),
    (".self_attn.linear_q.", ".self_attn.q_proj."),
    (".self_attn.linear_k.", ".self_attn.k_proj."),
    (".self_attn.linear_v.", ".self_attn.v_proj."),
    (".self_attn.linear_out.", ".self_attn.o_proj."),
)
_CONFORMER: Final = f"{AUDIO}encoder.encoders."
_DECODER_LINEAR: Final = re.compile(
    rf"(model\.layers\.\d+\.(?:{'|'.join(re.escape(name) for name in DECODER_LINEARS)}))"
    r"\.(?:base_layer\.)?weight"
)
_MAIN_LORA: Final = re.compile(r"(model\.layers\.\d+\..+)\.lora_([AB])\.(\w+)\.weight")
_PEFT_LORA: Final = re.compile(r"(model\.layers\.\d+\..+)\.lora_([AB])(?:\.\w+)?\.weight")


@dataclass(frozen=True)
class LoraKey:
    """One factor of one LoRA on one decoder linear, such as model.layers.0.mlp.down_proj."""

    adapter: AdapterName
    linear: str
    factor: Literal["A", "B"]


def decoder_linear_names(num_layers: int) -> list[str]:
    """The native names, without `.weight`, of every linear that is quantised and adapted."""
    return [f"model.layers.{i}.{linear}" for i in range(num_layers) for linear in DECODER_LINEARS]


def native_name(main_name: str) -> str:
    """The native name of a tensor of main's that is not part of a LoRA."""
    if match := _DECODER_LINEAR.fullmatch(main_name):
        return f"{match[1]}.weight"
    if main_name.startswith(_CONFORMER):
        return _replace_part(main_name, _CONFORMER_PARTS)
    return _replace_prefix(main_name, _PREFIXES)


def main_name(native: str) -> str:
    """The name in main's layout of a native tensor: the inverse of `native_name`."""
    if match := _DECODER_LINEAR.fullmatch(native):
        return f"{match[1]}.base_layer.weight"
    if native.startswith(_CONFORMER):
        return _replace_part(native, tuple((new, old) for old, new in _CONFORMER_PARTS))
    return _replace_prefix(native, tuple((new, old) for old, new in _PREFIXES))


def main_lora_key(main_name: str) -> LoraKey | None:
    """What a tensor of main's is to a LoRA; None where it belongs to none."""
    match = _MAIN_LORA.fullmatch(main_name)
    if match is None or match[3] not in get_args(AdapterName):
        return None
    return _lora_key(cast(AdapterName, match[3]), match)


def main_lora_name(key: LoraKey) -> str:
    """The name of a LoRA's factor in main's layout: the inverse of `main_lora_key`."""
    return f"{key.linear}.lora_{key.factor}.{key.adapter}.weight"


def peft_lora_key(peft_name: str, adapter: AdapterName) -> LoraKey | None:
    """What a tensor of an adapter's folder is; None where it is no factor of a decoder linear.

    Both spellings in circulation are read, with and without peft's `base_model.model.`.
    """
    match = _PEFT_LORA.fullmatch(peft_name.removeprefix(PEFT_PREFIX))
    return None if match is None else _lora_key(adapter, match)


def peft_lora_name(key: LoraKey) -> str:
    """The name of a LoRA's factor in its adapter's folder."""
    return f"{PEFT_PREFIX}{key.linear}.lora_{key.factor}.weight"


def _lora_key(adapter: AdapterName, match: re.Match[str]) -> LoraKey:
    return LoraKey(adapter, match[1], "A" if match[2] == "A" else "B")


def _replace_prefix(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        if name.startswith(old):
            return new + name[len(old) :]
    return name


def _replace_part(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for old, new in pairs:
        if old in name:
            return name.replace(old, new, 1)
    return name
