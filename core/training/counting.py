"""Questions about how many there are, and whether there is one.

Of a picture, what is found is named before what follows from it: "I see a red star at the top and
a red ring on the left, so there are 2 red shapes." A number that came first would have to be found
at a single look. Of a scene told in words what follows is the answer alone, as the base knows it.
Leaves out: all other questions about a scene (scenes.py), and whether there are more of one colour
than of another (comparisons.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

from core.training.exchange import (
    NOWHERE,
    Answer,
    Clause,
    Exchange,
    Places,
    in_short,
    listed,
    worded,
)
from core.training.facts import with_article
from core.training.items import (
    COLOURS,
    PLACES,
    SHAPES,
    Item,
    Scene,
    all_places,
    counted,
    place_of,
    plural,
)

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
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
    "is there": (
        "is there {a_thing}?",
        "do you see {a_thing}?",
        "is there {a_thing} in the picture?",
        "can you see {a_thing}?",
        "does the picture show {a_thing}?",
    ),
}


def count_all(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """How many shapes are there?

    Args:
        is_told: the scene is told in words, so that the number alone is the answer.
    """
    verdict = there_are(len(scene.items))
    if is_told:
        answer = in_short(verdict, found_at(scene.items))
    else:
        answer = all_seen(scene, "I see", verdict)
    return worded(rng, "count", WORDINGS["count"], answer)


def all_seen(scene: Scene, opening: str, verdict: str, picture: int = 0) -> Answer:
    """Where shapes are, and what follows.

    Args:
        opening: what stands before, as "I see".
        picture: the scene's number among those that are shown.
    """
    clauses = [Clause(PLACES[item.place], place_of(item, picture)) for item in scene.items]
    if not clauses:
        return in_short(f"{opening} no shapes, so {verdict}", all_places(picture))
    return listed(f"{opening} {'a shape' if len(clauses) == 1 else 'shapes'}", clauses, verdict)


def count_colour(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """How many shapes are of one colour? Arguments as in `count_all`."""
    shown = [item.colour for item in scene.items]
    colour = rng.choice(shown) if rng.random() < 0.7 else rng.choice(tuple(COLOURS))
    answer = number_of_colour(scene, colour, is_told)
    wordings = WORDINGS["count some"] + WORDINGS["count colour"]
    things = plural(f"{colour} shape")
    return worded(rng, "count", wordings, answer, things=things, colour=colour)


def number_of_colour(scene: Scene, colour: str, is_told: bool = False) -> Answer:
    """How many shapes are of a colour. Arguments as in `count_all`."""
    found = [item for item in scene.items if item.colour == colour]
    return _number_of(found, f"{colour} shape", is_told)


def count_shape(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """How many stars are there? Arguments as in `count_all`."""
    shown = [item.shape for item in scene.items]
    shape = rng.choice(shown) if rng.random() < 0.7 else rng.choice(SHAPES)
    found = [item for item in scene.items if item.shape == shape]
    answer = _number_of(found, shape, is_told)
    return worded(rng, "count", WORDINGS["count some"], answer, things=plural(shape))


def is_there(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange:
    """Is there a star, of any colour or of one? About as often there as not.

    Arguments as in `count_all`.
    """
    colour, shape = _sample_thing(rng, scene)
    found = [item for item in scene.items if item.shape == shape and colour in ("", item.colour)]
    thing = f"{colour} {shape}".strip()
    if is_told:
        verdict = f"yes, there is {with_article(thing)}" if found else f"no, there is no {thing}"
        answer = in_short(verdict, found_at(found))
    else:
        words = tuple(word for word in (colour, shape) if word)
        answer = seen_of_shape(scene, shape, "I see", "yes" if found else "no", words=words)
    return worded(rng, "is there", WORDINGS["is there"], answer, a_thing=with_article(thing))


def seen_of_shape(
    scene: Scene,
    shape: str,
    opening: str,
    verdict: str = "",
    picture: int = 0,
    words: tuple[str, ...] = (),
) -> Answer:
    """All stars that a picture shows, and what follows.

    Args:
        words: that the verdict is read from; the others as in `all_seen`.
    """
    found = [item for item in scene.items if item.shape == shape]
    if not found:
        nothing = f"{opening} no {shape}"
        return in_short(f"{nothing}, so {verdict}" if verdict else nothing, (NOWHERE,))
    return listed(opening, _named(found, picture), verdict, words)


def there_are(num: int, noun: str = "shape") -> str:
    """ "there is 1 shape", "there are no red shapes"."""
    return f"there {'is' if num == 1 else 'are'} {counted(num, noun)}"


def _number_of(found: Sequence[Item], noun: str, is_told: bool) -> Answer:
    """How many things were found, and which."""
    verdict = there_are(len(found), noun)
    if is_told:
        return in_short(verdict, found_at(found))
    if not found:
        return in_short(verdict, (NOWHERE,))
    return listed("I see", _named(found), verdict)


def found_at(items: Sequence[Item], picture: int = 0) -> Places:
    """Where to look at once for all that was found, so that the rest of the look tells how many."""
    return (*(at for item in items for at in place_of(item, picture)), NOWHERE)


def _named(items: Sequence[Item], picture: int = 0) -> list[Clause]:
    """ "a red star at the top", and where that is."""
    return [
        Clause(
            f"{with_article(f'{item.colour} {item.shape}')} {PLACES[item.place]}",
            place_of(item, picture),
        )
        for item in items
    ]


def _sample_thing(rng: random.Random, scene: Scene) -> tuple[str, str]:
    """A colour and a shape, or "" and a shape alone."""
    item = rng.choice(scene.items)
    colour, shape = item.colour, item.shape
    is_shape_alone = rng.random() < 0.3
    if rng.random() < 0.6:
        if is_shape_alone or rng.random() < 0.5:
            shape = rng.choice(SHAPES)
        else:
            colour = rng.choice(tuple(COLOURS))
    return ("" if is_shape_alone else colour), shape
