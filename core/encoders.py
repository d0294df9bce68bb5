"""Pictures and sounds -> embeddings the decoder reads.

The encoders are transformers' own layers, filled tensor by tensor; the steps around them (joining
crops, windows of sound, projectors) are ours. One clip is encoded at a time, because in a batch of
unequal clips padding leaks; long sound goes through in windows of 40 s, one after the other, so
memory does not grow with its length.
Leaves out: cutting pictures (vision/) and log-mel frames (audio/).
Source: Phi4MultimodalImageEmbedding and ...AudioEmbedding of transformers, the oracle in tests.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn
from transformers import (
    AttentionInterface,
    Phi4MultimodalAudioModel,
    Phi4MultimodalConfig,
    Phi4MultimodalVisionModel,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from core import attention
from core.checkpoint import num_vision_layers_used
from core.inputs import Picture, Sound
from core.key_map import AUDIO, IMAGE
from core.quantize import PlainWeight, Weight
from core.quick_rows import gelu_tanh
from core.router import AudioProjector

TensorReader = Callable[[str], torch.Tensor]
WeightReader = Callable[[str], Weight]
# Called between crops and windows; what it raises ends the encoding.
Check = Callable[[], None]

_CROPS_AT_ONCE: Final = 4  # bounds memory: a crop's MLP alone takes 1024 x 4304 numbers
_WINDOW_NUM_TOKENS: Final = 500  # 40 s, what the conformer was trained on
_ATTENTION: Final = "quick or sdpa"  # what transformers knows `_patch_attention` by
_PROJECTORS: Final[dict[AudioProjector, str]] = {"speech": "speech", "vision": "vision_speech"}


class Projector:
    """Linear, GELU, linear: from an encoder's width to the decoder's."""

    def __init__(self, read: TensorReader, up: str, down: str) -> None:
        self._up = (read(f"{up}.weight"), read(f"{up}.bias"))
        self._down = (read(f"{down}.weight"), read(f"{down}.bias"))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., encoder's width) -> (..., hidden)."""
        return F.linear(F.gelu(F.linear(x, *self._up)), *self._down)


class VisionEncoder:
    """SigLIP up to the layer that is used, 2x2 pooling, the separators and the projector.

    Args:
        config: the architecture.
        read: gives a tensor by native name, on the device and in the type to compute in.
        read_linear: gives a matrix of a layer, by native name with `.weight`.
    """

    def __init__(
        self, config: Phi4MultimodalConfig, read: TensorReader, read_linear: WeightReader
    ) -> None:
        # The last layer, the norm and the pooling head behind it do not reach the feature.
        used = copy.deepcopy(config.vision_config)
        used.num_hidden_layers = num_vision_layers_used(config)
        with torch.device("meta"):
            siglip = Phi4MultimodalVisionModel._from_config(used, attn_implementation=_ATTENTION)
        siglip.post_layernorm = siglip.head = None
        if config.vision_config.hidden_act == "gelu_pytorch_tanh":
            for layer in siglip.encoder.layers:
                layer.mlp.activation_fn = QuickGelu()
        self._siglip = _filled(siglip, f"{IMAGE}img_processor.", read, read_linear)
        self._row_end = read(f"{IMAGE}sub_img_feature_extensor").flatten()
        self._middle = read(f"{IMAGE}global_img_feature_extensor").flatten()
        self._project = Projector(read, f"{IMAGE}img_projection_up", f"{IMAGE}img_projection_down")
        self._crop_px: int = config.vision_config.crop_size

    def encode(self, picture: Picture, check: Check) -> torch.Tensor:
        """One picture's embeddings, shape (num_tokens, hidden).

        The crops joined row by row, each row closed by a separator; another separator; then the
        global view in the same way.
        """
        weight = self._row_end
        distinct, place_of = _distinct(picture)
        pixels = picture.pixel_values[distinct].to(weight.device, weight.dtype)
        seen = picture.patch_mask.to(weight.device)
        pairs = zip(pixels.split(_CROPS_AT_ONCE), seen[distinct].split(_CROPS_AT_ONCE), strict=True)
        features = torch.cat([self._crop_features(*pair, check) for pair in pairs])[place_of]
        crops = self._joined_crops(features[1:], seen[1:, ::2, ::2], picture)
        whole = (self._with_row_ends(crops), self._middle[None], self._with_row_ends(features[0]))
        return self._project(torch.cat(whole))

    def _crop_features(
        self, pixels: torch.Tensor, seen: torch.Tensor, check: Check
    ) -> torch.Tensor:
        """(num_crops, 3, px, px) -> (num_crops, side, side, width), side = half the patches."""
        check()
        hidden = self._siglip.embeddings(pixel_values=pixels, patch_attention_mask=seen)
        hidden = hidden.contiguous()  # a convolution's channels lie apart, and would in every sum
        # The mask is always given: without one these layers would attend causally.
        mask = seen.flatten(1)[:, None, None, :].expand(-1, 1, hidden.shape[1], -1)
        for layer in self._siglip.encoder.layers:
            hidden = layer(hidden, mask)
        patches = hidden.unflatten(1, seen.shape[1:]).permute(0, 3, 1, 2)
        return F.avg_pool2d(patches, 2).permute(0, 2, 3, 1)

    def _joined_crops(
        self, features: torch.Tensor, seen: torch.Tensor, picture: Picture
    ) -> torch.Tensor:
        """Crops laid side by side, without what lies in the padding: (height, width, width)."""
        num_down = picture.height_px // self._crop_px
        num_across = picture.width_px // self._crop_px
        joined = _tiled(features, num_down, num_across)
        mask = _tiled(seen, num_down, num_across)
        height, width = int(mask[:, 0].sum()), int(mask[0].sum())
        return joined[:height, :width]

    def _with_row_ends(self, grid: torch.Tensor) -> torch.Tensor:
        """(height, width, channels) -> (height * (width + 1), channels)."""
        ends = self._row_end.expand(grid.shape[0], 1, -1)
        return torch.cat((grid, ends), dim=1).flatten(0, 1)


