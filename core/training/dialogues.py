"""Dialogues: exchanges of the world put into turns, as a person would type, show and say them.

Leaves out: token ids (examples.py) and the media themselves (materials.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from core.training.as_heard import AsHeard
from core.training.as_seen import AsSeen
from core.training.counting import number_of_colour
from core.training.described import (
    described_pair,
    described_picture,
    seen_pair,
    seen_picture,
    spelled_out,
)
from core.training.exchange import Exchange, Look, Split, Told
from core.training.items import COLOURS, Scene
from core.training.memory import is_told, sample_chain
from core.training.picture_pairs import ask_about_two
from core.training.prompts import (
    TRANSCRIBE,
    transcribe_and_translate,
    transcribed_and_translated,
    translate,
)
from core.training.scene_list import scene_at
from core.training.scenes import ask_about, ask_to_look_up
from core.training.translation import LANGUAGES, sample_translation
from core.training.world import MAKERS, WORKED_OUT, sample_exchange, sample_spoken

HEARD_SHARE: Final = 0.3  # of questions about what is as if seen, or was told as seen
SYSTEM_PROMPTS: Final = ("You are a helpful assistant.", "You are Triad, a small assistant.")


@dataclass(frozen=True)
class PictureRef:
    """The picture with this index in the materials."""

    index: int


@dataclass(frozen=True)
class SoundRef:
    """The clip with this index in the materials."""

    index: int


COLOURS_SHARE: Final = 0.06  # of picture dialogues: "how many red shapes?", "and in blue?"
# Questions after the first: there is much to ask of shapes, where the picture is most of a row,
# and a word is copied from the first answer.
FOLLOW_UPS_OF_SHAPES: Final = (0, 1, 3, 5)
FOLLOW_UPS_OF_A_WORD: Final = (0, 0, 0, 1)
# A description has dozens of words to learn from, a look-up one: these are learned together.
LOOK_UPS_SHARE: Final = 0.6  # of the dialogues about shapes that are learned from
NUM_LOOK_UPS: Final = (4, 6, 8)
UserPart = str | AsHeard | AsSeen | PictureRef | SoundRef


@dataclass(frozen=True)
class Turn:
    """What the user gives, the reply to learn, and where it is read from.

    Args:
        is_heard: whether the reply takes up what a sound beside it says.
        told: where the user's text tells in words what is looked at, now or in later turns.
    """

    user: tuple[UserPart, ...]
    reply: str
    looks: tuple[Look, ...] = ()
    is_heard: bool = True
    told: tuple[Told, ...] = ()


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
    makers, weights = zip(*_MAKERS, strict=True)
    turns: tuple[Turn, ...] = rng.choices(makers, weights)[0](rng, split)
    return Dialogue(turns, system)


def _one(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    return (text_turn(rng, split),)


def _worked_out(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """One question that no list of answers would do for."""
    exchange = sample_exchange(rng, split, WORKED_OUT)
    return (Turn((typed(rng, exchange.question),), exchange.answer),)


def _several(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    return tuple(text_turn(rng, split) for _ in range(rng.randint(2, 3)))


def chain_turns(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """Turns that need what was said before them; now and then with another one between."""
    chain = sample_chain(rng, split)
    turns = [Turn((typed(rng, exchange.question),), exchange.answer) for exchange in chain]
    if is_told(chain) and rng.random() < 0.4:
        turns.insert(1, text_turn(rng, split))
    return tuple(turns)


def _described(
    make: Callable[[random.Random, Split], tuple[Exchange, ...]],
    heard_share: float,
    rng: random.Random,
    split: Split,
) -> tuple[Turn, ...]:
    """Turns about a picture that the first of them tells in words.

    Args:
        heard_share: of the turns after it, whose questions stand there as if heard.
    """
    first, *others = make(rng, split)
    telling = Turn((typed(rng, first.question),), first.answer, first.looks, told=first.told)
    asked = (Turn((_question(rng, each, heard_share),), each.answer, each.looks) for each in others)
    return (telling, *asked)


def _repeat(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A sentence said again: what a transcript is, before there is any sound."""
    if rng.random() < 0.5:
        spoken = sample_exchange(rng, split).spoken
    else:
        spoken = sample_translation(rng, split).english
    prompt = rng.choice(("Repeat: {}", "Say after me: {}", "{} " + TRANSCRIBE))
    return (Turn((prompt.format(typed(rng, spoken)),), spoken),)


