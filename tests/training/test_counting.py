"""Counting: of a picture all that is found is named first, of a told scene the number alone."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable

import pytest

from core.training.counting import (
    all_seen,
    count_all,
    count_colour,
    count_shape,
    is_there,
    number_of_colour,
    seen_of_shape,
)
from core.training.exchange import (
    NOWHERE,
    Answer,
    Clause,
    Exchange,
    Look,
    in_short,
    listed,
    one_after_another,
)
from core.training.items import Item, Scene, all_places
from core.training.scenes import sample_scene
from tests.training.oracles import COLOUR, SHAPE, match

STARS = Scene(
    (
        Item("star", "red", "large", 1),
        Item("ring", "orange", "small", 3),
        Item("star", "red", "small", 4),
        Item("star", "blue", "small", 8),
    ),
    "",
    0,
)
Make = Callable[[random.Random, Scene, bool], Exchange]


def test_what_is_named_is_read_from_its_place_and_the_rest_from_all_that_is_left() -> None:
    clauses = [Clause("a", ((0, 1),)), Clause("b", ((0, 4),)), Clause("c", ((0, 8),))]
    answer, looks = listed("I see", clauses, "yes")
    assert answer == "I see a and b and c, so yes."
    parts = [answer[begin:end] for begin, end in zip((0, *ends(looks)), ends(looks), strict=False)]
    assert parts == ["I see", " a", " and", " b", " and", " c", ", so"]
    one, two, three = (0, 1), (0, 4), (0, 8)
    assert [look.at for look in looks] == [
        (one, two, three, NOWHERE),
        (one,),
        (two, three, NOWHERE),
        (two,),
        (three, NOWHERE),
        (three,),
        (NOWHERE,),
    ]


def ends(looks: tuple[Look, ...]) -> list[int]:
    return [look.end for look in looks]


def test_without_a_verdict_the_sentence_ends_behind_what_is_named() -> None:
    answer, looks = listed("in it I see", [Clause("a", ((1, 2),))])
    assert answer == "In it I see a."
    assert looks[-1] == Look(len(answer), (NOWHERE,))


def test_sentences_one_after_another_keep_what_they_are_read_from() -> None:
    first, second = listed("I see", [Clause("a", ((0, 1),))], "1"), in_short("none", (NOWHERE,))
    answer, looks = one_after_another(first, second, in_short("so yes"))
    assert answer == "I see a, so 1. None. So yes."
    assert looks[: len(first[1])] == first[1]
    rest = looks[len(first[1]) :]
    begin = len(first[0])
    assert rest == (Look(begin, ()), Look(begin + len(" None."), (NOWHERE,)))


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (
            number_of_colour(STARS, "red"),
            "I see a red star at the top and a red star in the centre, so there are 2 red shapes.",
        ),
        (
            number_of_colour(STARS, "orange"),
            "I see an orange ring on the left, so there is 1 orange shape.",
        ),
        (number_of_colour(STARS, "white"), "There are no white shapes."),
        (
            seen_of_shape(STARS, "star", "I see", "no"),
            "I see a red star at the top and a red star in the centre and a blue star at the "
            "bottom right, so no.",
        ),
        (seen_of_shape(STARS, "heart", "I see", "no"), "I see no heart, so no."),
        (seen_of_shape(STARS, "heart", "I see"), "I see no heart."),
        (
            all_seen(STARS, "I see", "there are 4"),
            "I see shapes at the top and on the left and in the centre and at the bottom right, so "
            "there are 4.",
        ),
        (all_seen(Scene((), "tea", 0), "I see", "0"), "I see no shapes, so 0."),
    ],
)
def test_all_that_is_found_is_named_in_reading_order(answer: Answer, wanted: str) -> None:
    assert answer[0] == wanted


def test_what_is_not_there_is_read_from_where_nothing_is() -> None:
    for answer, looks in (seen_of_shape(STARS, "heart", "I see"), number_of_colour(STARS, "white")):
        assert looks == (Look(len(answer), (NOWHERE,)),)
    answer, looks = all_seen(Scene((), "tea", 0), "I see", "0", 1)
    assert looks == (Look(len(answer), all_places(1)),)


def test_a_second_picture_is_read_in_the_second() -> None:
    for _, looks in (seen_of_shape(STARS, "star", "I see", "", 1), all_seen(STARS, "I see", "", 1)):
        assert {picture for look in looks for picture, _ in look.at} == {1, NOWHERE[0]}


def is_true_told_number(scene: Scene, exchange: Exchange) -> bool:
    verb, num, colour, noun, plural = match(
        rf"There (is|are) (\d|no)(?: ({COLOUR}))? (shape|{SHAPE})(s|es)?\.", exchange.answer
    )
    assert (verb == "is") == (num == "1") == (not plural)
    assert (colour or "") == "".join(re.findall(rf"\b({COLOUR})\b", exchange.question))
    assert re.search(rf"\b{noun}(s|es)\b", exchange.question)
    counted = [
        item
        for item in scene.items
        if (not colour or item.colour == colour) and noun in ("shape", item.shape)
    ]
    return len(counted) == (0 if num == "no" else int(num))


def is_true_told_presence(scene: Scene, exchange: Exchange) -> bool:
    ((colour, shape),) = re.findall(rf"(?:({COLOUR}) )?\b({SHAPE})\b", exchange.question)
    thing = f"{colour} {shape}".strip()
    article = "an" if colour == "orange" else "a"
    there = any(item.shape == shape and colour in ("", item.colour) for item in scene.items)
    yes, no = f"Yes, there is {article} {thing}.", f"No, there is no {thing}."
    return exchange.answer == (yes if there else no)


@pytest.mark.parametrize(
    ("make", "is_true"),
    [
        (count_all, is_true_told_number),
        (count_colour, is_true_told_number),
        (count_shape, is_true_told_number),
        (is_there, is_true_told_presence),
    ],
)
def test_a_scene_told_in_words_is_answered_by_what_follows_alone(
    make: Make, is_true: Callable[[Scene, Exchange], bool]
) -> None:
    rng, answers = random.Random(5), Counter[str]()
    for _ in range(300):
        scene = sample_scene(rng)
        if not scene.items:
            continue
        exchange = make(rng, scene, True)
        assert is_true(scene, exchange), (scene, exchange)
        (look,) = exchange.looks
        assert look.end == len(exchange.answer)
        *places, nowhere = look.at
        assert nowhere == NOWHERE
        items = {(0, item.place): item for item in scene.items}
        assert set(places) <= items.keys()
        if make is not is_there:
            assert len(places) == int(exchange.answer.split()[2].replace("no", "0"))
        answers[exchange.answer.split()[0 if make is is_there else 2]] += 1
    assert len(answers) >= (2 if make is is_there else 3)


def test_what_is_asked_for_is_about_as_often_there_as_not() -> None:
    rng, verdicts = random.Random(6), Counter[str]()
    for _ in range(1500):
        scene = sample_scene(rng)
        if scene.items:
            verdicts[is_there(rng, scene).answer.rsplit(" ", 1)[1]] += 1
    assert set(verdicts) == {"yes.", "no."}
    assert 0.35 < verdicts["yes."] / verdicts.total() < 0.65