class AudioEncoder:
    """The conformer and its two projectors.

    Args:
        config: the architecture.
        read: gives a tensor by native name, on the device and in the type to compute in.
        read_linear: gives a matrix of a layer, by native name with `.weight`.
    """

    def __init__(
        self, config: Phi4MultimodalConfig, read: TensorReader, read_linear: WeightReader
    ) -> None:
        with torch.device("meta"):
            conformer = Phi4MultimodalAudioModel._from_config(
                copy.deepcopy(config.audio_config), attn_implementation="sdpa"
            )
        self._conformer = _filled(conformer, f"{AUDIO}encoder.", read, read_linear)
        self._projectors = {
            name: Projector(read, f"{AUDIO}up_proj_for_{key}", f"{AUDIO}down_proj_for_{key}")
            for name, key in _PROJECTORS.items()
        }
        self._frames_per_token: int = config.audio_config.time_reduction

    def encode(self, sound: Sound, projector: AudioProjector, check: Check) -> torch.Tensor:
        """One sound's embeddings, shape (num_tokens, hidden)."""
        weight = self._conformer.embed.conv[0].weight
        frames = torch.from_numpy(sound.log_mel).to(weight.device, weight.dtype)
        num_tokens = math.ceil(frames.shape[0] / self._frames_per_token)
        is_long = num_tokens > _WINDOW_NUM_TOKENS
        windows = []
        for start in range(0, num_tokens, _WINDOW_NUM_TOKENS):
            check()
            hidden = self._subsampled(frames, start)
            num_kept = hidden.shape[1]
            if is_long:  # the reference fills up the last of several windows, and attends to it
                hidden = F.pad(hidden, (0, 0, 0, _WINDOW_NUM_TOKENS - num_kept))
            windows.append(self._conformed(hidden)[0, :num_kept])
        return self._projectors[projector](torch.cat(windows))

    def _subsampled(self, frames: torch.Tensor, start: int) -> torch.Tensor:
        """One window's convolved frames, shape (1, at most 500, width).

        Three convolutions of stride 2 see seven frames to the left of a token's own, so a window
        that is not the first takes one token's frames more, and drops that token.
        """
        num_before = 1 if start else 0
        first = (start - num_before) * self._frames_per_token
        end = (start + _WINDOW_NUM_TOKENS) * self._frames_per_token
        normed = self._conformer.encoder_embedding(frames[None, first:end])
        hidden, _ = self._conformer.embed(normed, None)
        return hidden[:, num_before:]

    def _conformed(self, hidden: torch.Tensor) -> torch.Tensor:
        """One window through the conformer's blocks, every token seeing every other."""
        bias = self._conformer.relative_attention_bias_layer(hidden)
        for block in self._conformer.encoders:
            hidden = block(hidden, bias)
        return hidden


