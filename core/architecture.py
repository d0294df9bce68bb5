"""config.json of either layout -> transformers' Phi4MultimodalConfig.

The architecture is the one transformers describes; main's file says the same in other words and
leaves SigLIP's sizes to its code, so those are read off the tensors' shapes.
Leaves out: the tensors themselves (checkpoint.py). Code that lies in a model folder is never run.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from transformers import (
    Phi4MultimodalAudioConfig,
    Phi4MultimodalConfig,
    Phi4MultimodalVisionConfig,
)

from core.errors import BadModelError
from core.key_map import IMAGE

Layout = Literal["native", "main"]
Shapes = Mapping[str, tuple[int, ...]]

_LAYOUTS: Final[dict[str, Layout]] = {"phi4_multimodal": "native", "phi4mm": "main"}
_SIGLIP: Final = f"{IMAGE}img_processor."
_SIGLIP_NUM_HEADS: Final = 16
_STOP_TOKEN_IDS: Final = [199999, 200020]  # main's config.json lists only the first
_IMAGE_TOKEN_ID: Final = 200010
_AUDIO_TOKEN_ID: Final = 200011
_MAIN_DECODER_FIELDS: Final = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "max_position_embeddings",
    "original_max_position_embeddings",
    "rms_norm_eps",
    "tie_word_embeddings",
    "sliding_window",
    "bos_token_id",
    "pad_token_id",
)
# main's name -> transformers' name
_MAIN_AUDIO_FIELDS: Final = {
    "attention_dim": "hidden_size",
    "attention_heads": "num_attention_heads",
    "linear_units": "intermediate_size",
    "num_blocks": "num_blocks",
    "activation": "activation",
    "chunk_size": "chunk_size",
    "left_chunk": "left_chunk",
    "conv_activation": "conv_activation",
    "conv_glu_type": "conv_glu_type",
    "depthwise_multiplier": "depthwise_multiplier",
    "depthwise_seperable_out_channel": "depthwise_separable_out_channel",
    "ext_pw_out_channel": "ext_pw_out_channel",
    "input_size": "input_size",
    "kernel_size": "kernel_size",
    "time_reduction": "time_reduction",
}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        BadModelError: there is no such file, or it holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise BadModelError(
            f"{path} cannot be read: give a folder that holds a Phi-4-multimodal model."
        ) from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise BadModelError(f"{path} is damaged: download the model folder again.")
    return content


def layout_of(config_json: Mapping[str, Any], folder: Path) -> Layout:
    """Which layout a folder's config.json announces.

    Raises:
        BadModelError: it announces another kind of model.
    """
    model_type = config_json.get("model_type")
    layout = _LAYOUTS.get(str(model_type))
    if layout is None:
        raise BadModelError(
            f"{folder} holds a model of type {model_type!r}: "
            f"give a Phi-4-multimodal model (type {' or '.join(_LAYOUTS)})."
        )
    return layout


def read_architecture(
    config_json: Mapping[str, Any], layout: Layout, shapes: Shapes, folder: Path
) -> Phi4MultimodalConfig:
    """The architecture a config.json describes.

    Args:
        config_json: the file's content.
        layout: what `layout_of` said of it.
        shapes: every tensor's shape by native name.
        folder: named in errors only.
    Raises:
        BadModelError: something is missing, contradictory or not supported.
    """
    try:
        if layout == "native":
            config = Phi4MultimodalConfig.from_dict(dict(config_json))
        else:
            config = _main_architecture(config_json, shapes)
    except BadModelError:
        raise
    except KeyError as error:
        raise _bad_config(folder, f"{error.args[0]} is missing") from error
    except Exception as error:  # transformers' validators raise classes of their own
        reason = " ".join(str(error).split())
        raise _bad_config(folder, reason) from error
    _check_supported(config, folder)
    return config


def _main_architecture(config_json: Mapping[str, Any], shapes: Shapes) -> Phi4MultimodalConfig:
    decoder = {name: config_json[name] for name in _MAIN_DECODER_FIELDS if name in config_json}
    embedders = config_json["embd_layer"]
    return Phi4MultimodalConfig(
        **decoder,
        rope_parameters=_main_rope(config_json),
        eos_token_id=_stop_token_ids(config_json.get("eos_token_id")),
        vision_config=_main_vision(embedders["image_embd_layer"], shapes),
        audio_config=_main_audio(
            config_json["audio_processor"]["config"], embedders.get("audio_embd_layer", {})
        ),
    )


def _main_rope(config_json: Mapping[str, Any]) -> dict[str, Any]:
    scaling = config_json["rope_scaling"]
    return {
        "rope_type": scaling["type"],
        "short_factor": [float(factor) for factor in scaling["short_factor"]],
        "long_factor": [float(factor) for factor in scaling["long_factor"]],
        "rope_theta": float(config_json.get("rope_theta", 10000.0)),
        "partial_rotary_factor": float(config_json.get("partial_rotary_factor", 1.0)),
        "original_max_position_embeddings": config_json["original_max_position_embeddings"],
        "factor": config_json["max_position_embeddings"]
        / config_json["original_max_position_embeddings"],
    }


def _stop_token_ids(listed: int | list[int] | None) -> list[int]:
    """Both stop tokens where the file lists the checkpoint's one, else what it lists."""
    if listed is None or listed == _STOP_TOKEN_IDS[0]:
        return _STOP_TOKEN_IDS
    return listed if isinstance(listed, list) else [listed]


