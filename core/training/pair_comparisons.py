"""Questions that compare two pictures: which has more, which shows it, what differs between them.

Of pictures, what is seen in each is said before what follows from it: "In the first picture I see a
shape in the centre, so 1. In the second I see shapes at the top and on the left, so 2. So the
second picture has more shapes." Of scenes told in words what follows is the answer alone.
Leaves out: questions about one of the two (picture_pairs.py).
"""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from core.training.comparisons import compared
from core.training.counting import all_seen, found_at, seen_of_shape
from core.training.exchange import (
    Answer,
    Clause,
    Exchange,
    Places,
    concluded,
    in_short,
    one_after_another,
    worded,
)
from core.training.facts import with_article
from core.training.items import SHAPES, Scene, counted, place_of, text_of

SKILL: Final = "two pictures"
ORDINALS: Final = ("first", "second")
OPENINGS: Final = ("in the first picture I see", "in the second I see")
Pair = tuple[Scene, Scene]

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "more": (
        "which picture has more shapes?",
        "which of the two pictures has more shapes?",
        "which picture shows more shapes?",
        "where are there more shapes, in the first or the second picture?",
    ),
    "difference": (
        "how many more shapes does one picture have than the other?",
        "what is the difference in the number of shapes?",
        "how does the number of shapes differ?",
        "by how many shapes do the pictures differ?",
    ),
    "together": (
        "how many shapes are there in both pictures together?",
        "how many shapes do both pictures have together?",
        "how many shapes do you see in the two pictures together?",
        "count the shapes in both pictures together.",
    ),
    "which shows": (
        "which picture shows {thing}?",
        "in which picture do you see {thing}?",
        "in which picture is there {thing}?",
        "which of the two pictures shows {thing}?",
    ),
    "which shows the": (
        "which picture shows {thing}?",
        "in which picture is {thing}?",
        "in which picture do you see {thing}?",
        "where is {thing}, in the first or the second picture?",
    ),
    "both show": (
        "do both pictures show {thing}?",
        "is there {thing} in both pictures?",
        "do you see {thing} in both pictures?",
        "can you see {thing} in both pictures?",
    ),
    "same colour": (
        "is the {shape} the same colour in both pictures?",
        "does the {shape} have the same colour in both pictures?",
        "is the colour of the {shape} the same in both pictures?",
        "do both pictures show the {shape} in the same colour?",
    ),
}


class Thing(NamedTuple):
    """What may be in either picture.

    Args:
        name: with its article.
        shown: whether each picture shows it.
        shape: what it is, if it is no word.
    """

    name: str
    shown: tuple[bool, bool]
    shape: str = ""


