"""Dialogues: exchanges of the world put into turns, as a person would type, show and say them.

Leaves out: token ids (examples.py) and the media themselves (materials.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from core.training import facts
from core.training.scenes import ask_about, describe, sample_scene
from core.training.world import Exchange, Split, sample_exchange

TRANSCRIBE: Final = "Transcribe the audio clip into text."
SYSTEM_PROMPTS: Final = ("You are a helpful assistant.", "You are Triad, a small assistant.")


@dataclass(frozen=True)
class PictureRef:
    """The picture with this index in the materials."""

    index: int


@dataclass(frozen=True)
class SoundRef:
    """The clip with this index in the materials."""

    index: int


UserPart = str | PictureRef | SoundRef


@dataclass(frozen=True)
class Turn:
    """What the user gives, and the reply to learn."""

    user: tuple[UserPart, ...]
    reply: str


@dataclass(frozen=True)
class Dialogue:
    """Turns in order, and the system prompt or ""."""

    turns: tuple[Turn, ...]
    system: str = ""


def typed(rng: random.Random, question: str) -> str:
    """The question as people type: now and then in lower case or without its last mark."""
    if rng.random() < 0.3:
        question = question.lower()
    if rng.random() < 0.15:
        question = question.rstrip("?.")
    return question


def text_turn(rng: random.Random, split: Split) -> Turn:
    """One typed question about the world."""
    exchange = sample_exchange(rng, split)
    return Turn((typed(rng, exchange.question),), exchange.answer)


def text_dialogue(rng: random.Random, split: Split = "train") -> Dialogue:
    """A dialogue without media, of one to three turns."""
    system = rng.choice(SYSTEM_PROMPTS) if rng.random() < 0.1 else ""
    kind = rng.random()
    if kind < 0.55:
        turns: tuple[Turn, ...] = (text_turn(rng, split),)
    elif kind < 0.7:
        turns = tuple(text_turn(rng, split) for _ in range(rng.randint(2, 3)))
    elif kind < 0.76:
        turns = _introduction(rng, split)
    elif kind < 0.94:
        turns = (_described_picture(rng),)
    else:
        turns = (_repeat(rng, split),)
    return Dialogue(turns, system)


def _introduction(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    name = rng.choice(facts.NAMES)
    said = rng.choice(("My name is {}.", "I am {}.", "I'm {}.", "Hello, I am {}.")).format(name)
    asked = rng.choice(("What is my name?", "Who am I?", "What's my name?", "Tell me my name."))
    first = Turn((typed(rng, said),), f"Nice to meet you, {name}.")
    between = (text_turn(rng, split),) if rng.random() < 0.5 else ()
    return (first, *between, Turn((typed(rng, asked),), f"Your name is {name}."))


def _described_picture(rng: random.Random) -> Turn:
    """A picture told in words: the base model learns to read scenes before it sees any."""
    scene = sample_scene(rng)
    exchange = ask_about(rng, scene)
    return Turn((f"{describe(scene)} {typed(rng, exchange.question)}",), exchange.answer)


def _repeat(rng: random.Random, split: Split) -> Turn:
    spoken = sample_exchange(rng, split).spoken
    said = typed(rng, spoken)
    prompt = rng.choice(("Repeat: {}", "Say after me: {}", "{} " + TRANSCRIBE))
    return Turn((prompt.format(said),), spoken)


def picture_turn(rng: random.Random, index: int, exchange: Exchange) -> Turn:
    """A picture and a typed question about it."""
    return Turn((PictureRef(index), typed(rng, exchange.question)), exchange.answer)


def follow_up(rng: random.Random, exchange: Exchange) -> Turn:
    """A typed question about a picture that was shown before."""
    return Turn((typed(rng, exchange.question),), exchange.answer)
