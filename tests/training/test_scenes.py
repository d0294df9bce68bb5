"""Questions about scenes: each answer read back and held against the scene itself."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from core.training.facts import WORDS
from core.training.scenes import COLOURS, PLACES, SHAPES, Item, Scene, ask_about, describe
from core.training.scenes import sample_scene as sample
from core.training.world import Exchange

PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
COLOUR, SHAPE = "|".join(COLOURS), "|".join(SHAPES)
Asked = tuple[Scene, Exchange]


@cache
def asked() -> tuple[Asked, ...]:
    """Many scenes, each with a question."""
    rng = random.Random("test-scenes")
    scenes = [sample(rng) for _ in range(6000)]
    return tuple((scene, ask_about(rng, scene)) for scene in scenes)


def of_skill(skill: str) -> list[Asked]:
    """Those of one skill."""
    return [(scene, exchange) for scene, exchange in asked() if exchange.skill == skill]


def match(pattern: str, text: str) -> tuple[str, ...]:
    """The groups of a pattern that fits the whole text."""
    found = re.fullmatch(pattern, text)
    assert found, text
    return found.groups()


def items_of(description: str) -> set[Item]:
    """The shapes that a description names."""
    found = re.findall(
        rf"\ba (small|large) ({COLOUR}) ({SHAPE}) ({PLACE})(?=[,.]| and )", description
    )
    return {Item(shape, colour, size, PLACES.index(place)) for size, colour, shape, place in found}


def is_true_describe(scene: Scene, exchange: Exchange) -> bool:
    if scene.word:
        return match(r"The picture shows the word (\w+)\.", exchange.answer) == (scene.word,)
    num, plural = match(r"(\d) shape(s?): .*\.", exchange.answer)
    assert bool(plural) == (num != "1")
    return int(num) == len(scene.items) and items_of(exchange.answer) == set(scene.items)


def is_true_count(scene: Scene, exchange: Exchange) -> bool:
    verb, num, colour, plural = match(
        rf"There (is|are) (\d|no)(?: ({COLOUR}))? shape(s?)\.", exchange.answer
    )
    assert (verb == "is") == (num == "1") == (not plural)
    assert (colour or "") == "".join(re.findall(rf"\b({COLOUR})\b", exchange.question))
    counted = [item for item in scene.items if not colour or item.colour == colour]
    return len(counted) == (0 if num == "no" else int(num))


def the_one(scene: Scene, exchange: Exchange, shape: str) -> Item:
    """The scene's only shape of that kind, which the question must ask about."""
    assert re.search(rf"\b{shape}\b", exchange.question)
    (item,) = [item for item in scene.items if item.shape == shape]
    return item


def is_true_colour(scene: Scene, exchange: Exchange) -> bool:
    shape, colour = match(rf"The ({SHAPE}) is ({COLOUR})\.", exchange.answer)
    return the_one(scene, exchange, shape).colour == colour


def is_true_place(scene: Scene, exchange: Exchange) -> bool:
    shape, place = match(rf"The ({SHAPE}) is ({PLACE})\.", exchange.answer)
    return PLACES[the_one(scene, exchange, shape).place] == place


def is_true_size(scene: Scene, exchange: Exchange) -> bool:
    shape, size = match(rf"The ({SHAPE}) is (small|large)\.", exchange.answer)
    return the_one(scene, exchange, shape).size == size


def is_true_what_at(scene: Scene, exchange: Exchange) -> bool:
    what, place = match(rf"(Nothing|A .*) is ({PLACE})\.", exchange.answer)
    assert exchange.question.endswith(f" {place}?")
    there = [item for item in scene.items if item.place == PLACES.index(place)]
    if what == "Nothing":
        return not there
    (item,) = there
    return what == f"A {item.size} {item.colour} {item.shape}"


def is_true_is_there(scene: Scene, exchange: Exchange) -> bool:
    (colour, shape), *more = re.findall(rf"({COLOUR}) ({SHAPE})", exchange.question)
    assert not more
    article = "an" if colour == "orange" else "a"
    assert f" {article} {colour} {shape}" in exchange.question
    there = any((item.colour, item.shape) == (colour, shape) for item in scene.items)
    yes, no = f"Yes, there is {article} {colour} {shape}.", f"No, there is no {colour} {shape}."
    return exchange.answer == (yes if there else no)


def is_true_read(scene: Scene, exchange: Exchange) -> bool:
    return match(r"The word is (\w+)\.", exchange.answer) == (scene.word,)


ORACLES: dict[str, Callable[[Scene, Exchange], bool]] = {
    "describe": is_true_describe,
    "count": is_true_count,
    "colour": is_true_colour,
    "place": is_true_place,
    "size": is_true_size,
    "what at": is_true_what_at,
    "is there": is_true_is_there,
    "read": is_true_read,
}


@pytest.mark.parametrize("skill", ORACLES)
def test_every_answer_is_true_of_its_scene(skill: str) -> None:
    assert len(of_skill(skill)) >= 100
    for scene, exchange in of_skill(skill):
        assert ORACLES[skill](scene, exchange), (scene, exchange)


def test_every_question_about_a_scene_has_an_oracle() -> None:
    assert {exchange.skill for _, exchange in asked()} == set(ORACLES)


@pytest.mark.parametrize("skill", ["is there", "count", "what at"])
def test_questions_whose_answer_is_no_are_asked_too(skill: str) -> None:
    negative = re.compile(r"No, |\bno\b|Nothing")
    answers = [bool(negative.search(exchange.answer)) for _, exchange in of_skill(skill)]
    assert 0.03 < sum(answers) / len(answers) < 0.6


def test_questions_about_scenes_are_sentences_that_can_be_spoken() -> None:
    for _, exchange in asked():
        assert exchange.spoken == exchange.question
        assert re.fullmatch(r"[A-Z][a-z ]+[?.]", exchange.question), exchange.question


def test_scenes_hold_shapes_or_a_word_and_no_place_twice() -> None:
    for scene, _ in asked():
        places = [item.place for item in scene.items]
        assert places == sorted(set(places))
        assert bool(scene.word) != bool(scene.items)
        assert len(places) <= 4
        assert not scene.word or scene.word in WORDS or scene.word.isdigit()


def test_a_description_read_back_gives_the_scene() -> None:
    scene = Scene((Item("star", "orange", "large", 0), Item("ring", "red", "small", 8)), "", 1)
    assert describe(scene) == (
        "2 shapes: a large orange star at the top left and a small red ring at the bottom right."
    )
    assert items_of(describe(scene)) == set(scene.items)
