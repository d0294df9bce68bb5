"""What a picture can show: shapes of some colour, size and place, or one printed word.

Leaves out: which scenes there are and what is asked about them (scenes.py), drawing (draw.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.training.exchange import Look, Places
from core.training.facts import with_article
from core.training.world import capitalised

SHAPES: Final = ("circle", "square", "triangle", "star", "heart", "cross", "hexagon", "ring")
COLOURS: Final = {
    "red": (214, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 210),
    "yellow": (248, 214, 36),
    "orange": (245, 125, 25),
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

    @property
    def row(self) -> int:
        """0 at the top, 2 at the bottom."""
        return self.place // 3

    @property
    def column(self) -> int:
        """0 on the left, 2 on the right."""
        return self.place % 3


@dataclass(frozen=True)
class Scene:
    """What a picture shows: shapes, or one printed word.

    Args:
        items: the shapes in reading order; empty when a word is shown.
        word: the printed word in lower case, or a number in digits, or "".
        seed: decides everything that is seen but not asked about: the word's capitals too.
    """

    items: tuple[Item, ...]
    word: str
    seed: int

    @property
    def only_items(self) -> dict[str, Item]:
        """The shapes that can be called "the star": those there is one of, by shape."""
        shapes = [item.shape for item in self.items]
        return {item.shape: item for item in self.items if shapes.count(item.shape) == 1}


def plural(noun: str) -> str:
    """More than one of a shape: "crosses", "rings"."""
    return f"{noun}es" if noun.endswith("ss") else f"{noun}s"


def counted(num: int, noun: str = "shape") -> str:
    """ "no shapes", "1 shape", "2 red shapes"."""
    return f"{num or 'no'} {noun if num == 1 else plural(noun)}"


def joined(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def text_of(scene: Scene) -> str:
    """ "the word river" or "the number 42", of a scene that has one."""
    return f"the {'number' if scene.word.isdigit() else 'word'} {scene.word}"


def contents(scene: Scene) -> str:
    """All that a scene shows: "2 shapes: a large red star in the centre and ..."."""
    if scene.word:
        return text_of(scene)
    parts = [f"{with_article(item.name)} {PLACES[item.place]}" for item in scene.items]
    return f"{counted(len(parts))}: {joined(parts)}"


def looks_of(said: str, scene: Scene, picture: int = 0) -> tuple[Look, ...]:
    """Where a description is read from: how many there are, and then each shape from its place.

    Args:
        said: what `contents` or `describe` says of the scene, whatever stands before.
        picture: the scene's number among those that are shown.
    """
    looks: list[Look] = []
    for item in scene.items:
        told = f"{with_article(item.name)} {PLACES[item.place]}"
        start = said.index(told, looks[-1].end if looks else 0)
        before = len(said[:start].rstrip())  # a token begins with the space before its word
        at = () if looks else all_places(picture)
        looks += [Look(before, at), Look(start + len(told), ((picture, item.place),))]
    return tuple(looks)


def place_of(item: Item, picture: int = 0) -> Places:
    """Where to look for a shape of a picture."""
    return ((picture, item.place),)


def all_places(picture: int = 0) -> Places:
    """Where to look to count all shapes: each place tells whether it has one, one in nine parts."""
    return tuple((picture, place) for place in range(len(PLACES)))


def describe(scene: Scene) -> str:
    """The whole scene in one sentence."""
    shown = f"the picture shows {contents(scene)}" if scene.word else contents(scene)
    return f"{capitalised(shown)}."