def _patch_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float,
    **given: Any,
) -> tuple[torch.Tensor, None]:
    """Patches look at all patches that are no padding.

    Args:
        query, key, value: shape (num_crops, num_heads, num_patches, width).
        attention_mask: bool, (num_crops, 1, num_patches, num_patches), alike for all queries.
    Returns:
        Shape (num_crops, num_patches, num_heads, width), and no weights.
    """
    if not attention.is_quick(query, key):
        sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]
        mixed, _ = sdpa(module, query, key, value, attention_mask, scaling=scaling, **given)
        return mixed, None
    is_seen = attention_mask[:, 0, 0]
    mixed = attention.attend(query, key, value, scale=scaling, is_seen=is_seen)
    return mixed.transpose(1, 2), None


AttentionInterface.register(_ATTENTION, _patch_attention)


def _distinct(picture: Picture) -> tuple[list[int], list[int]]:
    """The tiles that have to be looked at, and for each tile which of these it is.

    A picture that fills one crop is its own global view; a screenshot's blank crops are all alike.
    """
    tiles = list(zip(picture.patch_mask, picture.pixel_values, strict=True))
    found: list[int] = []
    place_of = []
    for number, tile in enumerate(tiles):
        alike = (
            place for place, other in enumerate(found) if all(map(torch.equal, tile, tiles[other]))
        )
        place_of.append(next(alike, len(found)))
        if place_of[-1] == len(found):
            found.append(number)
    return found, place_of


def _tiled(crops: torch.Tensor, num_down: int, num_across: int) -> torch.Tensor:
    """Crops (down * across, side, side, ...) row by row -> (down * side, across * side, ...)."""
    grid = crops[: num_down * num_across].unflatten(0, (num_down, num_across))
    return grid.transpose(1, 2).flatten(2, 3).flatten(0, 1)


class QuickGelu(nn.Module):
    """GELU by the tanh, in place of one of transformers' own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x of any shape; what is made of it may take its place."""
        return gelu_tanh(x)


class PackedLinear(nn.Module):
    """A linear whose matrix is packed, in place of one of transformers' own.

    Args:
        weight: shape (out, in).
    """

    def __init__(self, weight: Weight) -> None:
        super().__init__()
        self._weight = weight
        self.bias: nn.Parameter | None = None  # shape (out,); given afterwards, as a linear's is

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) -> (..., out)."""
        product = self._weight.multiply(x)
        return product if self.bias is None else product.add_(self.bias)


def _filled(module: nn.Module, prefix: str, read: TensorReader, read_linear: WeightReader) -> Any:
    """A module built without memory, given its tensors one at a time, ready to compute.

    Typed loosely, as transformers describes neither its modules' parts nor their calls.
    """
    owners = dict(module.named_modules())
    for name in list(module.state_dict()):
        # Put in place by hand: load_state_dict walks through the whole module for every tensor.
        path, _, leaf = name.rpartition(".")
        owner = owners[path]
        if isinstance(owner, nn.Linear) and leaf == "weight":
            _give_matrix(module, path, read_linear(prefix + name))
            continue
        tensor = read(prefix + name)
        value = nn.Parameter(tensor, requires_grad=False) if leaf in owner._parameters else tensor
        setattr(module.get_submodule(path), leaf, value)
    return module.eval()


def _give_matrix(module: nn.Module, path: str, weight: Weight) -> None:
    """Let the linear at a path multiply by a matrix; one that is packed takes its place."""
    if isinstance(weight, PlainWeight):
        module.get_submodule(path).weight = nn.Parameter(weight.dequantize(), requires_grad=False)
    else:
        module.set_submodule(path, PackedLinear(weight))
