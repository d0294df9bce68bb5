"""A model folder -> its tensors by native name, one at a time.

Two layouts are read: "native" (transformers' own, LoRAs in `speech-lora/` and `vision-lora/`) and
"main" (Microsoft's first one, LoRAs inside the shards). Opening checks every name and shape
against the architecture, so a folder that opens also loads.
Leaves out: what is done with the tensors (loader.py, quantize.py), downloading, pickle files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, get_args

import torch
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from core.architecture import Layout, Shapes, layout_of, read_architecture, read_json
from core.config import AdapterConfig
from core.errors import BadModelError
from core.key_map import (
    IMAGE,
    LoraKey,
    decoder_linear_names,
    main_lora_key,
    native_name,
    peft_lora_key,
)
from core.router import AdapterName
from core.stored_tensor import StoredTensor, stored_tensors

_INDEX_FILE: Final = "model.safetensors.index.json"
_SINGLE_FILE: Final = "model.safetensors"
_ADAPTER_FILE: Final = "adapter_model.safetensors"
_SIGLIP: Final = f"{IMAGE}img_processor."
_NUM_NAMED: Final = 3  # so many tensors are named in an error, the rest are counted


@dataclass(frozen=True)
class Checkpoint:
    """An opened and checked model folder.

    Args:
        folder: where it lies.
        layout: "native" or "main".
        config: its architecture.
        adapters: the LoRAs it has, by name.
    """

    folder: Path
    layout: Layout
    config: Phi4MultimodalConfig
    adapters: Mapping[AdapterName, AdapterConfig]
    base_tensors: Mapping[str, StoredTensor]
    lora_tensors: Mapping[LoraKey, StoredTensor]

    def tensor(self, name: str) -> torch.Tensor:
        """One tensor of the base model, of its encoders or projectors, by native name."""
        return self.base_tensors[name].read()

    def lora_factor(self, key: LoraKey) -> torch.Tensor:
        """A LoRA's factor on one decoder linear: A (rank, in) or B (out, rank), unscaled."""
        return self.lora_tensors[key].read()


def open_checkpoint(folder: Path) -> Checkpoint:
    """Open a model folder of either layout and check that nothing is missing or misshapen.

    Raises:
        BadModelError: the folder is missing, half-written or of another kind; the sentence names
            the files or tensors at fault.
    """
    if not folder.is_dir():
        raise BadModelError(f"There is no folder {folder}: give the folder of a model.")
    config_json = read_json(folder / "config.json")
    layout = layout_of(config_json, folder)
    stored = _read_shards(folder)
    if layout == "main":
        base = {native_name(key): t for key, t in stored.items() if not main_lora_key(key)}
        loras = {lora: t for key, t in stored.items() if (lora := main_lora_key(key))}
        adapters = _main_adapters(config_json, folder)
    else:
        base = stored
        adapters, loras = _native_adapters(folder)
    shapes = {name: tensor.shape for name, tensor in base.items()}
    config = read_architecture(config_json, layout, shapes, folder)
    _check_base(shapes, config, folder)
    _check_loras(loras, adapters, config, folder)
    return Checkpoint(folder, layout, config, adapters, base, loras)


def num_vision_layers_used(config: Phi4MultimodalConfig) -> int:
    """How many of SigLIP's layers are run: up to the one whose output is the picture's feature."""
    vision = config.vision_config
    num_states = vision.num_hidden_layers + 1  # the embeddings count as state 0
    return int(vision.feature_layer % num_states)


# ------------------------------------------------------------------------------ files


def _read_shards(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of the model's own files, by the name it has there."""
    index = folder / _INDEX_FILE
    if not index.exists():
        return _read_file(folder / _SINGLE_FILE)
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise BadModelError(f"{index} is damaged: download the model folder again.")
    stored: dict[str, StoredTensor] = {}
    for name in sorted(set(weight_map.values())):
        # The index is only data: a name that leads out of the folder is not followed.
        stored |= _read_file(folder / Path(str(name)).name)
    missing = [key for key in weight_map if key not in stored]
    if missing:
        raise _bad_tensors(folder, "lacks", missing)
    return stored


def _read_file(path: Path) -> dict[str, StoredTensor]:
    if not path.is_file():
        raise BadModelError(
            f"{path.parent} lacks the file {path.name}: download the model folder again."
        )
    return stored_tensors(path)


# --------------------------------------------------------------------------- adapters


def _main_adapters(
    config_json: Mapping[str, Any], folder: Path
) -> dict[AdapterName, AdapterConfig]:
    """Main's adapters: its config.json has `vision_lora` and `speech_lora`."""
    return {
        name: _adapter_config(name, config_json[f"{name}_lora"], folder / "config.json")
        for name in get_args(AdapterName)
        if config_json.get(f"{name}_lora")
    }


def _native_adapters(
    folder: Path,
) -> tuple[dict[AdapterName, AdapterConfig], dict[LoraKey, StoredTensor]]:
    """The native layout's adapters: one folder in peft's format for each."""
    adapters: dict[AdapterName, AdapterConfig] = {}
    loras: dict[LoraKey, StoredTensor] = {}
    for name in get_args(AdapterName):
        subfolder = folder / f"{name}-lora"
        if not subfolder.is_dir():
            continue
        path = subfolder / "adapter_config.json"
        adapters[name] = _adapter_config(name, read_json(path), path)
        stored = _read_file(subfolder / _ADAPTER_FILE)
        keys = {key: peft_lora_key(key, name) for key in stored}
        if strangers := [key for key, lora in keys.items() if lora is None]:
            raise _bad_tensors(subfolder, "has tensors that no adapter has", strangers)
        loras |= {lora: stored[key] for key, lora in keys.items() if lora is not None}
    return adapters, loras


def _adapter_config(name: AdapterName, content: Mapping[str, Any], path: Path) -> AdapterConfig:
    if content.get("use_dora") or content.get("use_rslora"):
        raise BadModelError(
            f"{path} describes no plain LoRA: use the adapters Microsoft published."
        )
    rank, alpha = content.get("r"), content.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float):
        raise BadModelError(
            f"{path} does not say the {name} adapter's r and lora_alpha: "
            "download the model folder again."
        )
    return AdapterConfig(name, rank, float(alpha))


