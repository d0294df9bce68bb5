"""The oracle: transformers' Phi4MultimodalForCausalLM with peft's adapters, and prompts for it.

Attention is the eager kind: with transformers' SDPA kind the vision encoder attends causally
whenever no patch is masked, which the real model does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import Phi4MultimodalForCausalLM

from core.inputs import ModelInputs, Picture, Sound
from core.router import ROUTES, AudioProjector, InputMode
from tests.tiny_checkpoint import AUDIO_TOKEN_ID, CROP_PX, IMAGE_TOKEN_ID, PATCH_PX

NUM_PATCHES: Final = CROP_PX // PATCH_PX  # in a row of a crop


class Reference:
    """The whole model as transformers runs it, the adapter chosen by the test's route."""

    def __init__(self, folder: Path) -> None:
        base = Phi4MultimodalForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager"
        )
        self.model = PeftModel.from_pretrained(base, folder / "speech-lora", "speech")
        self.model.load_adapter(folder / "vision-lora", "vision")
        self.model.eval()

    @torch.no_grad()
    def logits(self, inputs: ModelInputs) -> torch.Tensor:
        """Logits of every position of a whole prompt, shape (num_tokens, vocab)."""
        arguments = {"input_ids": inputs.token_ids[None], **_media_arguments(inputs)}
        if inputs.route.adapter is None:
            with self.model.disable_adapter():
                return self.model(**arguments, use_cache=False).logits[0]
        self.model.set_adapter(inputs.route.adapter)
        return self.model(**arguments, use_cache=False).logits[0]

    @torch.no_grad()
    def sound_embeddings(self, sound: Sound, projector: AudioProjector) -> torch.Tensor:
        """One clip's embeddings, shape (num_tokens, hidden)."""
        embedder = self.model.base_model.model.model.embed_tokens_extend.audio_embed
        suffix = "speech" if projector == "speech" else "vision_speech"
        up = getattr(embedder, f"up_proj_for_{suffix}")
        down = getattr(embedder, f"down_proj_for_{suffix}")
        return down(F.gelu(up(embedder.encoder(torch.from_numpy(sound.log_mel)[None], None))))[0]


def prompt(mode: InputMode, num_text_tokens: int = 12, seed: int = 0) -> ModelInputs:
    """A prompt of random text around one picture and/or one sound, as the mode asks."""
    has_picture = mode in (InputMode.VISION, InputMode.VISION_SPEECH)
    has_sound = mode in (InputMode.SPEECH, InputMode.VISION_SPEECH)
    pictures = (picture(seed),) if has_picture else ()
    sounds = (sound(100, seed),) if has_sound else ()
    generator = torch.Generator().manual_seed(seed)
    text = torch.randint(0, 300, (num_text_tokens,), generator=generator)
    half = num_text_tokens // 2
    media = [torch.full((p.num_tokens,), IMAGE_TOKEN_ID) for p in pictures]
    media += [torch.full((s.num_tokens,), AUDIO_TOKEN_ID) for s in sounds]
    ids = torch.cat([text[:half], *media, text[half:]])
    return ModelInputs(ids, ROUTES[mode], pictures, sounds)


def picture(seed: int = 0, num_down: int = 2, num_across: int = 3, num_padded: int = 2) -> Picture:
    """Random crops; the last `num_padded` patches to the right and below are padding."""
    generator = torch.Generator().manual_seed(seed)
    num_crops = num_down * num_across
    pixels = torch.rand(1 + num_crops, 3, CROP_PX, CROP_PX, generator=generator) * 2 - 1
    seen = torch.ones(num_down * NUM_PATCHES, num_across * NUM_PATCHES, dtype=torch.bool)
    seen[seen.shape[0] - num_padded :] = False
    seen[:, seen.shape[1] - num_padded :] = False
    crops = seen.unflatten(0, (num_down, -1)).unflatten(2, (num_across, -1)).transpose(1, 2)
    whole = torch.ones(1, NUM_PATCHES, NUM_PATCHES, dtype=torch.bool)
    side = NUM_PATCHES // 2
    pooled = seen[::2, ::2]
    num_tokens = side * (side + 1) + 1 + int(pooled.sum()) + int(pooled[:, 0].sum())
    return Picture(
        pixels,
        torch.cat((whole, crops.flatten(0, 1))),
        num_down * CROP_PX,
        num_across * CROP_PX,
        num_tokens,
    )


def sound(num_frames: int, seed: int = 0) -> Sound:
    """Random log-mel frames."""
    log_mel = np.random.default_rng(seed).normal(2.0, 2.0, (num_frames, 80))
    return Sound(log_mel.astype(np.float32), -(-num_frames // 8))


def _media_arguments(inputs: ModelInputs) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    if inputs.pictures:
        (shown,) = inputs.pictures
        arguments["image_pixel_values"] = shown.pixel_values[None]
        arguments["image_attention_mask"] = shown.patch_mask[None]
        arguments["image_sizes"] = torch.tensor([[shown.height_px, shown.width_px]])
    if inputs.sounds:
        (heard,) = inputs.sounds
        arguments["audio_input_features"] = torch.from_numpy(heard.log_mel)[None]
        arguments["audio_embed_sizes"] = torch.tensor([heard.num_tokens])
    return arguments
