"""Phi-4-multimodal as transformers, bitsandbytes and peft run it: what the model card leads to.

NF4 for the decoder, bfloat16 for the head and the encoders, an adapter that is switched on.
Runs in its own environment. Source: transformers' documentation of phi4_multimodal.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, Phi4MultimodalForCausalLM
from worker import PROMPT_ID, generated_ms, serve

# 10 s of speech, 100 frames a second; a picture of one crop and its global view.
NUM_FRAMES, NUM_AUDIO_TOKENS = 998, 125
NUM_VIEWS, VIEW_PX, NUM_PATCHES, NUM_PICTURE_TOKENS = 2, 448, 32, 545
ADAPTERS = {"speech": "speech", "picture": "vision"}


class Stock:
    """The model with both adapters.

    Args:
        folder: a checkpoint in transformers' layout, an adapter in each subfolder.
    """

    def __init__(self, folder: Path) -> None:
        kept = ["lm_head", "model.embed_tokens_extend"]
        quantization = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=kept,
        )
        self._model = Phi4MultimodalForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16, quantization_config=quantization, device_map="cpu"
        ).eval()
        for name in ADAPTERS.values():
            self._model.load_adapter(folder / f"{name}-lora", adapter_name=name)
        self._config = self._model.config

    @torch.inference_mode()
    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        if case in ADAPTERS:
            self._model.enable_adapters()
            self._model.set_adapter(ADAPTERS[case])
        else:
            self._model.disable_adapters()
        media_ids, media = self._media(case)
        ids = torch.tensor([media_ids + [PROMPT_ID] * num_prompt])
        return generated_ms(self._model, ids, num_new, **media)

    def _media(self, case: str) -> tuple[list[int], dict[str, torch.Tensor]]:
        """Placeholders of a medium, and random numbers of its shape: speed is the same."""
        if case == "speech":
            heard: dict[str, Any] = {
                "audio_input_features": torch.randn(1, NUM_FRAMES, 80),
                "audio_embed_sizes": torch.tensor([NUM_AUDIO_TOKENS]),
            }
            return [self._config.audio_config.audio_token_id] * NUM_AUDIO_TOKENS, heard
        if case == "picture":
            shape = (1, NUM_VIEWS, 3, VIEW_PX, VIEW_PX)
            seen = {
                "image_pixel_values": torch.randn(shape, dtype=torch.bfloat16),
                "image_sizes": torch.tensor([[VIEW_PX, VIEW_PX]]),
                "image_attention_mask": torch.ones(1, NUM_VIEWS, NUM_PATCHES, NUM_PATCHES),
            }
            return [self._config.vision_config.image_token_id] * NUM_PICTURE_TOKENS, seen
        return [], {}


if __name__ == "__main__":
    sys.exit(serve(Stock, ("transformers", "bitsandbytes", "peft", "torch")))
