"""Held-out cases: questions that training never saw, with their media and right replies.

Text is held out by wording, pictures by scene and font, speech by wording and voice.
Leaves out: asking them (evaluate.py).
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image

from audio.save import wav_bytes
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.training.dialogues import TRANSCRIBE
from core.training.draw import HELD_OUT_FONTS, draw
from core.training.materials import Clip, clip_at, clip_waveform, scene_at
from core.training.scenes import ask_about
from core.training.world import sample_exchange

SKILLS: Final = (
    "text",
    "picture questions",
    "printed words",
    "transcription",
    "spoken questions",
    "spoken questions on a picture",
)
# Scenes and clips from here on belong to evaluation alone; validation uses the first ones.
FIRST_INDEX: Final = 1_000_000


@dataclass(frozen=True)
class Case:
    """One question to the assistant.

    Args:
        skill: one of SKILLS.
        conversation: what is given.
        said: what is typed or spoken, for people.
        expected: the right reply.
    """

    skill: str
    conversation: Conversation
    said: str
    expected: str


def cases(skill: str, num: int, seed: int) -> Iterator[Case]:
    """`num` held-out cases of a skill; the same seed gives the same cases."""
    makers = {
        "text": _text,
        "picture questions": _picture,
        "printed words": _printed,
        "transcription": _transcription,
        "spoken questions": _spoken,
        "spoken questions on a picture": _spoken_on_picture,
    }
    for number in range(num):
        yield makers[skill](FIRST_INDEX * (seed + 1) + number)


def _case(skill: str, parts: tuple[Part, ...], said: str, expected: str) -> Case:
    return Case(skill, Conversation((Message(Role.USER, parts),)), said, expected)


def _text(index: int) -> Case:
    exchange = sample_exchange(random.Random(f"case-{index}"), "held_out")
    return _case("text", (TextPart(exchange.question),), exchange.question, exchange.answer)


def _picture(index: int) -> Case:
    while (scene := scene_at("held_out", index)).word:
        index += FIRST_INDEX // 2
    exchange = ask_about(random.Random(f"ask-{index}"), scene)
    parts = (picture_part(index), TextPart(exchange.question))
    return _case("picture questions", parts, exchange.question, exchange.answer)


def _printed(index: int) -> Case:
    while not (scene := scene_at("held_out", index)).word:
        index += FIRST_INDEX // 2
    exchange = ask_about(random.Random(f"ask-{index}"), scene)
    parts = (picture_part(index), TextPart(exchange.question))
    return _case("printed words", parts, exchange.question, exchange.answer)


def _clip(index: int, kind: str) -> tuple[int, Clip]:
    """A held-out clip of a kind, at this index or a later one."""
    while (clip := clip_at("held_out", index, num_scenes=FIRST_INDEX)).kind != kind:
        index += FIRST_INDEX // 2
    return index, clip


def _transcription(index: int) -> Case:
    index, clip = _clip(index, "world")
    parts = (sound_part(index, clip.spoken), TextPart(TRANSCRIBE))
    return _case("transcription", parts, clip.spoken, clip.spoken)


def _spoken(index: int) -> Case:
    index, clip = _clip(index, "world")
    return _case("spoken questions", (sound_part(index, clip.spoken),), clip.spoken, clip.answer)


def _spoken_on_picture(index: int) -> Case:
    index, clip = _clip(index, "picture")
    parts = (picture_part(clip.scene), sound_part(index, clip.spoken))
    return _case("spoken questions on a picture", parts, clip.spoken, clip.answer)


def picture_part(index: int) -> ImagePart:
    """The held-out picture with this index, as a PNG."""
    drawing = draw(scene_at("held_out", index), HELD_OUT_FONTS)
    return ImagePart(png_bytes(drawing.picture))


def sound_part(index: int, spoken: str) -> AudioPart:
    """The held-out clip with this index, as a WAV."""
    return AudioPart(wav_bytes(clip_waveform("held_out", index, spoken)))


def png_bytes(pixels: np.ndarray) -> bytes:
    """A picture file of uint8 pixels, shape (height, width, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
