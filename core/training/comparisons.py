"""Questions that compare two things of one scene: which is larger, are there more, is it left of.

Of a picture, what is seen is said before what follows from it: "The star is small and the heart is
large, so the heart is larger." And a yes or no comes behind what it follows from: "so the star is
above the heart: yes." Of a scene told in words the verdict alone is the answer.
Leaves out: all other questions (scenes.py) and what compares two pictures (pair_comparisons.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from core.training.counting import found_at, number_of_colour
from core.training.exchange import (
    Answer,
    Clause,
    Exchange,
    Look,
    concluded,
    in_short,
    one_after_another,
    worded,
)
from core.training.items import COLOURS, PLACES, Item, Scene, place_of

SKILL: Final = "compare"
Compare = Callable[..., Exchange | None]  # of `rng`, a scene, and whether that is told in words
WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "sizes": (
        "which is {more}, the {one} or the {other}?",
        "which shape is {more}, the {one} or the {other}?",
        "what is {more}, the {one} or the {other}?",
        "tell me which is {more}, the {one} or the {other}.",
    ),
    "numbers": (
        "are there more {one} shapes than {other} shapes?",
        "do you see more {one} shapes than {other} shapes?",
        "does the picture show more {one} shapes than {other} shapes?",
        "are more shapes {one} than {other}?",
    ),
    "places": (
        "is the {one} {where} the {other}?",
        "do you see the {one} {where} the {other}?",
        "is it true that the {one} is {where} the {other}?",
        "tell me whether the {one} is {where} the {other}.",
    ),
}


def compare_sizes(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange | None:
    """Which of two shapes of two sizes is larger, or smaller?

    Args:
        is_told: the scene is told in words, so that the verdict alone is the answer.
    """
    pair = _two_items(rng, scene)
    if pair is None or pair[0].size == pair[1].size:
        return None
    one, other = pair
    more, size = rng.choice((("larger", "large"), ("smaller", "small")))
    (which,) = [item.shape for item in pair if item.size == size]
    verdict = f"the {which} is {more}"
    alone = verdict if is_told else ""
    seen = _told(one, one.size), _told(other, other.size)
    slots = {"more": more, "one": one.shape, "other": other.shape}
    return compared(rng, SKILL, WORDINGS["sizes"], seen, verdict, alone, (), **slots)


def compare_numbers(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange | None:
    """Are there more shapes of one colour than of another? Arguments as in `compare_sizes`."""
    colours = [item.colour for item in scene.items]
    one = rng.choice(colours)
    other = rng.choice(colours) if rng.random() < 0.7 else rng.choice(tuple(COLOURS))
    if one == other:
        return None
    one, other = rng.sample((one, other), 2)
    more = colours.count(one) - colours.count(other)
    verdict = "yes" if more > 0 else "no"
    wordings = WORDINGS["numbers"]
    if is_told:
        relation = "more {} than" if more > 0 else "fewer {} than" if more < 0 else "as many {} as"
        said = f"{verdict}, there are {relation.format(f'{one} shapes')} {other} shapes"
        answer = in_short(said, found_at([it for it in scene.items if it.colour in (one, other)]))
    else:
        counts = number_of_colour(scene, one), number_of_colour(scene, other)
        words = tuple(str(colours.count(colour) or "no") for colour in (one, other))
        answer = one_after_another(*counts, in_short(f"so {verdict}", words=words))
    return worded(rng, SKILL, wordings, answer, one=one, other=other)


def compare_places(rng: random.Random, scene: Scene, is_told: bool = False) -> Exchange | None:
    """Is a shape left of, right of, above or below another? Arguments as in `compare_sizes`."""
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
    verdict = "yes" if asked == truth else "no"
    relation = f"the {one.shape} is {said} the {other.shape}"
    if is_told:
        answer = in_short(f"{verdict}, {relation}", (*place_of(one), *place_of(other)))
    else:
        seen = _told(one, PLACES[one.place]), _told(other, PLACES[other.place])
        told = tuple(dict.fromkeys((asked.split()[0], truth.split()[0])))
        answer = _with_verdict(concluded(*seen, relation), verdict, told)
    slots = {"one": one.shape, "where": where, "other": other.shape}
    return worded(rng, SKILL, WORDINGS["places"], answer, **slots)


def _with_verdict(answer: Answer, verdict: str, words: tuple[str, ...]) -> Answer:
    """An answer, and behind a colon whether that is what was asked; arguments as in `concluded`."""
    said, looks = answer
    before = said.removesuffix(".")
    said = f"{before}: {verdict}."
    return said, (*looks, Look(len(before), ()), Look(len(said), (), words))


def compared(
    rng: random.Random,
    skill: str,
    wordings: tuple[str, ...],
    clauses: tuple[Clause, Clause],
    verdict: str,
    alone: str,
    words: tuple[str, ...],
    **slots: str,
) -> Exchange:
    """One question in one of its wordings.

    Args:
        clauses: what is seen of each of the two.
        verdict: what follows from both, or "".
        alone: the whole answer, where nothing is to be said before it; or "".
        words: that the verdict is read from; none: from wherever it is.
        slots: of the wording.
    """
    if alone:
        answer = in_short(alone, tuple(at for clause in clauses for at in clause.at))
    else:
        answer = concluded(*clauses, verdict, words)
    return worded(rng, skill, wordings, answer, **slots)


def _told(item: Item, what: str) -> Clause:
    """Where a shape is, or its size."""
    return Clause(f"the {item.shape} is {what}", place_of(item))


def _two_items(rng: random.Random, scene: Scene) -> tuple[Item, Item] | None:
    items = list(scene.only_items.values())
    if len(items) < 2:
        return None
    one, other = rng.sample(items, 2)
    return one, other
