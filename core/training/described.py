"""Pictures told in words: the base model learns to read scenes before it sees any.

A scene is told as the replies tell it, or in short, without its number of shapes and with every
shape's words in some order of their own: that is how the vision encoder's tokens tell it. Then
come questions, several about one scene: what is asked for must be found among the rest. What is
told as seen is answered as a picture is: what is found first, and then what follows from it.
Leaves out: scenes and their questions (scenes.py, picture_pairs.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from core.training.exchange import Exchange, Split, Told
from core.training.items import PLACES, Item, Scene, describe
from core.training.picture_pairs import ask_about_two
from core.training.scenes import ask_about, ask_to_look_up, sample_scene

IN_SHORT_SHARE: Final = 0.6  # of the scenes with shapes
FOLLOW_UPS: Final = (0, 1, 3, 5)
FOLLOW_UPS_OF_TWO: Final = (0, 1, 2)
NO_FOLLOW_UPS: Final = (0,)
CASES: Final = (str.lower, str.upper)  # of letters told one by one
SEEN: Final = "Seen"
SMALL_WORDS: Final = ("at", "the", "on", "in")
InWords = tuple[str, tuple[Told, ...]]  # what is told, and where in it each shape is
Telling = tuple[InWords, Callable[[random.Random], Exchange]]  # and what is asked about it


def described_picture(rng: random.Random, split: Split) -> tuple[Exchange, ...]:
    """One scene in words and a question; then more questions about it."""

    def tell() -> Telling:
        scene = sample_scene(rng)
        return told(rng, scene), partial(ask_about, scene=scene, is_told=True)

    return _asked(rng, split, tell, FOLLOW_UPS)


def described_pair(rng: random.Random, split: Split) -> tuple[Exchange, ...]:
    """Two scenes in words and a question about both; then more questions."""

    def tell() -> Telling:
        first, second = sample_scene(rng), sample_scene(rng)
        telling = _one_after_another(told(rng, first), told(rng, second, picture=1))
        return telling, partial(ask_about_two, first=first, second=second, is_told=True)

    return _asked(rng, split, tell, FOLLOW_UPS_OF_TWO)


def seen_picture(rng: random.Random, split: Split) -> tuple[Exchange, ...]:
    """A scene of shapes told as seen, and questions that are answered as a picture's are."""

    def tell() -> Telling:
        scene = _scene_of_shapes(rng)
        ask = rng.choice((ask_about, ask_to_look_up))
        return _told_in_short(rng, scene, SEEN), partial(ask, scene=scene)

    return _asked(rng, split, tell, FOLLOW_UPS)


def seen_pair(rng: random.Random, split: Split) -> tuple[Exchange, ...]:
    """Two scenes of shapes told as seen, and questions answered as those about pictures are."""

    def tell() -> Telling:
        first, second = _scene_of_shapes(rng), _scene_of_shapes(rng)
        seen = _told_in_short(rng, first, SEEN), _told_in_short(rng, second, SEEN, picture=1)
        return _one_after_another(*seen), partial(ask_about_two, first=first, second=second)

    return _asked(rng, split, tell, FOLLOW_UPS_OF_TWO)


def spelled_out(rng: random.Random, split: Split) -> tuple[Exchange, ...]:
    """A printed word told by its letters: what the eye finds before it is a word."""

    def tell() -> Telling:
        scene = sample_scene(rng)
        while not scene.word:
            scene = sample_scene(rng)
        letters = rng.choice(CASES)(" ".join(scene.word))
        return (f"The picture shows {letters}.", ()), partial(ask_about, scene=scene)

    return _asked(rng, split, tell, NO_FOLLOW_UPS)


def told(rng: random.Random, scene: Scene, picture: int = 0) -> InWords:
    """The scene in one sentence: "2 shapes: a large ...", or "Picture: red large ..., ...".

    Args:
        picture: the scene's number among those that are told.
    """
    if not scene.word and rng.random() < IN_SHORT_SHARE:
        return _told_in_short(rng, scene, "Picture", picture)
    shapes = [f"{item.name} {PLACES[item.place]}" for item in scene.items]
    return _with_places(describe(scene), scene, shapes, picture)


def _told_in_short(rng: random.Random, scene: Scene, opening: str, picture: int = 0) -> InWords:
    shapes = [_in_short(rng, item) for item in scene.items]
    return _with_places(f"{opening}: {', '.join(shapes)}.", scene, shapes, picture)


def _with_places(said: str, scene: Scene, shapes: Sequence[str], picture: int) -> InWords:
    """What is said, and where in it each shape of the scene is told, in the scene's order."""
    found: list[Told] = []
    for item, shape in zip(scene.items, shapes, strict=True):
        start = said.index(shape, found[-1].end if found else 0)
        found.append(Told((picture, item.place), start, start + len(shape)))
    return said, tuple(found)


def _scene_of_shapes(rng: random.Random) -> Scene:
    scene = sample_scene(rng)
    while not scene.items:
        scene = sample_scene(rng)
    return scene


def _in_short(rng: random.Random, item: Item) -> str:
    place = " ".join(word for word in PLACES[item.place].split() if word not in SMALL_WORDS)
    return " ".join(rng.sample((item.size, item.colour, item.shape, place), 4))


def _asked(
    rng: random.Random,
    split: Split,
    tell: Callable[[], Telling],
    follow_ups: tuple[int, ...],
) -> tuple[Exchange, ...]:
    """A question of the split with the telling before it; others without."""
    while True:
        telling, ask = tell()
        first = _after(*telling, ask(rng))
        if first.belongs_to(split):
            return (first, *(ask(rng) for _ in range(rng.choice(follow_ups))))


def _one_after_another(first: InWords, second: InWords) -> InWords:
    before = f"{first[0]} "
    moved = (Told(it.place, it.start + len(before), it.end + len(before)) for it in second[1])
    return before + second[0], (*first[1], *moved)


def _after(telling: str, shapes: tuple[Told, ...], exchange: Exchange) -> Exchange:
    return replace(
        exchange,
        question=f"{telling} {exchange.question}",
        spoken=f"{telling} {exchange.spoken}",
        told=shapes,
    )