def _translated(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A sentence translated, asked for as people type it and as the model card asks for sound."""
    translation, language = sample_translation(rng, split), rng.choice(LANGUAGES)
    said, reply = typed(rng, translation.english), translation.by_language[language]
    kind = rng.random()
    if kind < 0.4:
        prompt = rng.choice(TRANSLATE_TYPED).format(said=said, language=language)
    elif kind < 0.75:
        prompt = f"{said} {translate(language)}"
    else:
        prompt = f"{said} {transcribe_and_translate(language)}"
        reply = transcribed_and_translated(translation.english, reply)
    return (Turn((prompt,), reply),)


def _as_heard(rng: random.Random, spoken: str) -> AsHeard:
    return AsHeard(spoken, rng.getrandbits(32))


def _question(rng: random.Random, exchange: Exchange, heard_share: float) -> str | AsHeard:
    """What is asked: typed, or in a share of cases as if heard."""
    if rng.random() < heard_share:
        return _as_heard(rng, exchange.spoken)
    return typed(rng, exchange.question)


def _heard_repeat(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A sentence to be written down, as if heard."""
    if rng.random() < 0.5:
        spoken = sample_spoken(rng, split).spoken
    else:
        spoken = sample_translation(rng, split).english
    return (Turn((_as_heard(rng, spoken), TRANSCRIBE), spoken),)


def _heard_question(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A question to be answered, as if heard."""
    exchange = sample_spoken(rng, split, WORKED_OUT if rng.random() < 0.5 else MAKERS)
    return (Turn((_as_heard(rng, exchange.spoken),), exchange.answer),)


def _heard_translated(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A sentence to be translated, alone or after its transcript, as if heard."""
    translation, language = sample_translation(rng, split), rng.choice(LANGUAGES)
    said, reply = _as_heard(rng, translation.english), translation.by_language[language]
    if rng.random() < 0.6:
        return (Turn((said, translate(language)), reply),)
    both = transcribed_and_translated(translation.english, reply)
    return (Turn((said, transcribe_and_translate(language)), both),)


def _as_seen(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """A picture that nobody drew, and questions about it, typed or as if heard."""
    number = rng.getrandbits(40)
    scene = scene_at(split, number)
    is_looked_up = scene.items and rng.random() < LOOK_UPS_SHARE
    ask = ask_to_look_up if is_looked_up else ask_about
    num = 1 + rng.choice(FOLLOW_UPS_OF_SHAPES if scene.items else FOLLOW_UPS_OF_A_WORD)
    shown = (AsSeen(split, number, rng.getrandbits(32)),)
    return _asked_of(rng, shown, [ask(rng, scene) for _ in range(num)])


def _two_as_seen(rng: random.Random, split: Split) -> tuple[Turn, ...]:
    """Two pictures that nobody drew, and one or two questions about both."""
    numbers = rng.getrandbits(40), rng.getrandbits(40)
    first, second = (scene_at(split, number) for number in numbers)
    shown = tuple(AsSeen(split, number, rng.getrandbits(32)) for number in numbers)
    num = rng.choice((1, 1, 2))
    return _asked_of(rng, shown, [ask_about_two(rng, first, second) for _ in range(num)])


def _asked_of(
    rng: random.Random, shown: tuple[AsSeen, ...], asked: Iterable[Exchange]
) -> tuple[Turn, ...]:
    """Turns about what the first of them shows."""
    turns: list[Turn] = []
    for each in asked:
        before = () if turns else shown
        question = _question(rng, each, HEARD_SHARE)
        turns.append(Turn((*before, question), each.answer, each.looks))
    return tuple(turns)


TRANSLATE_TYPED: Final = (
    "Translate to {language}: {said}",
    "Translate the text to {language}. {said}",
    "{said} Translate this to {language}.",
    "How do you say in {language}: {said}",
    "Say it in {language}: {said}",
)
# Each kind of dialogue, and how often it is had.
_MAKERS: Final[tuple[tuple[Callable[[random.Random, Split], tuple[Turn, ...]], int], ...]] = (
    (_one, 30),
    (_worked_out, 100),
    (_several, 8),
    (chain_turns, 10),
    (partial(_described, described_picture, 0), 8),
    (partial(_described, described_pair, 0), 4),
    (partial(_described, seen_picture, HEARD_SHARE), 12),
    (partial(_described, seen_pair, HEARD_SHARE), 5),
    (partial(_described, spelled_out, 0), 8),
    (_repeat, 5),
    (_translated, 90),
    (_heard_repeat, 30),
    (_heard_question, 40),
    (_heard_translated, 60),
    (_as_seen, 70),
    (_two_as_seen, 25),
)


def picture_turn(rng: random.Random, index: int, exchange: Exchange) -> Turn:
    """A picture and a typed question about it."""
    parts = PictureRef(index), typed(rng, exchange.question)
    return Turn(parts, exchange.answer, exchange.looks)


def follow_up(rng: random.Random, exchange: Exchange) -> Turn:
    """A typed question about what was shown before."""
    return Turn((typed(rng, exchange.question),), exchange.answer, exchange.looks)


Pick = Callable[[random.Random, Split], int]  # the number of a scene that can be shown


def picture_dialogue(rng: random.Random, split: Split, pick: Pick) -> Dialogue:
    """A picture and one to six questions, now and then one about the world."""
    index = pick(rng, split)
    scene = scene_at(split, index)
    if scene.items and rng.random() < COLOURS_SHARE:
        first, *others = ask_in_colours(rng, scene)
        turns = [picture_turn(rng, index, first), *(follow_up(rng, other) for other in others)]
        return Dialogue(tuple(turns))
    if scene.items and split == "train" and rng.random() < LOOK_UPS_SHARE:
        return _look_ups(rng, index)
    # Now and then the typed question has nothing to do with the picture.
    about = sample_exchange(rng, split) if rng.random() < 0.08 else ask_about(rng, scene)
    turns = [picture_turn(rng, index, about)]
    for _ in range(rng.choice(FOLLOW_UPS_OF_SHAPES if scene.items else FOLLOW_UPS_OF_A_WORD)):
        if rng.random() < 0.15:
            turns.append(text_turn(rng, split))
        else:
            turns.append(follow_up(rng, ask_about(rng, scene)))
    return Dialogue(tuple(turns))


def _look_ups(rng: random.Random, index: int) -> Dialogue:
    """A picture of shapes, and many questions that each name what must be found in it."""
    scene = scene_at("train", index)
    asked = [ask_to_look_up(rng, scene) for _ in range(rng.choice(NUM_LOOK_UPS))]
    turns = [picture_turn(rng, index, asked[0]), *(follow_up(rng, each) for each in asked[1:])]
    return Dialogue(tuple(turns))


def pair_dialogue(rng: random.Random, split: Split, pick: Pick) -> Dialogue:
    """Two pictures and one or two questions about both."""
    indices = pick(rng, split), pick(rng, split)
    scenes = scene_at(split, indices[0]), scene_at(split, indices[1])
    pictures = tuple(PictureRef(index) for index in indices)
    first = ask_about_two(rng, *scenes)
    turns = [Turn((*pictures, typed(rng, first.question)), first.answer, first.looks)]
    if rng.random() < 0.4:
        turns.append(follow_up(rng, ask_about_two(rng, *scenes)))
    return Dialogue(tuple(turns))


def ask_in_colours(rng: random.Random, scene: Scene) -> tuple[Exchange, ...]:
    """How many shapes have one colour, then: and another?"""
    shown = tuple(dict.fromkeys(item.colour for item in scene.items))
    others = tuple(colour for colour in COLOURS if colour not in shown)
    colours = [*rng.sample(shown, min(2, len(shown))), rng.choice(others)][:3]
    rng.shuffle(colours)
    exchanges = []
    for position, colour in enumerate(colours):
        if position == 0:
            question = f"How many {colour} shapes are there?"
        else:
            question = rng.choice(
                (f"And in {colour}?", f"And {colour} ones?", f"What about {colour}?")
            )
        answer, looks = number_of_colour(scene, colour)
        exchanges.append(Exchange("follow-up", question, question, answer, looks=looks))
    return tuple(exchanges[: rng.choice((2, 3))])
