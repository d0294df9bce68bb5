"""Scenes and what is asked about one: shapes counted, named, placed, compared; a word read.

A scene is a value; `draw.py` makes the picture. Wordings are a table; every answer follows from
the scene. Leaves out: questions about two pictures (picture_pairs.py) and camera effects.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from core.training.exchange import as_heard, look_throughout
from core.training.facts import WORDS, with_article
from core.training.items import (
    COLOURS,
    PLACES,
    SHAPES,
    SIZES,
    Item,
    Scene,
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
    "compare sizes": (
        "which is {more}, the {one} or the {other}?",
        "which shape is {more}, the {one} or the {other}?",
        "what is {more}, the {one} or the {other}?",
        "tell me which is {more}, the {one} or the {other}.",
    ),
    "compare numbers": (
        "are there more {one} shapes than {other} shapes?",
        "do you see more {one} shapes than {other} shapes?",
        "does the picture show more {one} shapes than {other} shapes?",
        "are more shapes {one} than {other}?",
    ),
    "compare places": (
        "is the {one} {where} the {other}?",
        "do you see the {one} {where} the {other}?",
        "is it true that the {one} is {where} the {other}?",
        "tell me whether the {one} is {where} the {other}.",
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
    then: Found = (),
    **slots: str,
) -> Exchange:
    """One question in one of its wordings, whose answer tells of the items that are found."""
    question = capitalised(rng.choice(wordings).format(**slots))
    said = f"{capitalised(answer)}."
    looks = look_throughout(said, places_of(found), places_of(then))
    return Exchange(skill, question, as_heard(question), said, looks=looks)


def _there_are(num: int, noun: str = "shape") -> str:
    return f"there {'is' if num == 1 else 'are'} {counted(num, noun)}"


def _describe(rng: random.Random, scene: Scene) -> Exchange:
    exchange = _ask(rng, "describe", WORDINGS["describe"], describe(scene).rstrip("."))
    return replace(exchange, looks=looks_of(exchange.answer, scene))


def _count(rng: random.Random, scene: Scene) -> Exchange:
    num = len(scene.items)
    return _ask(rng, "count", WORDINGS["count"], _there_are(num), (*scene.items, None))


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


def _two_items(rng: random.Random, scene: Scene) -> tuple[Item, Item] | None:
    items = list(scene.only_items.values())
    if len(items) < 2:
        return None
    one, other = rng.sample(items, 2)
    return one, other


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


def _compare_sizes(rng: random.Random, scene: Scene) -> Exchange | None:
    pair = _two_items(rng, scene)
    if pair is None or pair[0].size == pair[1].size:
        return None
    more, size = rng.choice((("larger", "large"), ("smaller", "small")))
    (which,) = [item.shape for item in pair if item.size == size]
    slots = {"more": more, "one": pair[0].shape, "other": pair[1].shape}
    wordings = WORDINGS["compare sizes"]
    found, then = ([item] for item in pair)
    return _ask(rng, "compare", wordings, f"the {which} is {more}", found, then, **slots)


def _compare_numbers(rng: random.Random, scene: Scene) -> Exchange | None:
    colours = [item.colour for item in scene.items]
    one = rng.choice(colours)
    other = rng.choice(colours) if rng.random() < 0.7 else rng.choice(tuple(COLOURS))
    if one == other:
        return None
    one, other = rng.sample((one, other), 2)
    more = colours.count(one) - colours.count(other)
    relation = "more {} than" if more > 0 else "fewer {} than" if more < 0 else "as many {} as"
    found = relation.format(f"{one} shapes")
    answer = f"{'yes' if more > 0 else 'no'}, there are {found} {other} shapes"
    counts = [_counted(scene, "colour", colour) for colour in (one, other)]
    return _ask(rng, "compare", WORDINGS["compare numbers"], answer, *counts, one=one, other=other)


def _compare_places(rng: random.Random, scene: Scene) -> Exchange | None:
    pair = _two_items(rng, scene)
    if pair is None:
        return None
    one, other = pair
    is_across = rng.random() < 0.5
    words = ("left of", "right of") if is_across else ("above", "below")
    steps = other.column - one.column if is_across else other.row - one.row
    if steps == 0:
        return None
    asked, truth = rng.choice(words), words[0] if steps > 0 else words[1]
    where = f"to the {asked}" if is_across and rng.random() < 0.5 else asked
    said = f"to the {truth}" if is_across else truth
    answer = f"{'yes' if asked == truth else 'no'}, the {one.shape} is {said} the {other.shape}"
    slots = {"one": one.shape, "where": where, "other": other.shape}
    return _ask(rng, "compare", WORDINGS["compare places"], answer, [one], [other], **slots)


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
# Each kind of question, and how often it is asked.
_SHAPE_MAKERS: Final[tuple[tuple[SceneMaker, float], ...]] = (
    (_describe, 4),
    (_count, 3),
    (_count_colour, 2),
    (_count_shape, 2),
    (_colour_of, 4),
    (_place_of, 3),
    (_what_at, 3),
    (_is_there, 3),
    (_size_of, 2),
    (_compare_sizes, 3),  # asked less often: it needs two shapes of two sizes
    (_compare_numbers, 2),
    (_compare_places, 3),
    (_read_nothing, 0.5),
)
_WORD_MAKERS: Final[tuple[tuple[SceneMaker, float], ...]] = (
    (_describe, 3),
    (_read, 8),
    (_shapes_of_a_word, 0.5),
)


# Questions whose answer stands beside what they name, wherever in the picture that is.
_LOOK_UP_MAKERS: Final[tuple[tuple[SceneMaker, float], ...]] = (
    (_colour_of, 4),
    (_place_of, 4),
    (_size_of, 2),
    (_is_there, 4),
    (_count_colour, 2),
    (_count_shape, 2),
    (_compare_sizes, 2),
    (_compare_numbers, 2),
    (_compare_places, 3),
)


def ask_about(rng: random.Random, scene: Scene) -> Exchange:
    """One question about the scene, with its true answer."""
    return _ask_one_of(_WORD_MAKERS if scene.word else _SHAPE_MAKERS, rng, scene)


def ask_to_look_up(rng: random.Random, scene: Scene) -> Exchange:
    """A question that names a shape or a colour, which must be found before it can be answered.

    Args:
        scene: one with shapes.
    """
    return _ask_one_of(_LOOK_UP_MAKERS, rng, scene)


def _ask_one_of(
    chances: tuple[tuple[SceneMaker, float], ...], rng: random.Random, scene: Scene
) -> Exchange:
    makers, weights = zip(*chances, strict=True)
    while True:
        exchange: Exchange | None = rng.choices(makers, weights)[0](rng, scene)
        if exchange is not None:
            return exchange
