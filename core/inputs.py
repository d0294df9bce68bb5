"""One prompt as the model takes it: token ids, with the media their placeholders stand for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

import numpy as np
import torch
from transformers import Phi4MultimodalConfig

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
        picture_hashes, sound_hashes: of each medium, what its embeddings follow from; none where
            nobody knows.
    """

    token_ids: torch.Tensor
    route: Route
    pictures: tuple[Picture, ...] = field(default=())
    sounds: tuple[Sound, ...] = field(default=())
    picture_hashes: tuple[bytes, ...] = field(default=())
    sound_hashes: tuple[bytes, ...] = field(default=())

    @property
    def num_tokens(self) -> int:
        """Length of the prompt in tokens, media included."""
        return int(self.token_ids.shape[0])

    def placed(self, placeholder_ids: Mapping[str, int]) -> Iterator[PlacedMedium]:
        """Every picture, then every sound, with its place among the tokens.

        Args:
            placeholder_ids: the tokens that stand for media.
        """
        kinds: tuple[tuple[str, Sequence[Picture | Sound], Sequence[bytes]], ...] = (
            ("image", self.pictures, self.picture_hashes),
            ("audio", self.sounds, self.sound_hashes),
        )
        for kind, media, hashes in kinds:
            places = np.flatnonzero(self.token_ids.numpy() == placeholder_ids[kind])
            num_tokens = sum(medium.num_tokens for medium in media)
            assert len(places) == num_tokens, (
                f"{len(places)} placeholders stand for media of {num_tokens} tokens"
            )
            for medium, content_hash in zip_longest(media, hashes):
                yield PlacedMedium(medium, int(places[0]), content_hash)
                places = places[medium.num_tokens :]

    def keys(self, placeholder_ids: Mapping[str, int]) -> np.ndarray:
        """What each token is made of: two prompts' tokens are the same where these are.

        Returns:
            int64, shape (num_tokens,): a token's id or, of a medium's place, a number below 0.
        """
        keys = self.token_ids.numpy().copy()
        for placed in self.placed(placeholder_ids):
            keys[placed.start : placed.end] = placed.keys
        return keys


@dataclass(frozen=True)
class PlacedMedium:
    """A picture or a sound in its place.

    Args:
        medium: the picture or the sound.
        start: its first token's place in the prompt.
        content_hash: what its embeddings follow from; None where nobody knows.
    """

    medium: Picture | Sound
    start: int
    content_hash: bytes | None = None

    @property
    def end(self) -> int:
        """The place after its last token's."""
        return self.start + self.medium.num_tokens

    @property
    def keys(self) -> np.ndarray:
        """A number below 0 for each of its tokens, which no other medium has but by rare chance."""
        digest = self.content_hash or os.urandom(16)
        first = int.from_bytes(digest[:8], "little") >> 2  # adding places cannot overflow
        return -1 - (first + np.arange(self.medium.num_tokens, dtype=np.int64))


def placeholder_ids(config: Phi4MultimodalConfig) -> dict[str, int]:
    """The tokens that stand for media, under "image" and "audio"."""
    return {
        "image": int(config.vision_config.image_token_id),
        "audio": int(config.audio_config.audio_token_id),
    }


def content_hash(*contents: bytes) -> bytes:
    """A hash of a medium's file and of whatever else its embeddings follow from."""
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(len(content).to_bytes(8, "little") + content)
    return digest.digest()
