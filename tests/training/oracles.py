"""What replies about a scene say, read back and held against the scene itself."""

from __future__ import annotations

import re

from core.training.items import COLOURS, PLACES, SHAPES, Item, Scene
from core.training.world import Exchange

PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
COLOUR, SHAPE = "|".join(COLOURS), "|".join(SHAPES)
WHERE = r"(?:to the )?(left of|right of|above|below)"


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
    verb, num, one, plural, other_num, other, other_plural, verdict = match(
        rf"There (is|are) (\d|no) ({COLOUR}) shape(s?) and (\d|no) ({COLOUR}) shape(s?), "
        r"so (yes|no)\.",
        exchange.answer,
    )
    assert re.findall(rf"\b({COLOUR})\b", exchange.question) == [one, other]
    assert (verb == "is") == (num == "1") == (not plural)
    assert (other_num == "1") == (not other_plural)
    colours = [item.colour for item in scene.items]
    nums = [0 if each == "no" else int(each) for each in (num, other_num)]
    assert nums == [colours.count(one), colours.count(other)]
    return (verdict == "yes") == (nums[0] > nums[1])


def is_true_of_places(scene: Scene, exchange: Exchange) -> bool:
    one, place, other, other_place, verdict = match(
        rf"The ({SHAPE}) is ({PLACE}) and the ({SHAPE}) is ({PLACE}), so (yes|no)\.",
        exchange.answer,
    )
    ((asked_one, asked, asked_other),) = re.findall(
        rf"the ({SHAPE})(?: is)? {WHERE} the ({SHAPE})", exchange.question
    )
    assert (asked_one, asked_other) == (one, other)
    items = the_one(scene, exchange, one), the_one(scene, exchange, other)
    assert [PLACES[item.place] for item in items] == [place, other_place]
    return is_where(items[0], asked, items[1]) == (verdict == "yes")


def is_where(one: Item, where: str, other: Item) -> bool:
    """Is one of two shapes, neither of which is level with the other, where it is asked for?"""
    assert (one.column != other.column) if "of" in where else (one.row != other.row)
    return {
        "left of": one.column < other.column,
        "right of": one.column > other.column,
        "above": one.row < other.row,
        "below": one.row > other.row,
    }[where]
