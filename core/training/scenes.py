"""Scenes: coloured shapes at nine places, or one printed word; what is asked about them.

A scene is a value; `draw.py` makes the picture. Leaves out: drawing and camera effects.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from core.training.facts import WORDS, with_article
from core.training.world import Exchange, capitalised

SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "cross", "hexagon", "ring")
COLOURS: Final = {
    "red": (214, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 210),
    "yellow": (245, 210, 30),
    "orange": (245, 130, 25),
    "purple": (130, 50, 170),
    "black": (25, 25, 25),
    "white": (250, 250, 250),
}
SIZES: Final = ("small", "large")
PLACES: Final = (
    "at the top left",
    "at the top",
    "at the top right",
    "on the left",
    "in the centre",
    "on the right",
    "at the bottom left",
    "at the bottom",
    "at the bottom right",
)
MAX_SHAPES: Final = 4


@dataclass(frozen=True)
class Item:
    """One shape of a scene; `place` is an index into PLACES, row by row."""

    shape: str
    colour: str
    size: str
    place: int

    @property
    def name(self) -> str:
        """As the replies name it: "large red circle"."""
        return f"{self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """What a picture shows: shapes, or one printed word.

    Args:
        items: the shapes in reading order; empty when a word is shown.
        word: the printed word or number, or "".
        seed: decides everything that is seen but not asked about.
    """

    items: tuple[Item, ...]
    word: str
    seed: int


def sample_scene(rng: random.Random) -> Scene:
    """A scene: in one case of four a word, else one to four shapes."""
    seed = rng.getrandbits(48)
    if rng.random() < 0.25:
        word = str(rng.randint(0, 99)) if rng.random() < 0.25 else rng.choice(WORDS)
        return Scene((), word, seed)
    num_items = rng.choices((1, 2, 3, 4), (3, 3, 3, 2))[0]
    places = sorted(rng.sample(range(len(PLACES)), num_items))
    items = tuple(
        Item(rng.choice(SHAPES), rng.choice(tuple(COLOURS)), rng.choice(SIZES), place)
        for place in places
    )
    return Scene(items, "", seed)


def describe(scene: Scene) -> str:
    """The whole scene in one sentence."""
    if scene.word:
        return f"The picture shows the word {scene.word}."
    parts = [f"{with_article(item.name)} {PLACES[item.place]}" for item in scene.items]
    return f"{capitalised(_shapes(len(parts)))}: {_joined(parts)}."


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _shapes(num: int, colour: str = "") -> str:
    noun = f"{colour} shape".strip()
    return f"{num or 'no'} {noun}" if num == 1 else f"{num or 'no'} {noun}s"


def _verb(num: int) -> str:
    return "is" if num == 1 else "are"


def _ask(rng: random.Random, skill: str, templates: tuple[str, ...], answer: str) -> Exchange:
    question = capitalised(rng.choice(templates))
    return Exchange(skill, question, question, answer)


def _describe(rng: random.Random, scene: Scene) -> Exchange:
    templates = (
        "describe the image in detail.",
        "describe the picture.",
        "what do you see?",
        "what is in the picture?",
        "what does the picture show?",
    )
    return _ask(rng, "describe", templates, describe(scene))


def _count(rng: random.Random, scene: Scene) -> Exchange:
    num = len(scene.items)
    templates = (
        "how many shapes are there?",
        "how many shapes do you see?",
        "how many shapes are in the picture?",
        "count the shapes.",
    )
    return _ask(rng, "count", templates, f"There {_verb(num)} {_shapes(num)}.")


def _count_colour(rng: random.Random, scene: Scene) -> Exchange:
    colours = [item.colour for item in scene.items]
    colour = rng.choice(colours) if rng.random() < 0.7 else rng.choice(tuple(COLOURS))
    num = colours.count(colour)
    templates = (
        f"how many {colour} shapes are there?",
        f"how many shapes are {colour}?",
        f"how many {colour} shapes do you see?",
    )
    return _ask(rng, "count", templates, f"There {_verb(num)} {_shapes(num, colour)}.")


def _unique(rng: random.Random, scene: Scene) -> Item | None:
    shapes = [item.shape for item in scene.items]
    unique = [item for item in scene.items if shapes.count(item.shape) == 1]
    return rng.choice(unique) if unique else None


def _colour_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _unique(rng, scene)
    if item is None:
        return None
    templates = (
        f"what colour is the {item.shape}?",
        f"which colour is the {item.shape}?",
        f"what color is the {item.shape}?",
        f"what is the colour of the {item.shape}?",
        f"tell me the colour of the {item.shape}.",
    )
    return _ask(rng, "colour", templates, f"The {item.shape} is {item.colour}.")


def _place_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _unique(rng, scene)
    if item is None:
        return None
    templates = (
        f"where is the {item.shape}?",
        f"where do you see the {item.shape}?",
        f"in which place is the {item.shape}?",
        f"tell me where the {item.shape} is.",
    )
    return _ask(rng, "place", templates, f"The {item.shape} is {PLACES[item.place]}.")


def _what_at(rng: random.Random, scene: Scene) -> Exchange:
    by_place = {item.place: item for item in scene.items}
    place = rng.choice(tuple(by_place)) if rng.random() < 0.8 else rng.randrange(len(PLACES))
    item = by_place.get(place)
    templates = (
        f"what is {PLACES[place]}?",
        f"what do you see {PLACES[place]}?",
        f"which shape is {PLACES[place]}?",
    )
    subject = capitalised(with_article(item.name)) if item else "Nothing"
    return _ask(rng, "what at", templates, f"{subject} is {PLACES[place]}.")


def _is_there(rng: random.Random, scene: Scene) -> Exchange:
    item = rng.choice(scene.items)
    colour, shape = item.colour, item.shape
    if rng.random() < 0.5:
        colour = rng.choice(tuple(COLOURS))
    elif rng.random() < 0.5:
        shape = rng.choice(SHAPES)
    there = any(item.colour == colour and item.shape == shape for item in scene.items)
    thing = f"{colour} {shape}"
    templates = (
        f"is there {with_article(thing)}?",
        f"do you see {with_article(thing)}?",
        f"is there {with_article(thing)} in the picture?",
    )
    answer = f"Yes, there is {with_article(thing)}." if there else f"No, there is no {thing}."
    return _ask(rng, "is there", templates, answer)


def _size_of(rng: random.Random, scene: Scene) -> Exchange | None:
    item = _unique(rng, scene)
    if item is None:
        return None
    templates = (
        f"how big is the {item.shape}?",
        f"is the {item.shape} large or small?",
        f"what size is the {item.shape}?",
    )
    return _ask(rng, "size", templates, f"The {item.shape} is {item.size}.")


def _read(rng: random.Random, scene: Scene) -> Exchange:
    templates = (
        "what word is written?",
        "read the word.",
        "what does it say?",
        "what is written in the picture?",
        "which word do you see?",
        "read the text.",
    )
    return _ask(rng, "read", templates, f"The word is {scene.word}.")


SceneMaker = Callable[[random.Random, Scene], Exchange | None]
_SHAPE_MAKERS: Final[tuple[tuple[SceneMaker, int], ...]] = (
    (_describe, 4),
    (_count, 3),
    (_count_colour, 2),
    (_colour_of, 4),
    (_place_of, 3),
    (_what_at, 3),
    (_is_there, 3),
    (_size_of, 2),
)
_WORD_MAKERS: Final[tuple[tuple[SceneMaker, int], ...]] = ((_describe, 1), (_read, 3))


def ask_about(rng: random.Random, scene: Scene) -> Exchange:
    """One question about the scene, with its true answer."""
    makers, weights = zip(*(_WORD_MAKERS if scene.word else _SHAPE_MAKERS), strict=True)
    while True:
        exchange: Exchange | None = rng.choices(makers, weights)[0](rng, scene)
        if exchange is not None:
            return exchange
