"""Held-out cases: questions that training never saw, with their media and right replies.

Questions about the world and sentences to translate are held out by their words. Pictures are
drawn anew, in typefaces of their own; the printed words and what is asked about a picture are
those of training. Speech is by voices, or by a synthesizer, that training never heard. A case
follows from its skill, the seed, its number and those before it.
Leaves out: asking them (evaluate.py) and writing them to files (write_world.py).
"""

from __future__ import annotations

import hashlib
import io
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from PIL import Image

from audio.save import wav_bytes
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.training.described import described_pair, described_picture, spelled_out
from core.training.dialogues import TRANSLATE_TYPED
from core.training.draw import draw
from core.training.exchange import Exchange
from core.training.fonts import HELD_OUT_FACES
from core.training.grammar import Language
from core.training.items import Scene
from core.training.memory import is_told, sample_chain
from core.training.packages import missing_packages
from core.training.picture_pairs import ask_about_two
from core.training.prompts import (
    TRANSCRIBE,
    transcribe_and_translate,
    transcribed_and_translated,
    translate,
)
from core.training.scenes import ask_about, sample_scene
from core.training.speech import speak
from core.training.translation import LANGUAGES, sample_translation
from core.training.voices import SPEAKERS, VoiceGroup
from core.training.world import sample_exchange, sample_spoken

MAX_ATTEMPTS: Final = 100
CHAIN_EVERY: Final = 7  # one text case in so many needs what was said before
PAIR_EVERY: Final = 6  # one spoken question on a picture in so many is about two


@dataclass(frozen=True)
class Case:
    """One question to the assistant.

    Args:
        skill: one of SKILLS.
        expected: the right reply.
        prompt: what is typed, or "".
        spoken: what is said in the clip, or "".
        pictures: PNG files.
        sound: a WAV file, 16 kHz mono, or None.
        history: earlier turns, a question and its right reply each.
        kind: of question, where a skill asks several: "colour" or "place" of a picture.
    """

    skill: str
    expected: str
    prompt: str = ""
    spoken: str = ""
    pictures: tuple[bytes, ...] = ()
    sound: bytes | None = None
    history: tuple[tuple[str, str], ...] = ()
    kind: str = ""

    @property
    def conversation(self) -> Conversation:
        """What the assistant is given: earlier turns; then pictures, the clip, the text."""
        messages = []
        for question, reply in self.history:
            messages.append(Message(Role.USER, (TextPart(question),)))
            messages.append(Message(Role.ASSISTANT, (TextPart(reply),)))
        parts: list[Part] = [ImagePart(picture) for picture in self.pictures]
        if self.sound is not None:
            parts.append(AudioPart(self.sound))
        if self.prompt:
            parts.append(TextPart(self.prompt))
        return Conversation((*messages, Message(Role.USER, tuple(parts))))

    @property
    def asked(self) -> tuple[object, ...]:
        """What makes it another question, whoever speaks."""
        shown = tuple(hashlib.sha256(picture).digest() for picture in self.pictures)
        return self.prompt, self.spoken, self.history, shown

    @property
    def said(self) -> str:
        """All that is typed and spoken, for people."""
        earlier = [question for question, _ in self.history]
        return " / ".join(part for part in (*earlier, self.spoken, self.prompt) if part)


Fields = dict[str, Any]  # of a Case, but for its skill
Maker = Callable[[random.Random, int], Fields]  # what is random, the case's number


