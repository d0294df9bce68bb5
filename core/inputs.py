"""One prompt as the model takes it: token ids, with the media their placeholders stand for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from core.router import Route
from vision.tiles import Tiles

Picture = Tiles  # a picture as the model takes it is what vision/ makes of it


@dataclass(frozen=True)
class Sound:
    """One sound.

    Args:
        log_mel: float32, shape (num_frames, 80) (audio/log_mel.py).
        num_tokens: how many placeholder tokens stand for it, ceil(num_frames / 8).
    """

    log_mel: np.ndarray
    num_tokens: int


@dataclass(frozen=True)
class ModelInputs:
    """A whole prompt, ready for the model.

    Args:
        token_ids: int64, shape (num_tokens,); image and audio placeholders stand where the
            media's embeddings go, in the order of `pictures` and `sounds`.
        route: which adapter and which audio projector to use.
        pictures, sounds: the media, in prompt order.
    """

    token_ids: torch.Tensor
    route: Route
    pictures: tuple[Picture, ...] = field(default=())
    sounds: tuple[Sound, ...] = field(default=())

    @property
    def num_tokens(self) -> int:
        """Length of the prompt in tokens, media included."""
        return int(self.token_ids.shape[0])
