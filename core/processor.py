"""Conversation and media -> ModelInputs: decode, tile, log-mel, tokenize.

Leaves out: encoders (model.py). Errors name the attachment at fault.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Final

import torch
from transformers import Phi4MultimodalConfig

from audio.errors import AudioError
from audio.load import load_sound
from audio.log_mel import log_mel, num_sound_tokens
from core.bounded_cache import BoundedCache
from core.errors import BadMediaError, BadModelError, PromptTooLongError
from core.inputs import ModelInputs, Picture, Sound, content_hash, placeholder_ids
from core.messages import AudioPart, Conversation, ImagePart
from core.prompt import encode_prompt, prompt_segments
from core.router import route
from core.tokenizer import Tokenizer
from vision.errors import PictureError
from vision.load import load_picture
from vision.tiles import TileOptions, tile_picture

DEFAULT_MAX_CROPS: Final = 36  # `dynamic_hd` of the checkpoint
KEPT_PICTURES_BYTES: Final = 192 * 2**20  # of tiles: two pictures of 36 crops, or 40 of two
KEPT_SOUNDS_BYTES: Final = 32 * 2**20  # of frames: a quarter of an hour


class Processor:
    """Prepares conversations for one checkpoint.

    Args:
        tokenizer: the checkpoint's.
        config: its architecture, for placeholder ids and the size of crops.
        max_crops: how many crops a picture may cost.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: Phi4MultimodalConfig,
        max_crops: int = DEFAULT_MAX_CROPS,
    ) -> None:
        self.tokenizer = tokenizer
        self._placeholder_ids = placeholder_ids(config)
        self._tile_options = TileOptions(
            crop_px=config.vision_config.crop_size,
            patch_px=config.vision_config.patch_size,
            max_crops=max_crops,
        )
        self._pictures = BoundedCache[Picture](
            KEPT_PICTURES_BYTES, lambda picture: picture.pixel_values.nbytes
        )
        self._sounds = BoundedCache[Sound](KEPT_SOUNDS_BYTES, lambda sound: sound.log_mel.nbytes)

    @classmethod
    def from_folder(
        cls, folder: Path, tokenizer: Tokenizer, config: Phi4MultimodalConfig
    ) -> Processor:
        """Read `dynamic_hd` from the folder's preprocessor_config.json, where there is one.

        Raises:
            BadModelError: the file is there but broken.
        """
        path = folder / "preprocessor_config.json"
        if not path.exists():
            return cls(tokenizer, config)
        try:
            max_crops = int(json.loads(path.read_bytes()).get("dynamic_hd", DEFAULT_MAX_CROPS))
            return cls(tokenizer, config, max_crops)
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise BadModelError(
                f"{path.name} in the model folder cannot be read: fetch the folder again."
            ) from error

    def inputs(
        self, conversation: Conversation, num_context_tokens: int | None = None
    ) -> ModelInputs:
        """Prepare a whole conversation, media of every turn included.

        Args:
            conversation: everything said so far.
            num_context_tokens: the model's context; a conversation has to leave room for a reply.
        Raises:
            BadMediaError: a picture or a sound cannot be used; the sentence names it.
            PromptTooLongError: the conversation does not fit the context.
        """
        pictures: list[tuple[bytes, Picture]] = []  # each with its hash
        sounds: list[tuple[bytes, Sound]] = []
        num_tokens = 0
        for part in (part for message in conversation.messages for part in message.parts):
            match part:
                case ImagePart():
                    key = content_hash(part.data, part.detail.encode())
                    picture = self._pictures.get(key, partial(self.picture, part))
                    pictures.append((key, picture))
                    num_tokens += picture.num_tokens
                case AudioPart():
                    key = content_hash(part.data)
                    sound = self._sounds.get(key, partial(self.sound, part))
                    sounds.append((key, sound))
                    num_tokens += sound.num_tokens
            # Media are counted as they come: a hundred pictures must not be tiled in vain.
            _check_length(num_tokens, num_context_tokens)
        token_ids = encode_prompt(
            prompt_segments(conversation),
            self.tokenizer,
            self._placeholder_ids,
            {
                "image": [picture.num_tokens for _, picture in pictures],
                "audio": [sound.num_tokens for _, sound in sounds],
            },
        )
        _check_length(len(token_ids), num_context_tokens)
        return ModelInputs(
            torch.tensor(token_ids),
            route(conversation),
            tuple(picture for _, picture in pictures),
            tuple(sound for _, sound in sounds),
            tuple(key for key, _ in pictures),
            tuple(key for key, _ in sounds),
        )

    def forget_media(self) -> None:
        """Prepare every picture and sound anew from now on."""
        self._pictures.clear()
        self._sounds.clear()

    def picture(self, part: ImagePart) -> Picture:
        """One picture's tiles.

        Raises:
            BadMediaError: the picture cannot be used.
        """
        try:
            return tile_picture(load_picture(part.data), self._tile_options, part.detail)
        except PictureError as error:
            raise BadMediaError(f"{part.name}: {error}") from error

    def sound(self, part: AudioPart) -> Sound:
        """One sound's log-mel frames.

        Raises:
            BadMediaError: the sound cannot be used.
        """
        try:
            frames = log_mel(load_sound(part.data))
        except AudioError as error:
            raise BadMediaError(f"{part.name}: {error}") from error
        return Sound(frames, num_sound_tokens(len(frames)))


def _check_length(num_tokens: int, num_context_tokens: int | None) -> None:
    if num_context_tokens is not None and num_tokens >= num_context_tokens:
        raise PromptTooLongError(
            f"The conversation takes {num_tokens} tokens or more, and the model's context holds "
            f"{num_context_tokens}: start a new chat, or shorten the text or the media."
        )
