"""Scenes and what is asked about one: shapes counted, named, placed, compared; a word read.

A scene is a value; `draw.py` makes the picture. Wordings are a table; every answer follows from
the scene. Leaves out: what compares two shapes (comparisons.py), questions about two pictures
(picture_pairs.py) and camera effects.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final

from core.training.comparisons import compare_numbers, compare_places, compare_sizes
from core.training.exchange import as_heard, look_throughout
from core.training.facts import WORDS, with_article
from core.training.items import (
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Item,
    Scene,
    all_places,
    counted,
    describe,
    looks_of,
    places_of,
    plural,
    text_of,
)
from core.training.world import Exchange, capitalised

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
Found = Iterable[Item | None]  # where an answer is read from; None: where nothing is

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "describe": (
        "describe the image in detail.",
        "describe the picture.",
        "what do you see?",
        "what is in the picture?",
        "what does the picture show?",
        "tell me what you see in the picture.",
    ),
    "count": (
        "how many shapes are there?",
        "how many shapes do you see?",
        "how many shapes are in the picture?",
        "count the shapes.",
        "what is the number of shapes?",
    ),
    "count some": (
        "how many {things} are there?",
        "how many {things} do you see?",
        "how many {things} are in the picture?",
        "count the {things}.",
    ),
    "count colour": ("how many shapes are {colour}?", "how many of the shapes are {colour}?"),
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
    "is there": (
        "is there {a_thing}?",
        "do you see {a_thing}?",
        "is there {a_thing} in the picture?",
        "can you see {a_thing}?",
        "does the picture show {a_thing}?",
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
    found: Found = (),
    **slots: str,
) -> Exchange:
    """One question in one of its wordings, whose answer tells of the items that are found."""
    question = capitalised(rng.choice(wordings).format(**slots))
    said = f"{capitalised(answer)}."
    looks = look_throughout(said, places_of(found))
    return Exchange(skill, question, as_heard(question), said, looks=looks)


def _there_are(num: int, noun: str = "shape") -> str:
    return f"there {'is' if num == 1 else 'are'} {counted(num, noun)}"


def _describe(rng: random.Random, scene: Scene) -> Exchange:
    exchange = _ask(rng, "describe", WORDINGS["describe"], describe(scene).rstrip("."))
    return replace(exchange, looks=looks_of(exchange.answer, scene))


def _count(rng: random.Random, scene: Scene) -> Exchange:
    num = len(scene.items)
    exchange = _ask(rng, "count", WORDINGS["count"], _there_are(num))
    return replace(exchange, looks=look_throughout(exchange.answer, all_places()))


def _count_colour(rng: random.Random, scene: Scene) -> Exchange:
    colours = [item.colour for item in scene.items]
    colour = rng.choice(colours) if rng.random() < 0.7 else rng.choice(tuple(COLOURS))
    thing = f"{colour} shape"
    wordings = WORDINGS["count some"] + WORDINGS["count colour"]
    answer = _there_are(colours.count(colour), thing)
    found = _counted(scene, "colour", colour)
    return _ask(rng, "count", wordings, answer, found, things=plural(thing), colour=colour)


def _count_shape(rng: random.Random, scene: Scene) -> Exchange:
    shapes = [item.shape for item in scene.items]
    shape = rng.choice(shapes) if rng.random() < 0.7 else rng.choice(SHAPES)
    answer = _there_are(shapes.count(shape), shape)
    found = _counted(scene, "shape", shape)
    return _ask(rng, "count", WORDINGS["count some"], answer, found, things=plural(shape))


def _counted(scene: Scene, what: str, wanted: str) -> Found:
    """Where to look to count what is of one colour or shape."""
    return (*(item for item in scene.items if getattr(item, what) == wanted), None)


def _only_item(rng: random.Random, scene: Scene) -> Item | None:
    return rng.choice(list(scene.only_items.values())) if scene.only_items else None


def _colour_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {item.colour}"
    return _ask(rng, "colour", WORDINGS["colour"], answer, [item], shape=item.shape)


def _place_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {PLACES[item.place]}"
    return _ask(rng, "place", WORDINGS["place"], answer, [item], shape=item.shape)


def _size_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _only_item(rng, scene)
    if item is None:
        return None
    answer = f"the {item.shape} is {item.size}"
    return _ask(rng, "size", WORDINGS["size"], answer, [item], shape=item.shape)


def _what_at(rng: random.Random, scene: Scene) -> Exchange | None:
    """Of a place that nobody could take for a whole side with something else on it."""
    by_place = {item.place: item for item in scene.items}
    place = rng.choice(tuple(by_place)) if rng.random() < 0.8 else rng.randrange(len(PLACES))
    if by_place.keys() & set(CORNERS_BESIDE.get(place, ())):
        return None
    item = by_place.get(place)
    subject = with_article(item.name) if item else "nothing"
    answer = f"{subject} is {PLACES[place]}"
    return _ask(rng, "what at", WORDINGS["what at"], answer, [item], place=PLACES[place])


def _is_there(rng: random.Random, scene: Scene) -> Exchange:
    """Of a colour and a shape, or of a shape alone; about as often there as not."""
    item = rng.choice(scene.items)
    colour, shape = item.colour, item.shape
    is_shape_alone = rng.random() < 0.3
    if rng.random() < 0.6:
        if is_shape_alone or rng.random() < 0.5:
            shape = rng.choice(SHAPES)
        else:
            colour = rng.choice(tuple(COLOURS))
    colours = COLOURS if is_shape_alone else (colour,)
    there = [item for item in scene.items if item.shape == shape and item.colour in colours]
    thing = shape if is_shape_alone else f"{colour} {shape}"
    answer = f"yes, there is {with_article(thing)}" if there else f"no, there is no {thing}"
    a_thing = with_article(thing)
    return _ask(rng, "is there", WORDINGS["is there"], answer, (*there, None), a_thing=a_thing)


def _read(rng: random.Random, scene: Scene) -> Exchange:
    kind = "number" if scene.word.isdigit() else "word"
    wordings = WORDINGS["read"] + WORDINGS[f"read {kind}"]
    return _ask(rng, "read", wordings, f"the {kind} is {scene.word}")


def _read_nothing(rng: random.Random, scene: Scene) -> Exchange:
    wordings = WORDINGS["read"] + WORDINGS["read word"]
    return _ask(rng, "read", wordings, "there is no word in the picture")


def _shapes_of_a_word(rng: random.Random, scene: Scene) -> Exchange:
    return _ask(rng, "count", WORDINGS["count"], f"there are no shapes, only {text_of(scene)}")


SceneMaker = Callable[[random.Random, Scene], Exchange | None]
Chances = tuple[tuple[SceneMaker, float], ...]  # each kind of question, and how often it is asked
_MAKERS: Final[Chances] = (
    (_describe, 4),
    (_count, 3),
    (_count_colour, 2),
    (_count_shape, 2),
    (_colour_of, 4),
    (_place_of, 3),
    (_what_at, 3),
    (_is_there, 3),
    (_size_of, 2),
    (_read_nothing, 0.5),
)
_COMPARISONS: Final = (
    (compare_sizes, 3),  # asked less often: it needs two shapes of two sizes
    (compare_numbers, 2),
    (compare_places, 3),
)
_TOLD_COMPARISONS: Final[Chances] = tuple(
    (partial(compare, is_told=True), chance) for compare, chance in _COMPARISONS
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
    (_is_there, 4),
    (_count_colour, 2),
    (_count_shape, 2),
    (compare_sizes, 2),
    (compare_numbers, 2),
    (compare_places, 3),
)


def ask_about(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """One question about the scene, with its true answer.

    Args:
        is_told: the scene is told in words; see comparisons.py.
    """
    of_shapes = _MAKERS + (_TOLD_COMPARISONS if is_told else _COMPARISONS)
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
