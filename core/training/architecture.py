"""The bundled model's architecture: Phi-4-multimodal's own classes, made small.

Every ratio that matters is the large model's: tied embeddings, fused projections, grouped-query
attention, three quarters of the rotary dimensions, feature layer -2, eightfold time reduction,
LoRA scale 2.0. Only the sizes differ. Leaves out: training (stages.py).
"""

from __future__ import annotations

from typing import Any, Final

from tokenizers import Tokenizer as RawTokenizer
from transformers import Phi4MultimodalConfig
from transformers.models.phi4_multimodal.configuration_phi4_multimodal import (
    Phi4MultimodalAudioConfig,
    Phi4MultimodalVisionConfig,
)

from core.training.patch_labels import PATCH_PX, VIEW_PX

MAX_CROPS: Final = 1  # a picture is one crop and its global view
ADAPTER_RANKS: Final = {"vision": 32, "speech": 32}
ADAPTER_ALPHA_PER_RANK: Final = 2
ADAPTER_TARGETS: Final = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
NUM_DECODER_LAYERS: Final = 6
NUM_VISION_LAYERS: Final = 6
NUM_AUDIO_BLOCKS: Final = 6
NUM_CONTEXT_TOKENS: Final = 4096
_NUM_ROTARY_FACTORS: Final = 24  # head_dim 64 x 0.75 / 2


def is_run(name: str) -> bool:
    """Whether a tensor, by its native name, is ever computed with: feature layer -2 is the last
    of the vision encoder that feeds the decoder.
    """
    last = f".img_processor.encoder.layers.{NUM_VISION_LAYERS - 1}."
    never_run = (last, ".img_processor.post_layernorm", ".img_processor.head.")
    return not any(part in name for part in never_run)


def bundled_config(tokenizer: RawTokenizer) -> Phi4MultimodalConfig:
    """The configuration for a tokenizer's vocabulary and control tokens."""
    token_id: Any = tokenizer.token_to_id
    vocab_size = -(-tokenizer.get_vocab_size() // 64) * 64
    return Phi4MultimodalConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=NUM_DECODER_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=NUM_CONTEXT_TOKENS,
        original_max_position_embeddings=NUM_CONTEXT_TOKENS,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10000.0,
            "partial_rotary_factor": 0.75,
            "short_factor": [1.0] * _NUM_ROTARY_FACTORS,
            "long_factor": [1.0] * _NUM_ROTARY_FACTORS,
            "factor": 1.0,
        },
        tie_word_embeddings=True,
        bos_token_id=token_id("<|endoftext|>"),
        eos_token_id=[token_id("<|endoftext|>"), token_id("<|end|>")],
        pad_token_id=token_id("<|endoftext|>"),
        vision_config=_vision_config(token_id("<|image|>")),
        audio_config=_audio_config(token_id("<|audio|>")),
    )


def _vision_config(image_token_id: int) -> Phi4MultimodalVisionConfig:
    return Phi4MultimodalVisionConfig(
        hidden_size=192,
        intermediate_size=576,
        num_hidden_layers=NUM_VISION_LAYERS,
        num_attention_heads=6,
        image_size=VIEW_PX,
        crop_size=VIEW_PX,
        patch_size=PATCH_PX,
        image_token_id=image_token_id,
    )


def _audio_config(audio_token_id: int) -> Phi4MultimodalAudioConfig:
    return Phi4MultimodalAudioConfig(
        hidden_size=256,
        intermediate_size=512,
        num_blocks=NUM_AUDIO_BLOCKS,
        num_attention_heads=4,
        ext_pw_out_channel=256,
        depthwise_separable_out_channel=256,
        nemo_conv_channels=24,
        bias_max_distance=500,
        audio_token_id=audio_token_id,
    )
