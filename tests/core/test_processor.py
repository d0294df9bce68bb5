"""Conversations as the model takes them: ids, tiles, frames; and errors that name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from audio.load import load_sound
from audio.log_mel import log_mel
from core.errors import BadMediaError, BadModelError
from core.messages import AudioPart, Conversation, Detail, ImagePart, Message, Role, TextPart
from core.processor import DEFAULT_MAX_CROPS, Processor
from core.router import ROUTES, InputMode
from core.tokenizer import Tokenizer
from tests import media
from tests.tiny_checkpoint import AUDIO_TOKEN_ID, CROP_PX, IMAGE_TOKEN_ID, tiny_config
from tests.tiny_tokenizer import tiny_tokenizer_json
from vision.load import load_picture
from vision.tiles import TileOptions, Tiles, tile_picture

TINY = Tokenizer(tiny_tokenizer_json())
CONFIG = tiny_config()
PROCESSOR = Processor(TINY, CONFIG)
SMALL = ImagePart(media.picture_file(media.picture(50, 40)), "small.png")
WIDE = ImagePart(media.picture_file(media.picture(150, 40)), "wide.png")
SHORT = AudioPart(media.sound_file(media.tone(0.3)), "short.wav")
LONG = AudioPart(media.sound_file(media.tone(0.9, rate_hz=44_100), 44_100), "long.wav")


def user(*parts: TextPart | ImagePart | AudioPart) -> Message:
    return Message(Role.USER, parts)


def test_media_of_every_message_are_prepared_in_the_order_of_the_prompt() -> None:
    conversation = Conversation(
        (user(WIDE, SHORT), Message(Role.ASSISTANT, (TextPart("yes"),)), user(LONG, SMALL, SHORT))
    )
    inputs = PROCESSOR.inputs(conversation)
    wide, small = (tiled(part) for part in (WIDE, SMALL))
    assert [shown.num_tokens for shown in inputs.pictures] == [wide.num_tokens, small.num_tokens]
    assert torch.equal(inputs.pictures[0].pixel_values, wide.pixel_values)
    for heard, part in zip(inputs.sounds, (SHORT, LONG, SHORT), strict=True):
        assert np.array_equal(heard.log_mel, log_mel(load_sound(part.data)))
        assert heard.num_tokens == -(-len(heard.log_mel) // 8)
    assert inputs.route is ROUTES[InputMode.VISION_SPEECH]
    num_sounds = [heard.num_tokens for heard in inputs.sounds]
    assert runs_of_media(inputs.token_ids) == [
        (IMAGE_TOKEN_ID, wide.num_tokens),
        (AUDIO_TOKEN_ID, num_sounds[0]),
        (AUDIO_TOKEN_ID, num_sounds[1]),
        (IMAGE_TOKEN_ID, small.num_tokens),
        (AUDIO_TOKEN_ID, num_sounds[2]),
    ]


def tiled(part: ImagePart, max_crops: int = DEFAULT_MAX_CROPS, detail: Detail = "auto") -> Tiles:
    """What vision/ makes of a picture with the tiny checkpoint's crops."""
    options = TileOptions(CROP_PX, CONFIG.vision_config.patch_size, max_crops)
    return tile_picture(load_picture(part.data), options, detail)


def runs_of_media(token_ids: torch.Tensor) -> list[tuple[int, int]]:
    """Placeholders that stand side by side, as (id, how many)."""
    values, counts = token_ids.unique_consecutive(return_counts=True)
    pairs = zip(values.tolist(), counts.tolist(), strict=True)
    return [pair for pair in pairs if pair[0] in (IMAGE_TOKEN_ID, AUDIO_TOKEN_ID)]


def test_text_alone_has_no_media_and_no_adapter() -> None:
    inputs = PROCESSOR.inputs(Conversation((user(TextPart("hello")),)))
    assert (inputs.pictures, inputs.sounds) == ((), ())
    assert inputs.route is ROUTES[InputMode.LANGUAGE]
    names = ("<|user|>", "<|end|>", "<|assistant|>")
    start, end, reply = (TINY.control_id(name) for name in names)
    assert inputs.token_ids.tolist() == [start, *TINY.encode_text("hello"), end, reply]
    assert inputs.token_ids.dtype == torch.int64
    assert inputs.num_tokens == len(inputs.token_ids)


@pytest.mark.parametrize(
    ("detail", "max_crops", "num_crops"),
    [("auto", 36, 3), ("high", 36, 3), ("low", 36, 1), ("auto", 2, 2), ("auto", 1, 1)],
)
def test_detail_and_the_limit_decide_how_many_crops_a_picture_costs(
    detail: Detail, max_crops: int, num_crops: int
) -> None:
    processor = Processor(TINY, CONFIG, max_crops)
    shown = processor.picture(ImagePart(WIDE.data, detail=detail))
    assert shown.pixel_values.shape == (1 + num_crops, 3, CROP_PX, CROP_PX)


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(b"", "nothing.png"),
        ImagePart(b"no picture at all", "letter.png"),
        ImagePart(SMALL.data[: len(SMALL.data) // 2], "half.png"),
        AudioPart(b"", "nothing.wav"),
        AudioPart(b"no sound at all", "letter.wav"),
        AudioPart(media.sound_file(media.tone(0.01)), "click.wav"),
        AudioPart(SMALL.data, "picture.wav"),
        ImagePart(SHORT.data, "sound.png"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_in_one_sentence(part: ImagePart | AudioPart) -> None:
    conversation = Conversation((user(SMALL, SHORT), user(part)))
    with pytest.raises(BadMediaError) as caught:
        PROCESSOR.inputs(conversation)
    sentence = str(caught.value)
    assert sentence.startswith(f"{part.name}: The ")
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("content", "num_crops"),
    [(None, 3), ("{}", 3), ('{"dynamic_hd": 36}', 3), ('{"dynamic_hd": 2}', 2)],
)
def test_the_folder_says_how_many_crops_a_picture_may_cost(
    content: str | None, num_crops: int, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "preprocessor_config.json").write_text(content, encoding="utf-8")
    processor = Processor.from_folder(tmp_path, TINY, CONFIG)
    assert len(processor.picture(WIDE).pixel_values) == 1 + num_crops


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b'{"dynamic_hd": "many"}', b'{"dynamic_hd": 0}', b"null"],
)
def test_a_broken_preprocessor_file_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_bytes(content)
    with pytest.raises(BadModelError, match=r"^preprocessor_config\.json .* fetch the folder"):
        Processor.from_folder(tmp_path, TINY, CONFIG)