def which_has_more(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """Which picture has more shapes?

    Args:
        is_told: the scenes are told in words, so that the verdict alone is the answer.
    """
    first, second = _num_shapes(pair)
    if first == second:
        verdict = f"both pictures have {counted(first)}"
    else:
        verdict = f"the {ORDINALS[first < second]} picture has more shapes"
    return _of_counts(rng, "more", pair, verdict, is_told)


def by_how_many(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """How many more shapes has one picture than the other? As `which_has_more`."""
    first, second = _num_shapes(pair)
    if first == second:
        verdict = f"both pictures have {counted(first)}"
    else:
        one, other = ORDINALS if first > second else ORDINALS[::-1]
        more = f"{abs(first - second)} more {'shape' if abs(first - second) == 1 else 'shapes'}"
        verdict = f"the {one} picture has {more} than the {other}"
    return _of_counts(rng, "difference", pair, verdict, is_told)


def how_many_together(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """How many shapes are there in both pictures together? As `which_has_more`."""
    num = sum(_num_shapes(pair))
    verdict = f"there {'is' if num == 1 else 'are'} {counted(num)} in both pictures together"
    return _of_counts(rng, "together", pair, verdict, is_told)


def which_shows(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """Which picture shows a shape? As `which_has_more`."""
    thing = _sample_thing(rng, pair)
    return _showing(rng, "which shows", pair, thing, is_told) if thing else None


def do_both_show(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """Do both pictures show a shape? As `which_has_more`."""
    thing = _sample_thing(rng, pair)
    if thing is None:
        return None
    verdict = "yes" if all(thing.shown) else "no"
    if all(thing.shown):
        alone = f"both pictures show {thing.name}"
    elif any(thing.shown):
        alone = f"only the {ORDINALS[thing.shown.index(True)]} picture shows {thing.name}"
    else:
        alone = f"neither picture shows {thing.name}"
    if is_told:
        answer = in_short(f"{verdict}, {alone}", _shapes_at(pair, thing.shape))
    else:
        answer = _seen_in_both(pair, thing, verdict)
    return worded(rng, SKILL, WORDINGS["both show"], answer, thing=thing.name)


def which_shows_the_word(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """Asked by the word itself where it can be said without digits, or else by "a word".

    Arguments as in `which_has_more`.
    """
    with_word = [scene for scene in pair if scene.word]
    if not with_word:
        return None
    scene = rng.choice(with_word)
    if scene.word.isdigit() or rng.random() < 0.4:
        kind = "number" if scene.word.isdigit() else "word"
        first, second = (bool(s.word) and s.word.isdigit() == (kind == "number") for s in pair)
        return _showing(rng, "which shows", pair, Thing(f"a {kind}", (first, second)), is_told)
    first, second = (s.word == scene.word for s in pair)
    return _showing(rng, "which shows the", pair, Thing(text_of(scene), (first, second)), is_told)


def same_colour(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    """Is a shape that both pictures show of one colour? As `which_has_more`."""
    first, second = (scene.only_items for scene in pair)
    shared = [shape for shape in SHAPES if shape in first and shape in second]
    if not shared:
        return None
    shape = rng.choice(shared)
    one, other = first[shape].colour, second[shape].colour
    if one == other:
        alone = f"yes, the {shape} is {one} in both pictures"
    else:
        alone = f"no, the {shape} is {one} in the first picture and {other} in the second"
    clauses = (
        Clause(f"the {shape} is {one} in the first picture", place_of(first[shape])),
        Clause(f"{other} in the second", place_of(second[shape], 1)),
    )
    verdict = "yes" if one == other else "no"
    return compared(
        rng,
        SKILL,
        WORDINGS["same colour"],
        clauses,
        verdict,
        alone if is_told else "",
        (one, other),
        shape=shape,
    )


def _num_shapes(pair: Pair) -> tuple[int, int]:
    return len(pair[0].items), len(pair[1].items)


def _of_counts(
    rng: random.Random, kind: str, pair: Pair, verdict: str, is_told: bool
) -> Exchange | None:
    """What follows from how many shapes each picture has; None where neither has any."""
    first, second = _num_shapes(pair)
    if not first and not second:
        return None
    if is_told:
        answer = in_short(verdict, _shapes_at(pair))
    else:
        counts = [
            all_seen(scene, OPENINGS[number], str(len(scene.items)), number)
            for number, scene in enumerate(pair)
        ]
        answer = one_after_another(
            *counts, in_short(f"so {verdict}", words=(str(first), str(second)))
        )
    return worded(rng, SKILL, WORDINGS[kind], answer)


def _showing(rng: random.Random, kind: str, pair: Pair, thing: Thing, is_told: bool) -> Exchange:
    """Which of the pictures shows the thing?"""
    if all(thing.shown):
        verdict = f"both pictures show {thing.name}"
    elif any(thing.shown):
        verdict = f"the {ORDINALS[thing.shown.index(True)]} picture shows {thing.name}"
    else:
        verdict = f"neither picture shows {thing.name}"
    if is_told:
        answer = in_short(verdict, _shapes_at(pair, thing.shape) if thing.shape else ())
    elif thing.shape:
        answer = _seen_in_both(pair, thing, verdict)
    else:
        answer = concluded(*_shown(thing))
    return worded(rng, SKILL, WORDINGS[kind], answer, thing=thing.name)


def _shapes_at(pair: Pair, shape: str = "") -> Places:
    """Where to look at once for all of a shape, or for all shapes, of both pictures."""
    first, second = ([item for item in scene.items if shape in ("", item.shape)] for scene in pair)
    return (*(at for item in first for at in place_of(item)), *found_at(second, 1))


def _seen_in_both(pair: Pair, thing: Thing, verdict: str) -> Answer:
    """All of its shape, of whatever colour, and what follows."""
    seen = [
        seen_of_shape(scene, thing.shape, OPENINGS[number], picture=number)
        for number, scene in enumerate(pair)
    ]
    words = 2 * tuple(thing.name.split()[1:])  # of either picture, without the article
    return one_after_another(*seen, in_short(f"so {verdict}", words=words))


def _shown(thing: Thing) -> tuple[Clause, Clause]:
    """Whether each picture shows what is read."""
    first = "shows" if thing.shown[0] else "does not show"
    second = "does" if thing.shown[1] else "does not"
    if thing.shown[0] == thing.shown[1]:
        second += " too" if thing.shown[0] else " either"
    return (
        Clause(f"the first picture {first} {thing.name}", ()),
        Clause(f"the second {second}", ()),
    )


def _sample_thing(rng: random.Random, pair: Pair) -> Thing | None:
    """A shape, with or without its colour, mostly of one picture."""
    items = pair[0].items + pair[1].items
    if not items:
        return None
    item = rng.choice(items)
    if rng.random() < 0.5:
        shape = item.shape if rng.random() < 0.9 else rng.choice(SHAPES)
        return _thing(pair, shape, "")
    return _thing(pair, item.shape, item.colour)


def _thing(pair: Pair, shape: str, colour: str) -> Thing:
    """A shape of a colour, or of any ("")."""
    first, second = (
        any(item.shape == shape and item.colour in (colour or item.colour,) for item in scene.items)
        for scene in pair
    )
    return Thing(with_article(f"{colour} {shape}".strip()), (first, second), shape)
