"""What replies about a scene say, read back and held against the scene itself."""

from __future__ import annotations

import re

from core.training.items import COLOURS, PLACES, SHAPES, Item, Scene
from core.training.world import Exchange

PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
COLOUR, SHAPE = "|".join(COLOURS), "|".join(SHAPES)
WHERE = r"(?:to the )?(left of|right of|above|below)"


NAMED = rf"an? ({COLOUR}) ({SHAPE}) ({PLACE})"


def match(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern that fits the whole text."""
    found = re.fullmatch(pattern, text)
    assert found, text
    return found.groups()


def the_one(scene: Scene, exchange: Exchange, shape: str) -> Item:
    """The scene's only shape of that kind, which the question must ask about."""
    assert re.search(rf"\b{shape}\b", exchange.question)
    (item,) = [item for item in scene.items if item.shape == shape]
    return item


def listed(said: str) -> list[str]:
    """The parts of "a", "a and b" and "a and b and c"."""
    return said.split(" and ")


def tells_all(said: str, items: list[Item]) -> bool:
    """Whether what was said names these shapes one by one, in reading order."""
    told = [match(NAMED, part) for part in listed(said)]
    assert all((f"an {colour}" in said) == (colour == "orange") for colour, *_ in told)
    return told == [(item.colour, item.shape, PLACES[item.place]) for item in items]


def tells_places(scene: Scene, said: str) -> bool:
    """Whether "shapes at the top and in the centre", "a shape on the left" or "no shapes" is so."""
    if not scene.items:
        return said == "no shapes"
    a_shape, named = match(r"(a shape|shapes) (.*)", said)
    assert (a_shape == "a shape") == (len(scene.items) == 1)
    return listed(named) == [PLACES[item.place] for item in scene.items]


def is_true_number(said: str, items: list[Item], noun: str) -> bool:
    """Of a sentence that names the shapes that are asked for and tells how many there are."""
    if not items:
        return said == f"There are no {noun}{'es' if noun.endswith('ss') else 's'}."
    named, verb, num, counted = match(r"I see (.*), so there (is|are) (\d) (.*)\.", said)
    assert (verb == "is") == (num == "1") == (counted == noun)
    assert counted in (noun, f"{noun}s", f"{noun}es")
    return tells_all(named, items) and int(num) == len(items)


def is_true_comparison(scene: Scene, exchange: Exchange) -> bool:
    """Of an answer that tells what is seen first."""
    if " shapes " in exchange.question:
        return is_true_of_numbers(scene, exchange)
    if re.search(r"larger|smaller", exchange.question):
        return is_true_of_sizes(scene, exchange)
    return is_true_of_places(scene, exchange)


def is_true_of_sizes(scene: Scene, exchange: Exchange) -> bool:
    one, size, other, other_size, which, more = match(
        rf"The ({SHAPE}) is (small|large) and the ({SHAPE}) is (small|large), "
        rf"so the ({SHAPE}) is (larger|smaller)\.",
        exchange.answer,
    )
    assert re.findall(rf"the ({SHAPE})", exchange.question) == [one, other]
    assert f" {more}" in exchange.question
    is_one_larger = (size, other_size) == ("large", "small")
    return (
        the_one(scene, exchange, one).size == size != other_size
        and the_one(scene, exchange, other).size == other_size
        and (which == one) == (is_one_larger == (more == "larger"))
    )


def is_true_of_numbers(scene: Scene, exchange: Exchange) -> bool:
    first, second, verdict = match(
        r"((?:I see|There are) .*\.) ((?:I see|There are) .*\.) So (yes|no)\.", exchange.answer
    )
    colours = re.findall(rf"\b({COLOUR})\b", exchange.question)
    found = [[item for item in scene.items if item.colour == colour] for colour in colours]
    for said, colour, items in zip((first, second), colours, found, strict=True):
        assert is_true_number(said, items, f"{colour} shape")
    return (verdict == "yes") == (len(found[0]) > len(found[1]))


def is_true_of_places(scene: Scene, exchange: Exchange) -> bool:
    one, place, other, other_place, said_one, truth, said_other, verdict = match(
        rf"The ({SHAPE}) is ({PLACE}) and the ({SHAPE}) is ({PLACE}), "
        rf"so the ({SHAPE}) is {WHERE} the ({SHAPE}): (yes|no)\.",
        exchange.answer,
    )
    assert (said_one, said_other) == (one, other)
    ((asked_one, asked, asked_other),) = re.findall(
        rf"the ({SHAPE})(?: is)? {WHERE} the ({SHAPE})", exchange.question
    )
    assert (asked_one, asked_other) == (one, other)
    items = the_one(scene, exchange, one), the_one(scene, exchange, other)
    assert [PLACES[item.place] for item in items] == [place, other_place]
    assert is_where(items[0], truth, items[1])
    return (asked == truth) == (verdict == "yes")


def is_where(one: Item, where: str, other: Item) -> bool:
    """Is one of two shapes, neither of which is level with the other, where it is asked for?"""
    assert (one.column != other.column) if "of" in where else (one.row != other.row)
    return {
        "left of": one.column < other.column,
        "right of": one.column > other.column,
        "above": one.row < other.row,
        "below": one.row > other.row,
    }[where]