def cases(skill: str, num: int, seed: int) -> Iterator[Case]:
    """`num` held-out cases of a skill, in order; the same seed gives the same cases.

    No sentence comes twice, and no question about the same picture, as long as there are others.
    They are made ahead in threads: synthesizers are programs of their own.

    Raises:
        MissingFontsError, FileNotFoundError: see `missing_for`.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        seen: set[tuple[object, ...]] = set()
        for number, case in enumerate(pool.map(partial(case_at, skill, seed), range(num))):
            for attempt in range(1, MAX_ATTEMPTS):
                if case.asked not in seen:
                    break
                case = case_at(skill, seed, number, attempt)
            seen.add(case.asked)
            yield case


def case_at(skill: str, seed: int, number: int, attempt: int = 0) -> Case:
    """The case of a skill with this number; another one at each attempt."""
    key = f"case-{skill}-{seed}-{number}" + (f"-{attempt}" if attempt else "")
    return Case(skill, **MAKERS[skill](random.Random(key), number))


def _text(rng: random.Random, number: int) -> Fields:
    if number % CHAIN_EVERY == CHAIN_EVERY - 1:
        return _chain(rng)
    exchange = sample_exchange(rng, "held_out")
    return _question(exchange)


def _chain(rng: random.Random) -> Fields:
    """Earlier turns with their right replies, and what only makes sense after them."""
    *before, last = sample_chain(rng, "held_out")
    if is_told((*before, last)) and rng.random() < 0.4:
        before.append(sample_exchange(rng, "held_out"))
    history = tuple((exchange.question, exchange.answer) for exchange in before)
    return {**_question(last), "history": history}


def _question(exchange: Exchange) -> Fields:
    return {"prompt": exchange.question, "expected": exchange.answer, "kind": exchange.skill}


def _translation(rng: random.Random, number: int) -> Fields:
    translation, language = sample_translation(rng, "held_out"), _language(number)
    prompt = rng.choice(TRANSLATE_TYPED).format(said=translation.english, language=language)
    return {"prompt": prompt, "expected": translation.by_language[language]}


def _language(number: int) -> Language:
    """Each language as often as any other."""
    return LANGUAGES[number % len(LANGUAGES)]


def _told(rng: random.Random, number: int) -> Fields:
    """A picture, two, or a word letter by letter, told in words: what an eye would leave to do."""
    makers = described_picture, described_picture, described_pair, spelled_out
    return _question(makers[number % len(makers)](rng, "held_out")[0])


def _scene(rng: random.Random, has_word: bool | None = None) -> Scene:
    """A scene: with a word or without one, or any."""
    while True:
        scene = sample_scene(rng)
        if has_word is None or bool(scene.word) == has_word:
            return scene


def _about_picture(rng: random.Random, number: int, *, has_word: bool) -> Fields:
    scene = _scene(rng, has_word)
    return _typed(ask_about(rng, scene), scene)


def _about_two(rng: random.Random, number: int) -> Fields:
    pair = _scene(rng), _scene(rng)
    return _typed(ask_about_two(rng, *pair), *pair)


def _typed(exchange: Exchange, *scenes: Scene) -> Fields:
    pictures = tuple(picture_bytes(scene) for scene in scenes)
    return {**_question(exchange), "pictures": pictures}


def _transcription(rng: random.Random, number: int, *, group: VoiceGroup) -> Fields:
    """Questions of the world and sentences to translate, by turns."""
    if number % 2:
        said = sample_translation(rng, "held_out").english
    else:
        said = sample_spoken(rng, "held_out").spoken
    return {"prompt": TRANSCRIBE, "expected": said, **_sound(rng, said, group)}


def _spoken(rng: random.Random, number: int) -> Fields:
    exchange = sample_spoken(rng, "held_out")
    return {
        "expected": exchange.answer,
        "kind": exchange.skill,
        **_sound(rng, exchange.spoken),
    }


def _spoken_translation(rng: random.Random, number: int) -> Fields:
    """The translation alone or after the transcript, by turns of all languages."""
    translation, language = sample_translation(rng, "held_out"), _language(number)
    said, reply = translation.english, translation.by_language[language]
    prompt = translate(language)
    if number // len(LANGUAGES) % 2:
        prompt = transcribe_and_translate(language)
        reply = transcribed_and_translated(said, reply)
    return {"prompt": prompt, "expected": reply, **_sound(rng, said)}


def _spoken_on_picture(rng: random.Random, number: int) -> Fields:
    scenes = (_scene(rng), _scene(rng)) if number % PAIR_EVERY == PAIR_EVERY - 1 else (_scene(rng),)
    exchange = ask_about_two(rng, *scenes) if len(scenes) == 2 else ask_about(rng, scenes[0])
    pictures = tuple(picture_bytes(scene) for scene in scenes)
    return {
        "expected": exchange.answer,
        "kind": exchange.skill,
        "pictures": pictures,
        **_sound(rng, exchange.spoken),
    }


def _sound(rng: random.Random, said: str, group: VoiceGroup = "unseen voice") -> Fields:
    return {"spoken": said, "sound": wav_bytes(speak(said, rng, group))}


MAKERS: Final[dict[str, Maker]] = {
    "text": _text,
    "translation, typed": _translation,
    "scenes told in words": _told,
    "picture questions": partial(_about_picture, has_word=False),
    "two pictures": _about_two,
    "printed words": partial(_about_picture, has_word=True),
    "transcription, unseen voices": partial(_transcription, group="unseen voice"),
    "transcription, unseen synthesizer": partial(_transcription, group="unseen synthesizer"),
    "spoken questions": _spoken,
    "translation from speech": _spoken_translation,
    "spoken questions on a picture": _spoken_on_picture,
}
SKILLS: Final = tuple(MAKERS)
TRANSCRIPTION: Final = tuple(skill for skill in SKILLS if skill.startswith("transcription"))
# What skills need; those that are not named need none.
VOICES: Final[dict[str, VoiceGroup]] = {
    "transcription, unseen voices": "unseen voice",
    "transcription, unseen synthesizer": "unseen synthesizer",
    "spoken questions": "unseen voice",
    "translation from speech": "unseen voice",
    "spoken questions on a picture": "unseen voice",
}
WITH_PICTURES: Final = (
    "picture questions",
    "two pictures",
    "printed words",
    "spoken questions on a picture",
)


def voice_groups(skills: Sequence[str]) -> tuple[VoiceGroup, ...]:
    """The groups whose voices speak in these skills."""
    return tuple(dict.fromkeys(VOICES[skill] for skill in skills if skill in VOICES))


def synthesizers(skills: Sequence[str]) -> tuple[str, ...]:
    """The programs that speak in these skills."""
    groups = voice_groups(skills)
    return tuple(dict.fromkeys(program for group in groups for program, _, _ in SPEAKERS[group]))


def missing_for(skills: Sequence[str]) -> tuple[str, ...]:
    """The Debian packages that these skills need and that are not installed."""
    has_pictures = any(skill in WITH_PICTURES for skill in skills)
    return missing_packages(voice_groups(skills), HELD_OUT_FACES if has_pictures else ())


def picture_bytes(scene: Scene) -> bytes:
    """The scene in held-out typefaces, as a PNG."""
    return png_bytes(draw(scene, HELD_OUT_FACES).picture)


def png_bytes(pixels: np.ndarray) -> bytes:
    """A picture file of uint8 pixels, shape (height, width, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