# ----------------------------------------------------------------------------- checks


def _base_shapes(config: Phi4MultimodalConfig) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor the architecture has, by native name."""
    with torch.device("meta"):
        skeleton = Phi4MultimodalForCausalLM(config)
    return {name: tuple(tensor.shape) for name, tensor in skeleton.state_dict().items()}


def _is_optional(name: str, config: Phi4MultimodalConfig) -> bool:
    """Whether a tensor may be absent, because it is never read, or is another one's copy."""
    unused_layers = range(num_vision_layers_used(config), config.vision_config.num_hidden_layers)
    unused = (
        f"{_SIGLIP}head.",
        f"{_SIGLIP}post_layernorm.",
        f"{_SIGLIP}embeddings.position_ids",
        *(f"{_SIGLIP}encoder.layers.{i}." for i in unused_layers),
    )
    is_tied_head = name == "lm_head.weight" and config.tie_word_embeddings
    return name.startswith(unused) or name.endswith("rotary_emb.inv_freq") or is_tied_head


def _check_base(found: Shapes, config: Phi4MultimodalConfig, folder: Path) -> None:
    known = _base_shapes(config)
    needed = {name: shape for name, shape in known.items() if not _is_optional(name, config)}
    if missing := [name for name in needed if name not in found]:
        raise _bad_tensors(folder, "lacks", missing)
    surplus = [name for name in found if name not in known and not _is_optional(name, config)]
    if surplus:
        raise _bad_tensors(folder, "has tensors that this kind of model does not have", surplus)
    _check_shapes(found, needed, folder)


def _check_shapes(found: Shapes, expected: Shapes, folder: Path) -> None:
    wrong = [
        f"{name} {list(found[name])} instead of {list(shape)}"
        for name, shape in expected.items()
        if found[name] != shape
    ]
    if wrong:
        raise _bad_tensors(folder, "has tensors of a wrong shape", wrong)


def _check_loras(
    loras: Mapping[LoraKey, StoredTensor],
    adapters: Mapping[AdapterName, AdapterConfig],
    config: Phi4MultimodalConfig,
    folder: Path,
) -> None:
    base = decoder_linear_shapes(config)
    expected: dict[str, tuple[int, ...]] = {}
    for adapter in adapters.values():
        for linear, (num_out, num_in) in base.items():
            expected[_spell(LoraKey(adapter.name, linear, "A"))] = (adapter.rank, num_in)
            expected[_spell(LoraKey(adapter.name, linear, "B"))] = (num_out, adapter.rank)
    found = {_spell(key): tensor.shape for key, tensor in loras.items()}
    if missing := [name for name in expected if name not in found]:
        raise _bad_tensors(folder, "lacks", missing)
    if surplus := [name for name in found if name not in expected]:
        raise _bad_tensors(folder, "has LoRA tensors that config.json does not announce", surplus)
    _check_shapes(found, expected, folder)


def decoder_linear_shapes(config: Phi4MultimodalConfig) -> dict[str, tuple[int, int]]:
    """(out, in) of every decoder linear, by native name without `.weight`."""
    hidden, inner = config.hidden_size, config.intermediate_size
    head_dim = hidden // config.num_attention_heads
    num_qkv_heads = config.num_attention_heads + 2 * config.num_key_value_heads
    shapes = {
        "self_attn.qkv_proj": (num_qkv_heads * head_dim, hidden),
        "self_attn.o_proj": (hidden, config.num_attention_heads * head_dim),
        "mlp.gate_up_proj": (2 * inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    names = decoder_linear_names(config.num_hidden_layers)
    return {name: shapes[name.split(".", 3)[3]] for name in names}


def _spell(key: LoraKey) -> str:
    return f"{key.linear}.lora_{key.factor}.{key.adapter}"


def _bad_tensors(folder: Path, what: str, names: Iterable[str]) -> BadModelError:
    listed = sorted(names)
    more = len(listed) - _NUM_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return BadModelError(
        f"{folder} {what}: {', '.join(listed[:_NUM_NAMED])}{rest} "
        f"({len(listed)} in all): download the model folder again."
    )
