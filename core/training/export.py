"""Saves the trained model in the native layout, with `speech-lora/` and `vision-lora/`.

What is written is what transformers and peft read; core/checkpoint.py reads the same.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer as RawTokenizer

from core.training.architecture import ADAPTER_RANKS, MAX_CROPS
from core.training.learner import Learner
from core.training.patch_labels import PATCH_PX, VIEW_PX

ABOUT: Final = """# Triad's bundled model

Phi-4-multimodal's architecture at small size, trained from nothing by `core/training/` on text,
pictures and speech that the code makes itself. It knows a small world and says so beyond it.
"""


def export(learner: Learner, tokenizer: RawTokenizer, folder: Path) -> None:
    """Write the whole model folder, bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: stored(tensor) for name, tensor in base_tensors(learner).items()}
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    learner.config.architectures = ["Phi4MultimodalForCausalLM"]
    learner.config.dtype = torch.bfloat16
    learner.config.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name in ADAPTER_RANKS:
        save_adapter(learner, name, folder)
    _write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "Phi4MultimodalImageProcessor",
            "feature_extractor_type": "Phi4MultimodalFeatureExtractor",
            "size": {"height": VIEW_PX, "width": VIEW_PX},
            "patch_size": PATCH_PX,
            "dynamic_hd": MAX_CROPS,
        },
    )
    _write_json(
        folder / "generation_config.json",
        {"eos_token_id": learner.config.eos_token_id, "do_sample": False},
    )
    (folder / "README.md").write_text(ABOUT, encoding="utf-8")


def base_tensors(learner: Learner) -> dict[str, torch.Tensor]:
    """The learner's own tensors but the LoRAs, by native name; the tied head is the embedding."""
    return {
        name.replace(".base_layer", ""): tensor
        for name, tensor in learner.causal_lm.state_dict().items()
        if ".lora_" not in name and name != "lm_head.weight"
    }


def stored(tensor: torch.Tensor) -> torch.Tensor:
    """As a model folder has it: bfloat16."""
    return tensor.detach().to("cpu", torch.bfloat16).contiguous()


def adapter_file(name: str, folder: Path) -> Path:
    """Where a model's folder, or one of parts, keeps a LoRA."""
    return folder / f"{name}-lora" / "adapter_model.safetensors"


def save_adapter(learner: Learner, name: str, folder: Path) -> None:
    """Write one LoRA, bfloat16, as peft reads it."""
    path = adapter_file(name, folder)
    path.parent.mkdir(exist_ok=True)
    state = get_peft_model_state_dict(learner.peft, adapter_name=name)
    save_file({key: stored(value) for key, value in state.items()}, path, {"format": "pt"})
    learner.peft.peft_config[name].save_pretrained(str(path.parent))


def load_adapter(learner: Learner, name: str, folder: Path) -> None:
    """Give the learner one LoRA that `save_adapter` wrote."""
    set_peft_model_state_dict(
        learner.peft, load_file(adapter_file(name, folder)), adapter_name=name
    )


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
