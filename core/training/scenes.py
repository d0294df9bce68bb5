"""Scenes and what is asked about one: shapes counted, named, placed, compared; a word read.

A scene is a value; `draw.py` makes the picture. Wordings are a table; every answer follows from
the scene. Leaves out: how many there are, and whether there is one (counting.py), what compares two
shapes (comparisons.py), questions about two pictures (picture_pairs.py) and camera effects.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from core.training.comparisons import compare_numbers, compare_places, compare_sizes
from core.training.counting import WORDINGS as WORDINGS_OF_COUNTS
from core.training.counting import count_all, count_colour, count_shape, is_there
from core.training.exchange import in_short, worded
from core.training.facts import WORDS, with_article
from core.training.items import (
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Item,
    Scene,
    describe,
    looks_of,
    text_of,
)
from core.training.world import Exchange

__all__ = [
    "COLOURS",
    "PLACES",
    "SHAPES",
    "SIZES",
    "Item",
    "Scene",
    "ask_about",
    "describe",
    "sample_scene",
]

WORD_SHARE: Final = 0.3  # of the scenes
NUMBER_SHARE: Final = 0.25  # of the words
MAX_NUMBER: Final = 999
NUM_SHAPES_WEIGHTS: Final = (3, 3, 3, 2, 2, 2)  # of one shape, of two, ...
# The places in the middle of a side, and the corners that are on that side too.
CORNERS_BESIDE: Final = {1: (0, 2), 3: (0, 6), 5: (2, 8), 7: (6, 8)}
MAX_SHAPES: Final = len(NUM_SHAPES_WEIGHTS)

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "describe": (
        "describe the image in detail.",
        "describe the picture.",
        "what do you see?",
        "what is in the picture?",
        "what does the picture show?",
        "tell me what you see in the picture.",
    ),
    "colour": (
        "what colour is the {shape}?",
        "which colour is the {shape}?",
        "what color is the {shape}?",
        "what is the colour of the {shape}?",
        "tell me the colour of the {shape}.",
        "which colour does the {shape} have?",
    ),
    "place": (
        "where is the {shape}?",
        "where do you see the {shape}?",
        "in which place is the {shape}?",
        "tell me where the {shape} is.",
        "where in the picture is the {shape}?",
    ),
    "what at": (
        "what is {place}?",
        "what do you see {place}?",
        "which shape is {place}?",
        "tell me what is {place}.",
        "what is there {place}?",
    ),
    "size": (
        "how big is the {shape}?",
        "is the {shape} large or small?",
        "what size is the {shape}?",
        "is the {shape} small or large?",
        "tell me the size of the {shape}.",
    ),
    "read": (
        "what is written?",
        "what does it say?",
        "what is written in the picture?",
        "read the text.",
        "read what is written.",
        "tell me what it says.",
    ),
    "read word": ("what word is written?", "read the word.", "which word do you see?"),
    "read number": ("what number is written?", "read the number.", "which number do you see?"),
}


def sample_scene(rng: random.Random) -> Scene:
    """A scene: a word or a number, or else one to six shapes."""
    seed = rng.getrandbits(48)
    if rng.random() < WORD_SHARE:
        is_number = rng.random() < NUMBER_SHARE
        return Scene((), str(rng.randint(0, MAX_NUMBER)) if is_number else rng.choice(WORDS), seed)
    num_items = rng.choices(range(1, MAX_SHAPES + 1), NUM_SHAPES_WEIGHTS)[0]
    places = sorted(rng.sample(range(len(PLACES)), num_items))
    items = tuple(
        Item(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.choice(SIZES), place)
        for place in places
    )
    return Scene(items, "", seed)


def _ask(
    rng: random.Random,
    skill: str,
    wordings: tuple[str, ...],
    answer: str,
    places: Sequence[int] = (),
    **slots: str,
) -> Exchange:
    """One question in one of its wordings, whose answer tells of what is in some places."""
    at = tuple((0, place) for place in places)
    return worded(rng, skill, wordings, in_short(answer, at), **slots)


def _describe(rng: random.Random, scene: Scene) -> Exchange:
    exchange = _ask(rng, "describe", WORDINGS["describe"], describe(scene).rstrip("."))
    return replace(exchange, looks=looks_of(exchange.answer, scene))


def _only_item(rng: random.Random, scene: Scene) -> Item | None:
    return rng.choice(list(scene.only_items.values())) if scene.only_items else None


def _colour_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {item.colour}"
    return _ask(rng, "colour", WORDINGS["colour"], answer, [item.place], shape=item.shape)


def _place_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {PLACES[item.place]}"
    return _ask(rng, "place", WORDINGS["place"], answer, [item.place], shape=item.shape)


def _size_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {item.size}"
    return _ask(rng, "size", WORDINGS["size"], answer, [item.place], shape=item.shape)


def _what_at(rng: random.Random, scene: Scene) -> Exchange | None:
    """Of a place that nobody could take for a whole side with something else on it."""
    by_place = {item.place: item for item in scene.items}
    place = rng.choice(tuple(by_place)) if rng.random() < 0.8 else rng.randrange(len(PLACES))
    if by_place.keys() & set(CORNERS_BESIDE.get(place, ())):
        return None
    item = by_place.get(place)
    subject = with_article(item.name) if item else "nothing"
    answer = f"{subject} is {PLACES[place]}"
    return _ask(rng, "what at", WORDINGS["what at"], answer, [place], place=PLACES[place])


def _read(rng: random.Random, scene: Scene) -> Exchange:
    kind = "number" if scene.word.isdigit() else "word"
    wordings = WORDINGS["read"] + WORDINGS[f"read {kind}"]
    return _ask(rng, "read", wordings, f"the {kind} is {scene.word}")


def _read_nothing(rng: random.Random, scene: Scene) -> Exchange:
    wordings = WORDINGS["read"] + WORDINGS["read word"]
    return _ask(rng, "read", wordings, "there is no word in the picture")


def _shapes_of_a_word(rng: random.Random, scene: Scene) -> Exchange:
    return _ask(
        rng, "count", WORDINGS_OF_COUNTS["count"], f"there are no shapes, only {text_of(scene)}"
    )


SceneMaker = Callable[[random.Random, Scene], Exchange | None]
Chances = tuple[tuple[SceneMaker, float], ...]  # each kind of question, and how often it is asked
_MAKERS: Final[Chances] = (
    (_describe, 4),
    (_colour_of, 4),
    (_place_of, 3),
    (_what_at, 3),
    (_size_of, 2),
    (_read_nothing, 0.5),
)
# Those whose answer, of a picture, says what is seen before what follows from it.
_CONCLUDED: Final = (
    (count_all, 3),
    (count_colour, 2),
    (count_shape, 2),
    (is_there, 3),
    (compare_sizes, 3),  # asked less often: it needs two shapes of two sizes
    (compare_numbers, 2),
    (compare_places, 3),
)
_TOLD_CONCLUDED: Final[Chances] = tuple(
    (partial(make, is_told=True), chance) for make, chance in _CONCLUDED
)
_WORD_MAKERS: Final[Chances] = (
    (_describe, 3),
    (_read, 8),
    (_shapes_of_a_word, 0.5),
)


# Questions whose answer stands beside what they name, wherever in the picture that is.
_LOOK_UP_MAKERS: Final[Chances] = (
    (_colour_of, 4),
    (_place_of, 4),
    (_size_of, 2),
    (is_there, 4),
    (count_colour, 2),
    (count_shape, 2),
    (compare_sizes, 2),
    (compare_numbers, 2),
    (compare_places, 3),
)


def ask_about(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """One question about the scene, with its true answer.

    Args:
        is_told: the scene is told in words; see counting.py and comparisons.py.
    """
    of_shapes = _MAKERS + (_TOLD_CONCLUDED if is_told else _CONCLUDED)
    return _ask_one_of(_WORD_MAKERS if scene.word else of_shapes, rng, scene)


def ask_to_look_up(rng: random.Random, scene: Scene) -> Exchange:
    """A question that names a shape or a colour, which must be found before it can be answered.

    Args:
        scene: one with shapes.
    """
    return _ask_one_of(_LOOK_UP_MAKERS, rng, scene)


def _ask_one_of(chances: Chances, rng: random.Random, scene: Scene) -> Exchange:
    makers, weights = zip(*chances, strict=True)
    while True:
        exchange: Exchange | None = rng.choices(makers, weights)[0](rng, scene)
        if exchange is not None:
            return exchange