def _main_vision(embedder: Mapping[str, Any], shapes: Shapes) -> Phi4MultimodalVisionConfig:
    hidden_size, _, patch_px, _ = shapes[f"{_SIGLIP}embeddings.patch_embedding.weight"]
    num_positions, _ = shapes[f"{_SIGLIP}embeddings.position_embedding.weight"]
    intermediate_size, _ = shapes[f"{_SIGLIP}encoder.layers.0.mlp.fc1.weight"]
    return Phi4MultimodalVisionConfig(
        hidden_size=hidden_size,
        intermediate_size=intermediate_size,
        num_hidden_layers=_num_siglip_layers(shapes),
        num_attention_heads=_SIGLIP_NUM_HEADS,
        patch_size=patch_px,
        image_size=math.isqrt(num_positions) * patch_px,
        crop_size=embedder["crop_size"],
        image_token_id=embedder.get("image_token_id", _IMAGE_TOKEN_ID),
    )


def _num_siglip_layers(shapes: Shapes) -> int:
    """SigLIP's layers, the last and never used one included.

    A folder without the post-norm was trimmed to what is used, so its last layer is gone too.
    """
    pattern = re.compile(re.escape(_SIGLIP) + r"encoder\.layers\.(\d+)\.")
    indices = {int(match[1]) for name in shapes if (match := pattern.match(name))}
    is_trimmed = f"{_SIGLIP}post_layernorm.weight" not in shapes
    return max(indices) + 1 + int(is_trimmed)


def _main_audio(
    encoder: Mapping[str, Any], embedder: Mapping[str, Any]
) -> Phi4MultimodalAudioConfig:
    fields = {new: encoder[old] for old, new in _MAIN_AUDIO_FIELDS.items() if old in encoder}
    return Phi4MultimodalAudioConfig(
        **fields,
        nemo_conv_channels=encoder["nemo_conv_settings"]["conv_channels"],
        bias_max_distance=encoder["relative_attention_bias_args"]["t5_bias_max_distance"],
        downsample_rate=embedder.get("downsample_rate", 1),
        audio_token_id=embedder.get("audio_token_id", _AUDIO_TOKEN_ID),
    )


def _check_supported(config: Phi4MultimodalConfig, folder: Path) -> None:
    vision, audio, window = config.vision_config, config.audio_config, config.sliding_window
    checks = (
        (config.hidden_act == "silu", f"hidden_act {config.hidden_act!r}"),
        (window is None or window >= config.max_position_embeddings, f"sliding_window {window}"),
        (config.rope_parameters["rope_type"] in ("default", "longrope"), "this rope_type"),
        (vision.crop_size == vision.image_size, "crops of another size than SigLIP's"),
        (vision.image_size // vision.patch_size % 2 == 0, "an odd number of patches in a row"),
        (audio.chunk_size == -1, f"audio chunk_size {audio.chunk_size}"),
        (audio.downsample_rate == 1, f"audio downsample_rate {audio.downsample_rate}"),
    )
    for holds, what in checks:
        if not holds:
            raise BadModelError(
                f"{folder / 'config.json'} asks for {what}, which Triad does not know: "
                "use a model as Microsoft published it."
            )


def _bad_config(folder: Path, reason: str) -> BadModelError:
    return BadModelError(
        f"{folder / 'config.json'} does not describe a Phi-4-multimodal model ({reason[:200]}): "
        "download the folder again."
    )
