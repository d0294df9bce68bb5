"""Pictures told in words: each telling says what its scene shows, and questions stay with it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest

from core.training import described
from core.training.described import (
    FOLLOW_UPS,
    FOLLOW_UPS_OF_TWO,
    IN_SHORT_SHARE,
    SMALL_WORDS,
    described_pair,
    described_picture,
    seen_pair,
    seen_picture,
    spelled_out,
    told,
)
from core.training.exchange import Exchange, Split, is_held_out
from core.training.items import COLOURS, PLACES, SHAPES, SIZES, Item, Scene, describe
from core.training.picture_pairs import ask_about_two
from core.training.scenes import ask_about, ask_to_look_up, sample_scene

SPLITS: tuple[Split, ...] = ("train", "held_out")
SHORT = ("Picture: ", "Seen: ")
SCENE = Scene((Item("star", "red", "large", 3), Item("ring", "blue", "small", 4)), "", seed=1)


def in_short(place: str) -> str:
    return " ".join(word for word in place.split() if word not in SMALL_WORDS)


def read_in_short(telling: str) -> tuple[Item, ...]:
    """The shapes of "Picture: red large ..., ...", each of their words told once."""
    items = []
    for one in telling.split(": ", 1)[1].removesuffix(".").split(", "):
        words = one.split()
        (shape,), (colour,), (size,) = (
            [word for word in words if word in known] for known in (SHAPES, COLOURS, SIZES)
        )
        place = [word for word in words if word not in (shape, colour, size)]
        items.append(Item(shape, colour, size, [*map(in_short, PLACES)].index(" ".join(place))))
    return tuple(items)


def scenes(num: int) -> list[Scene]:
    rng = random.Random(1)
    return [sample_scene(rng) for _ in range(num)]


def test_a_telling_says_all_that_is_shown() -> None:
    rng = random.Random(0)
    for scene in scenes(400):
        telling, shapes = told(rng, scene, picture=1)
        assert [each.place for each in shapes] == [(1, item.place) for item in scene.items]
        for each, item in zip(shapes, scene.items, strict=True):
            words = set(telling[each.start : each.end].split())
            place = set(PLACES[item.place].split()) - set(SMALL_WORDS)
            assert words - set(SMALL_WORDS) == {item.size, item.colour, item.shape, *place}
        if telling.startswith("Picture: "):
            assert read_in_short(telling) == scene.items
        else:
            assert telling == describe(scene)


def test_most_shapes_are_told_in_short_and_words_never() -> None:
    rng = random.Random(0)
    are_short = Counter(
        (bool(scene.word), told(rng, scene)[0].startswith("Picture: ")) for scene in scenes(2000)
    )
    assert are_short[True, True] == 0
    shapes = are_short[False, True] + are_short[False, False]
    assert abs(are_short[False, True] / shapes - IN_SHORT_SHARE) < 0.05


def test_the_words_of_a_shape_come_in_every_order() -> None:
    rng = random.Random(0)
    scene = Scene(SCENE.items[:1], "", seed=1)
    tellings = {told(rng, scene)[0] for _ in range(1000)}
    assert "Picture: red left star large." in tellings
    assert len(tellings) == 24 + 1


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    "make", [described_picture, described_pair, seen_picture, seen_pair, spelled_out]
)
def test_the_first_question_is_of_the_split(
    make: Callable[[random.Random, Split], tuple[Exchange, ...]], split: Split
) -> None:
    rng = random.Random(2)
    for _ in range(200):
        first, *_ = make(rng, split)
        assert is_held_out(first.spoken) == (split == "held_out")


@pytest.mark.parametrize(
    ("make", "asked", "nums", "is_seen"),
    [
        (described_picture, ("ask_about",), FOLLOW_UPS, False),
        (described_pair, ("ask_about_two",), FOLLOW_UPS_OF_TWO, False),
        (seen_picture, ("ask_about", "ask_to_look_up"), FOLLOW_UPS, True),
        (seen_pair, ("ask_about_two",), FOLLOW_UPS_OF_TWO, True),
    ],
)
def test_all_questions_are_about_what_was_told(
    make: Callable[[random.Random, Split], tuple[Exchange, ...]],
    asked: tuple[str, ...],
    nums: tuple[int, ...],
    is_seen: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when nothing of a scene is of the split: then another one is told."""
    about: list[tuple[Scene, ...]] = []

    def ask(_: random.Random, *one: Scene, is_told: bool = False, **named: Scene) -> Exchange:
        assert is_told != is_seen
        about.append((*one, *named.values()))
        return Exchange("", f"Question {len(about)}?", f"Question {len(about)}?", "")

    for name in asked:
        monkeypatch.setattr(described, name, ask)
    rng, lengths = random.Random(3), Counter[int]()
    for _ in range(300):
        first, *others = make(rng, "held_out")
        shown = about[-1 - len(others)]
        assert set(about[-1 - len(others) :]) == {shown}
        assert not any("shape" in other.question for other in others)
        assert first.question.startswith("Seen: ") or not is_seen
        check_told(first.question, shown)
        lengths[len(others)] += 1
    assert set(lengths) == set(nums)


