"""Questions about two pictures: which has more, which shows it, what differs between them.

Leaves out: questions about one picture (scenes.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from core.training.exchange import look_throughout
from core.training.facts import with_article
from core.training.items import (
    SHAPES,
    Item,
    Scene,
    contents,
    counted,
    looks_of,
    places_of,
    text_of,
)
from core.training.world import Exchange, capitalised

SKILL: Final = "two pictures"
Items = tuple[Item | None, ...]  # None: where a head looks that finds nothing
ORDINALS: Final = ("first", "second")

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

Pair = tuple[Scene, Scene]


def _ask(
    rng: random.Random,
    kind: str,
    answer: str,
    found: tuple[Items, Items] = ((), ()),
    **slots: str,
) -> Exchange:
    """One question in one of its wordings, whose answer tells of items in each picture."""
    question = capitalised(rng.choice(WORDINGS[kind]).format(**slots))
    said = f"{capitalised(answer)}."
    looks = look_throughout(said, *(places_of(items, i) for i, items in enumerate(found)))
    return Exchange(SKILL, question, question, said, looks=looks)


def _num_shapes(pair: Pair) -> tuple[int, int]:
    return len(pair[0].items), len(pair[1].items)


def _shapes(pair: Pair) -> tuple[Items, Items]:
    return _looked_for((pair[0].items, pair[1].items))


def _more(rng: random.Random, pair: Pair) -> Exchange | None:
    first, second = _num_shapes(pair)
    if not first and not second:
        return None
    if first == second:
        return _ask(rng, "more", f"both pictures have {counted(first)}", _shapes(pair))
    which = ORDINALS[0] if first > second else ORDINALS[1]
    return _ask(rng, "more", f"the {which} picture has more shapes", _shapes(pair))


def _difference(rng: random.Random, pair: Pair) -> Exchange | None:
    first, second = _num_shapes(pair)
    if not first and not second:
        return None
    if first == second:
        return _ask(rng, "difference", f"both pictures have {counted(first)}", _shapes(pair))
    one, other = ORDINALS if first > second else ORDINALS[::-1]
    more = f"{abs(first - second)} more {'shape' if abs(first - second) == 1 else 'shapes'}"
    answer = f"the {one} picture has {more} than the {other}"
    return _ask(rng, "difference", answer, _shapes(pair))


def _together(rng: random.Random, pair: Pair) -> Exchange | None:
    num = sum(_num_shapes(pair))
    if not num:
        return None
    verb = "is" if num == 1 else "are"
    answer = f"there {verb} {counted(num)} in both pictures together"
    return _ask(rng, "together", answer, _shapes(pair))


def _showing(shown: tuple[bool, bool], thing: str) -> str:
    """Which of the pictures shows the thing, as an answer."""
    if all(shown):
        return f"both pictures show {thing}"
    if not any(shown):
        return f"neither picture shows {thing}"
    return f"the {ORDINALS[shown.index(True)]} picture shows {thing}"


def _sample_thing(rng: random.Random, pair: Pair) -> tuple[str, tuple[Items, Items]] | None:
    """A shape, with or without its colour, mostly of one picture; and which items are it."""
    items = pair[0].items + pair[1].items
    if not items:
        return None
    item = rng.choice(items)
    if rng.random() < 0.5:
        shape = item.shape if rng.random() < 0.9 else rng.choice(SHAPES)
        first, second = (tuple(it for it in scene.items if it.shape == shape) for scene in pair)
        return with_article(shape), (first, second)
    first, second = (
        tuple(it for it in scene.items if (it.colour, it.shape) == (item.colour, item.shape))
        for scene in pair
    )
    return with_article(f"{item.colour} {item.shape}"), (first, second)


def _looked_for(found: tuple[Items, Items]) -> tuple[Items, Items]:
    """Where to look for what may not be there."""
    return (*found[0], None), (*found[1], None)


def _which_shows(rng: random.Random, pair: Pair) -> Exchange | None:
    thing = _sample_thing(rng, pair)
    if thing is None:
        return None
    name, found = thing
    answer = _showing((bool(found[0]), bool(found[1])), name)
    return _ask(rng, "which shows", answer, _looked_for(found), thing=name)


def _both_show(rng: random.Random, pair: Pair) -> Exchange | None:
    thing = _sample_thing(rng, pair)
    if thing is None:
        return None
    name, found = thing
    shown = tuple(map(bool, found))
    if all(shown):
        answer = f"yes, both pictures show {name}"
    elif any(shown):
        answer = f"no, only the {ORDINALS[shown.index(True)]} picture shows {name}"
    else:
        answer = f"no, neither picture shows {name}"
    return _ask(rng, "both show", answer, _looked_for(found), thing=name)


def _which_shows_the_word(rng: random.Random, pair: Pair) -> Exchange | None:
    """Asked by the word itself where it can be said without digits, or else by "a word"."""
    with_word = [scene for scene in pair if scene.word]
    if not with_word:
        return None
    scene = rng.choice(with_word)
    if scene.word.isdigit() or rng.random() < 0.4:
        kind = "number" if scene.word.isdigit() else "word"
        shown = tuple(bool(s.word) and s.word.isdigit() == (kind == "number") for s in pair)
        thing, wording = f"a {kind}", "which shows"
    else:
        shown = tuple(s.word == scene.word for s in pair)
        thing, wording = text_of(scene), "which shows the"
    return _ask(rng, wording, _showing((shown[0], shown[1]), thing), thing=thing)


def _same_colour(rng: random.Random, pair: Pair) -> Exchange | None:
    first, second = (scene.only_items for scene in pair)
    shared = [shape for shape in SHAPES if shape in first and shape in second]
    if not shared:
        return None
    shape = rng.choice(shared)
    one, other = first[shape].colour, second[shape].colour
    if one == other:
        answer = f"yes, the {shape} is {one} in both pictures"
    else:
        answer = f"no, the {shape} is {one} in the first picture and {other} in the second"
    found = (first[shape],), (second[shape],)
    return _ask(rng, "same colour", answer, found, shape=shape)


def _one_of(rng: random.Random, pair: Pair) -> tuple[Scene, str]:
    index = rng.randrange(2)
    return pair[index], ORDINALS[index]


def _found_in(which: str, *items: Item | None) -> tuple[Items, Items]:
    """These in one of the pictures, nothing in the other."""
    return (items, ()) if which == ORDINALS[0] else ((), items)


def _describe_one(rng: random.Random, pair: Pair) -> Exchange:
    scene, which = _one_of(rng, pair)
    answer = f"the {which} picture shows {contents(scene)}"
    exchange = _ask(rng, "describe", answer, which=which)
    return replace(exchange, looks=looks_of(exchange.answer, scene, ORDINALS.index(which)))


def _count_one(rng: random.Random, pair: Pair) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    num = len(scene.items)
    if not num:
        return None
    answer = f"there {'is' if num == 1 else 'are'} {counted(num)} in the {which} picture"
    return _ask(rng, "count", answer, _found_in(which, *scene.items, None), which=which)


def _colour_in_one(rng: random.Random, pair: Pair) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    if not scene.only_items:
        return None
    item = rng.choice(list(scene.only_items.values()))
    answer = f"the {item.shape} in the {which} picture is {item.colour}"
    found = _found_in(which, item)
    return _ask(rng, "colour", answer, found, shape=item.shape, which=which)


def _read_one(rng: random.Random, pair: Pair) -> Exchange | None:
    scene, which = _one_of(rng, pair)
    if not scene.word:
        return None
    kind = "number" if scene.word.isdigit() else "word"
    return _ask(rng, "read", f"the {kind} in the {which} picture is {scene.word}", which=which)


PairMaker = Callable[[random.Random, Pair], Exchange | None]
# Each kind of question, and how often it is asked where the pictures allow it.
_MAKERS: Final[tuple[tuple[PairMaker, int], ...]] = (
    (_more, 3),
    (_difference, 2),
    (_together, 2),
    (_which_shows, 3),
    (_both_show, 2),
    (_which_shows_the_word, 4),
    (_same_colour, 6),  # few pairs share a shape
    (_describe_one, 3),
    (_count_one, 2),
    (_colour_in_one, 3),
    (_read_one, 4),
)


def ask_about_two(rng: random.Random, first: Scene, second: Scene) -> Exchange:
    """One question about two pictures shown in this order, with its true answer."""
    makers, weights = zip(*_MAKERS, strict=True)
    while True:
        exchange: Exchange | None = rng.choices(makers, weights)[0](rng, (first, second))
        if exchange is not None:
            return exchange
