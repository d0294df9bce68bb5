"""The model under training: transformers' class with both LoRAs, and one loss for every route.

Leaves out: what a stage learns (stages.py) and the loop (loop.py).
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from tokenizers import Tokenizer as RawTokenizer
from torch import nn
from transformers import Phi4MultimodalForCausalLM

from core.config import has_fast_bfloat16
from core.training.architecture import (
    ADAPTER_ALPHA_PER_RANK,
    ADAPTER_RANKS,
    ADAPTER_TARGETS,
    bundled_config,
)
from core.training.examples import IGNORED, Batch
from core.training.locality import begin_local
from core.training.looking import LOOKING_WEIGHT, run_and_look
from core.training.media import Clips, Pictures
from core.training.mel_augment import augment

NUM_COMPILED: Final = 64  # versions of a layer's code; beyond, torch would run it uncompiled
Adapters = str | tuple[str, ...] | None  # active ones: a route has one or none
Encoding = tuple[torch.Tensor, tuple[int, int]]  # pooled features, useful rows and columns


class Learner:
    """Model, adapters and media encoders on one device.

    Args:
        raw_tokenizer: decides the vocabulary.
        seed: of the first weights.
        device: where it learns; with bfloat16 autocast where the device is fast at it.
    """

    def __init__(self, raw_tokenizer: RawTokenizer, seed: int, device: str) -> None:
        torch.manual_seed(seed)
        self.device = torch.device(device)
        self.dtype = torch.bfloat16 if has_fast_bfloat16(self.device.type) else torch.float32
        self.config = bundled_config(raw_tokenizer)
        base = Phi4MultimodalForCausalLM(self.config)
        _initialise(base, self.config.num_hidden_layers)
        sides = self.config.vision_config.crop_size // self.config.vision_config.patch_size
        begin_local(base.model.embed_tokens_extend.image_embed.img_processor, sides)
        targets = rf"model\.layers\.\d+\.\w+\.({'|'.join(ADAPTER_TARGETS)})"
        configs = {
            name: LoraConfig(
                r=rank, lora_alpha=rank * ADAPTER_ALPHA_PER_RANK, target_modules=targets
            )
            for name, rank in ADAPTER_RANKS.items()
        }
        self.peft = get_peft_model(base, configs["vision"], adapter_name="vision")
        self.peft.add_adapter("speech", configs["speech"])
        self.peft.to(self.device)
        self.causal_lm: Phi4MultimodalForCausalLM = base
        self.decoder = base.model
        self.media = base.model.embed_tokens_extend
        # Short rows: plain attention is faster than flash attention's backward.
        base.set_attn_implementation(
            {"": "eager", "audio_config": "eager", "vision_config": "eager"}
        )
        for layer in self.media.image_embed.img_processor.encoder.layers:
            layer.self_attn.is_causal = False  # transformers 5.23 forgets it without a mask
        if self.device.type == "cpu":
            for module in self.media.audio_embed.encoder.embed.modules():
                if isinstance(module, nn.Conv2d) and module.weight.shape[1] == 1:
                    _keep_in_float32(module)
        if shutil.which("c++"):
            self._compile()

    def _compile(self) -> None:
        """Fuse what lies between the matrix products, which takes long on a CPU.

        All layers share one piece of code, which is compiled anew for each adapter, each set of
        weights that learn, and validation: more often than torch allows by itself.
        """
        torch._dynamo.config.recompile_limit = NUM_COMPILED
        for layer in (*self.decoder.layers, *self.media.image_embed.img_processor.encoder.layers):
            layer.compile(dynamic=True)

    def parameters(self, *prefixes: str) -> dict[str, nn.Parameter]:
        """Parameters whose native name begins with one of the prefixes."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name.startswith(prefixes)
        }

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter by its native name; LoRA factors as `lora.<adapter>...`."""
        for name, parameter in self.causal_lm.named_parameters():
            native = name.replace(".base_layer", "")
            for adapter in ADAPTER_RANKS:
                if f".{adapter}." in name and ".lora_" in name:
                    native = f"lora.{adapter}.{name}"
            yield native, parameter

    def freeze_all_but(self, parameters: dict[str, nn.Parameter]) -> None:
        """Only these learn."""
        for parameter in self.causal_lm.parameters():
            parameter.requires_grad_(False)
        for parameter in parameters.values():
            parameter.requires_grad_(True)

    def autocast(self) -> torch.autocast:
        """Inside, matrix products run in the learner's type."""
        is_low = self.dtype == torch.bfloat16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=is_low)

    @contextmanager
    def adapter(self, name: Adapters) -> Iterator[None]:
        """Inside, this adapter is the active one, or none is, or several are at once.

        peft marks the active adapter as trainable; what learns is put back as it was.
        """
        learns = {id(p): p.requires_grad for p in self.causal_lm.parameters()}
        try:
            if name is None:
                with self.peft.disable_adapter():
                    self._restore(learns)
                    yield
            else:
                self.peft.base_model.set_adapter(name if isinstance(name, str) else list(name))
                self._restore(learns)
                yield
        finally:
            self._restore(learns)

    def reset_adapter(self, name: str) -> None:
        """Begin an adapter anew: it then adds nothing to the base model."""
        for module in self.causal_lm.modules():
            if isinstance(module, LoraLayer) and name in module.lora_A:
                module.reset_lora_parameters(name, init_lora_weights=True)

    def _restore(self, learns: dict[int, bool]) -> None:
        for parameter in self.causal_lm.parameters():
            parameter.requires_grad_(learns[id(parameter)])

    def encode_patches(self, crops: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """The vision encoder up to feature layer -2; what follows is never used.

        Args:
            crops: (num, 3, crop_px, crop_px) in [-1, 1].
            masks: (num, 10, 10), False where a patch is padding.
        Returns:
            One vector a patch, (num, 100, vision hidden).
        """
        vision = self.media.image_embed.img_processor
        masks = masks.to(self.device)
        hidden = vision.embeddings(pixel_values=crops.to(self.device), patch_attention_mask=masks)
        attended = None
        if not bool(masks.all()):
            lowest = torch.finfo(self.dtype).min
            attended = (~masks.flatten(1))[:, None, None, :].to(self.dtype) * lowest
        for layer in vision.encoder.layers[: self.config.vision_config.feature_layer + 1]:
            hidden = layer(hidden, attention_mask=attended)
        return hidden

    def embed(
        self,
        batch: Batch,
        pictures: dict[int, Encoding] | None,
        sounds: dict[int, torch.Tensor] | None,
        projector: str,
    ) -> torch.Tensor:
        """Input embeddings of a batch, media in their places, (num_rows, num_tokens, hidden).

        Args:
            pictures: what `picture_encodings` returned.
            sounds: encoder outputs by clip index, each (num_tokens, audio hidden).
            projector: "speech" or "vision", for sounds.
        """
        ids = batch.ids.to(self.device)
        embeddings = self.decoder.embed_tokens(ids)
        if len(batch.pointed):
            there = batch.pointed.where.to(self.device).unbind(1)
            pointed = batch.pointed.embeddings(self.decoder.embed_tokens.weight)
            embeddings = embeddings.index_put(there, pointed)
        if batch.pictures and pictures is not None:
            rows = [self._picture_rows(*pictures[index]) for index in batch.pictures]
            where = (ids == self.config.vision_config.image_token_id).nonzero(as_tuple=True)
            projected = self.project_picture(torch.cat(rows))
            embeddings = embeddings.index_put(where, projected.to(embeddings.dtype))
        if batch.sounds and sounds is not None:
            frames = torch.cat([sounds[index] for index in batch.sounds]).to(self.device)
            projected = self.project_sound(frames.float(), projector)
            where = (ids == self.config.audio_config.audio_token_id).nonzero(as_tuple=True)
            embeddings = embeddings.index_put(where, projected.to(embeddings.dtype))
        return embeddings

    def _picture_rows(self, features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """The crop's rows, each with its separator, then the global view's, (num_tokens, width).

        Source: PHI4 order "sub_glb"; a test compares with transformers' own arrangement.
        """
        embed = self.media.image_embed
        features = features.to(self.device).float()
        side = int(features.shape[1] ** 0.5)
        rows, columns = size
        separator = embed.sub_img_feature_extensor[0, 0]
        whole, crop = (view.view(side, side, -1) for view in features)
        crop = crop[:rows, :columns]
        crop = torch.cat([crop, separator.expand(rows, 1, -1)], 1).flatten(0, 1)
        whole = torch.cat([whole, separator.expand(side, 1, -1)], 1).flatten(0, 1)
        return torch.cat([crop, embed.global_img_feature_extensor[0], whole])

    def project_picture(self, rows: torch.Tensor) -> torch.Tensor:
        """Vision features (num_tokens, vision hidden) into the decoder's space."""
        embed = self.media.image_embed
        projected: torch.Tensor = embed.img_projection_down(F.gelu(embed.img_projection_up(rows)))
        return projected

    def project_sound(self, frames: torch.Tensor, projector: str) -> torch.Tensor:
        """Audio encoder outputs (num_tokens, audio hidden) into the decoder's space."""
        suffix = "speech" if projector == "speech" else "vision_speech"
        audio = self.media.audio_embed
        hidden = F.gelu(getattr(audio, f"up_proj_for_{suffix}")(frames))
        projected: torch.Tensor = getattr(audio, f"down_proj_for_{suffix}")(hidden)
        return projected

    def loss_and_hits(
        self, batch: Batch, embeddings: torch.Tensor, adapter: Adapters
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean cross entropy of the replies, and where the likeliest token is the right one.

        The mean is weighted, if the batch says how. A row that is right at every place is what
        greedy decoding says. An adapter that learns is told where to look, too.

        Returns:
            The loss; bool, (num_rows, num_tokens), True where no reply stands.
        """
        labels = batch.labels.to(self.device)
        with self.adapter(adapter):
            # In its type from the start: the residual stream is what it will be in use.
            embeddings = embeddings.to(self.dtype)
            if torch.is_grad_enabled() and len(batch.looks):
                hidden, distance = run_and_look(self.decoder, embeddings, batch.looks)
            else:
                output = self.decoder(inputs_embeds=embeddings, use_cache=False)
                hidden, distance = output.last_hidden_state, torch.zeros((), device=self.device)
        learned = labels != IGNORED
        logits = self.causal_lm.lm_head(hidden[learned]).float()
        wanted = labels[learned]
        surprise = F.cross_entropy(logits, wanted, reduction="none")
        if batch.weights is not None:
            weights = batch.weights.to(self.device)[learned]
            surprise = surprise * weights / weights.mean()
        loss = surprise.mean() + LOOKING_WEIGHT * distance
        right = torch.ones_like(learned)
        right[learned] = logits.detach().argmax(-1) == wanted
        return loss, right


def _keep_in_float32(convolution: nn.Conv2d) -> None:
    """Run a convolution outside autocast: on a CPU, filters of one channel are slow in bfloat16."""
    forward = convolution.forward

    def run(input: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(input.float())

    convolution.forward = run  # type: ignore[method-assign]


def picture_tensors(
    pictures: Pictures, indices: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops in [-1, 1], (num, 3, 140, 140), and their patch masks, (num, 10, 10)."""
    crops = torch.from_numpy(pictures.views[list(indices)])
    masks = torch.from_numpy(pictures.masks[list(indices)])
    return crops.float().div_(127.5).sub_(1), masks


def pooled(patches: torch.Tensor) -> torch.Tensor:
    """Two by two patches become one token, as the decoder sees them.

    Args:
        patches: (num, side * side, width).
    Returns:
        (num, side / 2 * side / 2, width).
    """
    side = int(patches.shape[1] ** 0.5)
    grid = patches.transpose(1, 2).unflatten(2, (side, side))
    return F.avg_pool2d(grid.float(), 2).flatten(2).transpose(1, 2)


def picture_encodings(learner: Learner, pictures: Pictures) -> list[Encoding]:
    """The frozen vision encoder's pooled output for some pictures, to be kept.

    Returns:
        Of each picture: features of the global view and the crop, (2, 25, vision hidden), and how
        many rows and columns of the crop hold picture.
    """
    with torch.no_grad(), learner.autocast():
        encoded = encode_pictures(learner, pictures)
    return [(rows.bfloat16().cpu(), size) for rows, size in encoded]


def encode_pictures(learner: Learner, pictures: Pictures) -> list[Encoding]:
    """The vision encoder's pooled output for some pictures, as `picture_encodings` gives it.

    Gradients pass, so that the encoder can learn from replies.
    """
    crops, masks = picture_tensors(pictures, tuple(range(len(pictures))))
    whole = pooled(learner.encode_patches(crops, torch.ones_like(masks)))
    # A square picture's crop is its global view; only the others are seen a second time.
    is_padded = ~masks.flatten(1).all(1)
    views = torch.stack([whole, whole], 1)
    if bool(is_padded.any()):
        crop = pooled(learner.encode_patches(crops[is_padded], masks[is_padded]))
        where = is_padded.nonzero()[:, 0].to(learner.device)
        views = torch.stack([whole, whole.index_put((where,), crop)], 1)
    sizes = [(int(mask[:, 0].sum()), int(mask[0].sum())) for mask in masks[:, ::2, ::2]]
    return list(zip(views, sizes, strict=True))


def sound_encodings(
    learner: Learner, clips: Clips, rng: random.Random | None = None
) -> dict[int, torch.Tensor]:
    """The frozen audio encoder's output for every clip, (num_tokens, audio hidden) by index.

    Only clips of exactly the same length share a batch: there is no padding that could leak.

    Args:
        rng: varies the clips as their encoder's own stage did. It knows them better than any it
            will hear; what learns from its outputs shall not count on that.
    """
    encoder = learner.media.audio_embed.encoder.eval()
    by_length: dict[int, list[int]] = {}
    for index in range(len(clips)):
        by_length.setdefault(clips.num_frames(index), []).append(index)
    outputs: dict[int, torch.Tensor] = {}
    with torch.no_grad(), learner.autocast():
        for alike in by_length.values():
            for start in range(0, len(alike), 32):
                indices = alike[start : start + 32]
                frames = np.stack([clips.log_mel(index) for index in indices]).astype(np.float32)
                mels = torch.from_numpy(frames)
                if rng is not None:
                    mels = augment(mels, torch.full((len(mels),), mels.shape[1]), rng)
                encoded = encoder(mels.to(learner.device), None)
                outputs.update(zip(indices, encoded.bfloat16().cpu(), strict=True))
    return outputs


def _initialise(model: nn.Module, num_layers: int) -> None:
    """First weights: small normal ones for the decoder, kept-variance ones for the encoders.

    transformers' own are not meant to be trained from: SigLIP's have a scale of 1, and the audio
    encoder's let the signal fade to a millionth before the first conformer block.
    """
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2:
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
        elif "position_embedding" in name or "bias_values" in name:
            nn.init.normal_(parameter, std=0.02)
        elif "img_processor." in name and parameter.ndim < 4:
            nn.init.xavier_uniform_(parameter.flatten(1))
        elif "audio_embed.encoder." in name and not name.endswith((".b1", ".b2")):
            nn.init.kaiming_uniform_(
                parameter, nonlinearity="relu" if ".embed.conv" in name else "linear"
            )
        elif not name.endswith((".b1", ".b2")):
            std = 0.02
            if name.endswith(("o_proj.weight", "down_proj.weight")) and "layers" in name:
                std /= (2 * num_layers) ** 0.5
            nn.init.normal_(parameter, std=std)
