"""Main's names, peft's names and the native ones."""

from __future__ import annotations

import pytest
import torch
from transformers import Phi4MultimodalForCausalLM

from core.key_map import (
    LoraKey,
    main_lora_key,
    main_lora_name,
    main_name,
    native_name,
    peft_lora_key,
    peft_lora_name,
)
from tests.tiny_checkpoint import tiny_config

EXTEND = "model.embed_tokens_extend"
BLOCK = f"{EXTEND}.audio_embed.encoder.encoders.7"


@pytest.mark.parametrize(
    ("main", "native"),
    [
        ("model.norm.weight", "model.norm.weight"),
        (
            "model.layers.31.self_attn.qkv_proj.base_layer.weight",
            "model.layers.31.self_attn.qkv_proj.weight",
        ),
        (
            f"{BLOCK}.feed_forward_in.net.0.linear.bias",
            f"{BLOCK}.feed_forward_in.gate_up_proj.bias",
        ),
        (f"{BLOCK}.feed_forward_out.net.2.weight", f"{BLOCK}.feed_forward_out.down_proj.weight"),
        (f"{BLOCK}.self_attn.linear_q.weight", f"{BLOCK}.self_attn.q_proj.weight"),
        (f"{BLOCK}.self_attn.linear_out.bias", f"{BLOCK}.self_attn.o_proj.bias"),
        (
            f"{EXTEND}.image_embed.img_projection.2.weight",
            f"{EXTEND}.image_embed.img_projection_down.weight",
        ),
        (f"{EXTEND}.image_embed.glb_GN", f"{EXTEND}.image_embed.global_img_feature_extensor"),
        (f"{EXTEND}.image_embed.sub_GN", f"{EXTEND}.image_embed.sub_img_feature_extensor"),
        (
            f"{EXTEND}.audio_embed.audio_projection.speech.0.weight",
            f"{EXTEND}.audio_embed.up_proj_for_speech.weight",
        ),
        (
            f"{EXTEND}.audio_embed.audio_projection.vision.2.bias",
            f"{EXTEND}.audio_embed.down_proj_for_vision_speech.bias",
        ),
    ],
)
def test_main_and_native_names_translate_both_ways(main: str, native: str) -> None:
    assert native_name(main) == native
    assert main_name(native) == main


def test_every_tensor_of_the_model_survives_the_round_trip() -> None:
    with torch.device("meta"):
        names = list(Phi4MultimodalForCausalLM(tiny_config()).state_dict())
    translated = [main_name(name) for name in names]
    assert [native_name(name) for name in translated] == names
    assert len(set(translated)) == len(names)
    assert not any("up_proj_for" in name or "extensor" in name for name in translated)


def test_lora_factors_are_told_from_base_tensors() -> None:
    key = LoraKey("speech", "model.layers.3.mlp.gate_up_proj", "B")
    assert main_lora_name(key) == "model.layers.3.mlp.gate_up_proj.lora_B.speech.weight"
    assert main_lora_key(main_lora_name(key)) == key
    assert main_lora_key("model.layers.3.mlp.gate_up_proj.base_layer.weight") is None


@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_both_spellings_of_an_adapter_file_are_read(prefix: str) -> None:
    key = LoraKey("vision", "model.layers.0.self_attn.o_proj", "A")
    assert peft_lora_key(f"{prefix}{key.linear}.lora_A.weight", "vision") == key
    assert peft_lora_name(key) == f"base_model.model.{key.linear}.lora_A.weight"
    assert peft_lora_key(f"{prefix}model.embed_tokens.weight", "vision") is None