def check_told(question: str, shown: tuple[Scene, ...]) -> None:
    """The question has the scenes before it, one after the other."""
    rest = question
    for scene in shown:
        if rest.startswith(SHORT):
            telling, rest = rest.split(". ", 1)
            assert read_in_short(f"{telling}.") == scene.items
        else:
            assert rest.startswith(f"{describe(scene)} ")
            rest = rest.removeprefix(f"{describe(scene)} ")
    assert rest.startswith("Question ")


def scenes_in(telling: str, opening: str) -> tuple[list[Scene], str]:
    """The scenes that are told in short at the beginning, and the question behind them."""
    *told_of, question = telling.split(". ")
    assert all(each.startswith(opening) for each in told_of)
    return [Scene(read_in_short(f"{each}."), "", seed=0) for each in told_of], question


@pytest.mark.parametrize("make", [seen_picture, seen_pair])
def test_what_is_seen_is_answered_as_a_picture_is(
    make: Callable[[random.Random, Split], tuple[Exchange, ...]],
) -> None:
    """A picture's questions are drawn until one is the same: then so are its answer and looks."""
    rng, skills = random.Random(7), set[str]()
    for _ in range(60):
        first, *_ = make(rng, "train")
        shown, question = scenes_in(first.question, "Seen: ")
        while True:
            if len(shown) == 2:
                asked = ask_about_two(rng, shown[0], shown[1])
            else:
                asked = rng.choice((ask_about, ask_to_look_up))(rng, shown[0])
            if asked.question == question:
                break
        assert (first.answer, first.looks) == (asked.answer, asked.looks)
        skills.add(first.skill)
    assert skills >= (
        {"count", "is there", "compare"} if make is seen_picture else {"two pictures"}
    )


def test_letters_spell_the_word() -> None:
    rng, cases = random.Random(4), set[str]()
    for _ in range(100):
        (exchange,) = spelled_out(rng, "train")
        letters = exchange.question.removeprefix("The picture shows ").split(".")[0]
        word = letters.replace(" ", "")
        assert set(map(len, letters.split())) == {1}
        cases.add("upper" if word.isupper() else "digits" if word.isdigit() else "lower")
        assert f" {word.lower()}." in exchange.answer
    assert cases == {"upper", "lower", "digits"}


def test_what_is_asked_of_one_shape_is_looked_up_where_it_is_told_of() -> None:
    rng, num_looked_up = random.Random(5), 0
    for _ in range(400):
        first, *others = described_picture(rng, "train")
        known = {each.place: first.question[each.start : each.end] for each in first.told}
        assert all(not other.told for other in others)
        for exchange in (first, *others):
            if exchange.skill in ("colour", "size", "place"):
                ((place,),) = (look.at for look in exchange.looks)
                shape, value = exchange.answer.removeprefix("The ").rstrip(".").split(" is ")
                assert shape in known[place]
                assert in_short(value) in in_short(known[place])
                num_looked_up += 1
    assert num_looked_up > 100


def test_two_scenes_are_looked_at_where_each_is_told_of() -> None:
    rng, looked_at = random.Random(6), Counter[int]()
    for _ in range(200):
        first, *others = described_pair(rng, "train")
        known = {each.place: first.question[each.start : each.end] for each in first.told}
        assert all(not other.told for other in others)
        for shape in known.values():
            assert sum(word in SHAPES for word in shape.split()) == 1
        for exchange in (first, *others):
            for look in exchange.looks:
                looked_at.update(place[0] for place in look.at if place in known)
    assert min(looked_at[0], looked_at[1]) > 100
