"""Questions about scenes: each answer read back and held against the scene itself."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from core.training import counting, scenes
from core.training.facts import WORDS
from core.training.items import COLOURS, PLACES, SHAPES, Item, Scene, describe
from core.training.scenes import MAX_SHAPES, ask_about, ask_to_look_up
from core.training.scenes import sample_scene as sample
from core.training.world import Exchange
from tests.training.oracles import (
    COLOUR,
    PLACE,
    SHAPE,
    is_true_comparison,
    is_true_number,
    match,
    tells_all,
    tells_places,
    the_one,
)

Asked = tuple[Scene, Exchange]


@cache
def asked() -> tuple[Asked, ...]:
    """Many scenes, each with a question."""
    rng = random.Random("test-scenes")
    sampled = [sample(rng) for _ in range(9000)]
    return tuple((scene, ask_about(rng, scene)) for scene in sampled)


def of_skill(skill: str) -> list[Asked]:
    """Those of one skill."""
    return [(scene, exchange) for scene, exchange in asked() if exchange.skill == skill]


def items_of(description: str) -> set[Item]:
    """The shapes that a description names."""
    found = re.findall(
        rf"\ba (small|large) ({COLOUR}) ({SHAPE}) ({PLACE})(?=[,.]| and )", description
    )
    return {Item(shape, colour, size, PLACES.index(place)) for size, colour, shape, place in found}


def is_true_describe(scene: Scene, exchange: Exchange) -> bool:
    if scene.word:
        kind, word = match(r"The picture shows the (word|number) (\w+)\.", exchange.answer)
        return word == scene.word and kind == kind_of(scene)
    num, plural = match(r"(\d) shape(s?): .*\.", exchange.answer)
    assert bool(plural) == (num != "1")
    return int(num) == len(scene.items) and items_of(exchange.answer) == set(scene.items)


def kind_of(scene: Scene) -> str:
    return "number" if scene.word.isdigit() else "word"


def is_true_count(scene: Scene, exchange: Exchange) -> bool:
    if scene.word:
        shown = f"the {kind_of(scene)} {scene.word}"
        return exchange.answer == f"There are no shapes, only {shown}."
    colour = "".join(re.findall(rf"\b({COLOUR})\b", exchange.question))
    (noun,) = re.findall(rf"\b(shape|{SHAPE})(?:s|es)\b", exchange.question)
    if noun == "shape" and not colour:
        return is_true_number_of_all(scene, exchange.answer)
    found = [
        item
        for item in scene.items
        if (not colour or item.colour == colour) and noun in ("shape", item.shape)
    ]
    return is_true_number(exchange.answer, found, f"{colour} {noun}".strip())


def is_true_number_of_all(scene: Scene, answer: str) -> bool:
    """Where all shapes are, and how many."""
    said, verb, num, plural = match(r"I see (.*), so there (is|are) (\d) shape(s?)\.", answer)
    assert (verb == "is") == (num == "1") == (not plural)
    return tells_places(scene, said) and int(num) == len(scene.items)


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
    assert re.search(rf" {place}[?.]$", exchange.question)
    there = [item for item in scene.items if item.place == PLACES.index(place)]
    if what == "Nothing":
        return not there
    (item,) = there
    return what == f"A {item.size} {item.colour} {item.shape}"


def is_true_is_there(scene: Scene, exchange: Exchange) -> bool:
    ((colour, shape),) = re.findall(rf"(?:({COLOUR}) )?\b({SHAPE})\b", exchange.question)
    thing = f"{colour} {shape}".strip()
    article = "an" if colour == "orange" else "a"
    assert f" {article} {thing}" in exchange.question
    same = [item for item in scene.items if item.shape == shape]
    if not same:
        return exchange.answer == f"I see no {shape}, so no."
    named, verdict = match(r"I see (.*), so (yes|no)\.", exchange.answer)
    is_there = any(colour in ("", item.colour) for item in same)
    return tells_all(named, same) and (verdict == "yes") == is_there


def is_true_read(scene: Scene, exchange: Exchange) -> bool:
    if not scene.word:
        return exchange.answer == "There is no word in the picture."
    kind, word = match(r"The (word|number) is (\w+)\.", exchange.answer)
    assert kind == kind_of(scene)
    assert {"word": "number", "number": "word"}[kind] not in exchange.question
    return word == scene.word


ORACLES: dict[str, Callable[[Scene, Exchange], bool]] = {
    "describe": is_true_describe,
    "count": is_true_count,
    "colour": is_true_colour,
    "place": is_true_place,
    "size": is_true_size,
    "compare": is_true_comparison,
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


def test_what_is_looked_up_is_named_by_its_shape_or_colour_and_is_true() -> None:
    rng, skills = random.Random(8), set()
    named = re.compile("|".join((*SHAPES, *COLOURS)))
    for _ in range(600):
        scene = sample(rng)
        if not scene.items:
            continue
        exchange = ask_to_look_up(rng, scene)
        skills.add(exchange.skill)
        assert named.search(exchange.question), exchange
        assert ORACLES[exchange.skill](scene, exchange), (scene, exchange)
    assert skills == {"colour", "place", "size", "is there", "count", "compare"}


@pytest.mark.parametrize("skill", ["is there", "count", "what at", "compare", "read"])
def test_questions_whose_answer_is_no_are_asked_too(skill: str) -> None:
    negative = re.compile(r"No, |\bno\b|Nothing")
    answers = [bool(negative.search(exchange.answer)) for _, exchange in of_skill(skill)]
    assert 0.03 < sum(answers) / len(answers) < 0.6


def test_questions_about_scenes_are_sentences_that_can_be_spoken() -> None:
    for _, exchange in asked():
        assert exchange.spoken == exchange.question.replace("color ", "colour ")
        assert re.fullmatch(r"[A-Z][a-z ,]+[?.]", exchange.question), exchange.question


def test_the_middle_of_a_side_is_asked_for_only_where_it_is_alone_on_it() -> None:
    num_middles = 0
    for scene, exchange in of_skill("what at"):
        (named,) = (word for word in PLACES if exchange.answer.endswith(f" {word}."))
        row, column = divmod(PLACES.index(named), 3)
        if (row == 1) == (column == 1):
            continue  # a corner or the centre
        num_middles += 1
        beside = [item for item in scene.items if (item.row, item.column) != (row, column)]
        assert all(item.column != column if row == 1 else item.row != row for item in beside)
    assert num_middles > 20


WORDINGS = counting.WORDINGS | scenes.WORDINGS


@pytest.mark.parametrize("kind", WORDINGS)
def test_every_kind_of_question_has_several_wordings_that_are_asked(kind: str) -> None:
    together = {"count colour": "count some", "read word": "read", "read number": "read"}
    assert len(set(WORDINGS[kind] + WORDINGS.get(together.get(kind, ""), ()))) >= 4
    for wording in WORDINGS[kind]:
        parts = map(re.escape, re.split(r"\{\w+\}", wording))
        pattern = re.compile("[a-z ]+".join(parts), re.IGNORECASE)
        assert any(pattern.fullmatch(exchange.question) for _, exchange in asked()), wording


def test_scenes_hold_shapes_or_a_word_and_no_place_twice() -> None:
    for scene, _ in asked():
        places = [item.place for item in scene.items]
        assert places == sorted(set(places))
        assert bool(scene.word) != bool(scene.items)
        assert not scene.word or scene.word in WORDS or 0 <= int(scene.word) <= 999


def test_scenes_have_one_to_six_shapes_and_three_in_ten_a_word() -> None:
    nums = [len(scene.items) for scene, _ in asked()]
    shares = [nums.count(num) / len(nums) for num in range(MAX_SHAPES + 1)]
    assert set(nums) == {0, 1, 2, 3, 4, 5, 6}
    assert 0.27 < shares[0] < 0.33
    assert min(shares[1:4]) > 1.2 * max(shares[4:])
    words = [scene.word for scene, _ in asked() if scene.word]
    assert 0.2 < sum(word.isdigit() for word in words) / len(words) < 0.3


def test_what_is_printed_can_be_labelled_letter_by_letter() -> None:
    assert all(re.fullmatch(r"[a-z]{1,9}", word) for word in WORDS)


def test_a_description_read_back_gives_the_scene() -> None:
    scene = Scene((Item("star", "orange", "large", 0), Item("ring", "red", "small", 8)), "", 1)
    assert describe(scene) == (
        "2 shapes: a large orange star at the top left and a small red ring at the bottom right."
    )
    assert items_of(describe(scene)) == set(scene.items)
