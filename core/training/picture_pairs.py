"""Questions about two pictures, most of them about one of the two.

Leaves out: what compares them (pair_comparisons.py) and questions about one picture (scenes.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from core.training.counting import all_seen, there_are
from core.training.exchange import Exchange, Places, in_short, worded
from core.training.items import Scene, contents, counted, looks_of, place_of
from core.training.pair_comparisons import (
    ORDINALS,
    SKILL,
    Pair,
    by_how_many,
    do_both_show,
    how_many_together,
    same_colour,
    which_has_more,
    which_shows,
    which_shows_the_word,
)

WORDINGS: Final[dict[str, tuple[str, ...]]] = {
    "describe": (
        "describe the {which} picture.",
        "describe the {which} image in detail.",
        "what is in the {which} picture?",
        "what does the {which} picture show?",
        "what do you see in the {which} picture?",
    ),
    "count": (
        "how many shapes are in the {which} picture?",
        "how many shapes does the {which} picture have?",
        "how many shapes do you see in the {which} picture?",
        "count the shapes in the {which} picture.",
    ),
    "colour": (
        "what colour is the {shape} in the {which} picture?",
        "which colour is the {shape} in the {which} picture?",
        "what is the colour of the {shape} in the {which} picture?",
        "tell me the colour of the {shape} in the {which} picture.",
    ),
    "read": (
        "what is written in the {which} picture?",
        "what does the {which} picture say?",
        "read the text in the {which} picture.",
        "tell me what is written in the {which} picture.",
    ),
}


def _ask(
    rng: random.Random,
    kind: str,
    answer: str,
    at: Places = (),
    **slots: str,
) -> Exchange:
    """One question in one of its wordings; `at`: where its answer is read from."""
    return worded(rng, SKILL, WORDINGS[kind], in_short(answer, at), **slots)


def _one_of(rng: random.Random, pair: Pair) -> tuple[Scene, str]:
    index = rng.randrange(2)
    return pair[index], ORDINALS[index]


def _describe_one(rng: random.Random, pair: Pair) -> Exchange:
    scene, which = _one_of(rng, pair)
    answer = f"the {which} picture shows {contents(scene)}"
    exchange = _ask(rng, "describe", answer, which=which)
    return replace(exchange, looks=looks_of(exchange.answer, scene, ORDINALS.index(which)))


def _count_one(rng: random.Random, pair: Pair, is_told: bool = False) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    if not scene.items:
        return None
    if is_told:
        answer = in_short(f"{there_are(len(scene.items))} in the {which} picture")
    else:
        verdict = f"it has {counted(len(scene.items))}"
        answer = all_seen(scene, f"in the {which} picture I see", verdict, ORDINALS.index(which))
    return worded(rng, SKILL, WORDINGS["count"], answer, which=which)


def _colour_in_one(rng: random.Random, pair: Pair) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    if not scene.only_items:
        return None
    item = rng.choice(list(scene.only_items.values()))
    answer = f"the {item.shape} in the {which} picture is {item.colour}"
    at = place_of(item, ORDINALS.index(which))
    return _ask(rng, "colour", answer, at, shape=item.shape, which=which)


def _read_one(rng: random.Random, pair: Pair) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    if not scene.word:
        return None
    kind = "number" if scene.word.isdigit() else "word"
    return _ask(rng, "read", f"the {kind} in the {which} picture is {scene.word}", which=which)


PairMaker = Callable[[random.Random, Pair], Exchange | None]
Chances = tuple[tuple[PairMaker, int], ...]
# Each kind of question, and how often it is asked where the pictures allow it.
_ABOUT_ONE: Final[Chances] = (
    (_describe_one, 3),
    (_colour_in_one, 3),
    (_read_one, 4),
)
# Those whose answer, of pictures, says what is seen before what follows from it.
_CONCLUDED: Final = (
    (_count_one, 2),
    (which_has_more, 3),
    (by_how_many, 2),
    (how_many_together, 2),
    (which_shows, 3),
    (do_both_show, 2),
    (which_shows_the_word, 4),
    (same_colour, 6),  # few pairs share a shape
)
_TOLD_CONCLUDED: Final[Chances] = tuple(
    (partial(make, is_told=True), chance) for make, chance in _CONCLUDED
)


def ask_about_two(
    rng: random.Random, first: Scene, second: Scene, is_told: bool = False
) -> Exchange:
    """One question about two pictures shown in this order, with its true answer.

    Args:
        is_told: the scenes are told in words; see pair_comparisons.py.
    """
    chances = _ABOUT_ONE + (_TOLD_CONCLUDED if is_told else _CONCLUDED)
    makers, weights = zip(*chances, strict=True)
    while True:
        exchange: Exchange | None = rng.choices(makers, weights)[0](rng, (first, second))
        if exchange is not None:
            return exchange
