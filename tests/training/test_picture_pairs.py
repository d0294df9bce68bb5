"""Questions about two pictures: each answer read back and held against both scenes."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from core.training import pair_comparisons, picture_pairs
from core.training.items import COLOURS, SHAPES, Item, Scene, contents
from core.training.picture_pairs import ask_about_two
from core.training.scenes import sample_scene
from core.training.world import Exchange
from tests.training.oracles import tells_all, tells_places

WORDINGS = picture_pairs.WORDINGS | pair_comparisons.WORDINGS
COLOUR, SHAPE, WHICH = "|".join(COLOURS), "|".join(SHAPES), "first|second"
Pair = tuple[Scene, Scene]
Groups = tuple[str, ...]


@cache
def asked() -> tuple[tuple[Pair, Exchange], ...]:
    """Many pairs of scenes, each with a question."""
    rng = random.Random("test-picture-pairs")
    pairs = [(sample_scene(rng), sample_scene(rng)) for _ in range(9000)]
    return tuple((pair, ask_about_two(rng, *pair)) for pair in pairs)


def named(pair: Pair, which: str) -> Scene:
    return pair[("first", "second").index(which)]


def number(text: str) -> int:
    return 0 if text == "no" else int(text)


def shows(scene: Scene, thing: str) -> bool:
    """True if the scene shows "a red star", "a star", "a word", "the word river", ..."""
    if found := re.fullmatch(r"the word (\w+)", thing):
        return scene.word == found[1]
    if found := re.fullmatch(r"a (word|number)", thing):
        return bool(scene.word) and scene.word.isdigit() == (found[1] == "number")
    found = re.fullmatch(rf"an? (?:({COLOUR}) )?({SHAPE})", thing)
    assert found, thing
    return any(item.shape == found[2] and found[1] in (None, item.colour) for item in scene.items)


def colour_in(scene: Scene, shape: str) -> str:
    (item,) = [item for item in scene.items if item.shape == shape]
    return item.colour


def nums(pair: Pair) -> tuple[int, int]:
    return len(pair[0].items), len(pair[1].items)


def tells_counts(pair: Pair, groups: Groups) -> bool:
    """ "In the first picture I see shapes at the top and ..., so 2. In the second ...": its first
    groups.
    """
    first, first_num, second, second_num = groups[:4]
    assert nums(pair) == (int(first_num), int(second_num))
    return all(tells_places(scene, said) for scene, said in zip(pair, (first, second), strict=True))


def has_more(pair: Pair, groups: Groups) -> bool:
    which = groups[4]
    other = "second" if which == "first" else "first"
    return tells_counts(pair, groups) and (
        len(named(pair, which).items) > len(named(pair, other).items)
    )


def differs_by(pair: Pair, groups: Groups) -> bool:
    which, num, plural, other = groups[4:]
    assert which != other
    assert bool(plural) == (num != "1")
    return tells_counts(pair, groups) and (
        len(named(pair, which).items) - len(named(pair, other).items) == int(num)
    )


def both_have(pair: Pair, groups: Groups) -> bool:
    return tells_counts(pair, groups) and nums(pair) == (number(groups[4]),) * 2


def are_together(pair: Pair, groups: Groups) -> bool:
    verb, num = groups[4:]
    assert (verb == "is") == (num == "1")
    return tells_counts(pair, groups) and sum(nums(pair)) == number(num)


def tells_shown(pair: Pair, groups: Groups) -> bool:
    """Which picture shows a word or a number."""
    first, thing, second, more = groups
    told = first == "shows", second == "does"
    assert (more or "") == {(True, True): " too", (False, False): " either"}.get(told, "")
    return tuple(shows(scene, thing) for scene in pair) == told


def tells_seen(pair: Pair, groups: Groups) -> bool:
    """All of a shape in either picture, and what follows for what is asked about: the last group
    is the question.
    """
    *seen, verdict, question = groups
    (thing,) = re.findall(rf"\b{THING}", question)
    shape = thing.split()[-1]
    for scene, said in zip(pair, seen, strict=True):
        same = [item for item in scene.items if item.shape == shape]
        assert tells_all(said, same) if same else said == f"no {shape}"
    first, second = (shows(scene, thing) for scene in pair)
    if verdict in ("yes", "no"):
        return "both" in question and (verdict == "yes") == (first and second)
    if first == second:
        return verdict == (
            f"both pictures show {thing}" if first else f"neither picture shows {thing}"
        )
    return verdict == f"the {'first' if first else 'second'} picture shows {thing}"


def tells_colours(pair: Pair, groups: Groups) -> bool:
    shape, one, other, verdict = groups
    seen = [colour_in(scene, shape) for scene in pair]
    return seen == [one, other] and (verdict == "yes") == (one == other)


def is_described(pair: Pair, groups: Groups) -> bool:
    return contents(named(pair, groups[0])) == groups[1]


def is_counted(pair: Pair, groups: Groups) -> bool:
    which, said, num, plural = groups
    assert bool(plural) == (num != "1")
    scene = named(pair, which)
    return tells_places(scene, said) and len(scene.items) == int(num)


def has_colour(pair: Pair, groups: Groups) -> bool:
    return colour_in(named(pair, groups[1]), groups[0]) == groups[2]


def says(pair: Pair, groups: Groups) -> bool:
    scene = named(pair, groups[1])
    return scene.word == groups[2] and scene.word.isdigit() == (groups[0] == "number")


THING = rf"(an? (?:(?:{COLOUR}) )?(?:{SHAPE})|a word|a number|the word \w+)"
COUNTS = r"In the first picture I see ([^.]*), so (\d)\. In the second I see ([^.]*), so (\d)\. So"
SEEN = (
    r"In the first picture I see ([^.]*)\. In the second I see ([^.]*)\. "
    r"So (yes|no|(?:both pictures|the \w+ picture|neither picture) shows? .*)\."
)
# What answers look like, and how each is held against the pictures; the first that fits.
ORACLES: dict[str, Callable[[Pair, Groups], bool]] = {
    rf"{COUNTS} the ({WHICH}) picture has more shapes\.": has_more,
    rf"{COUNTS} the ({WHICH}) picture has (\d) more shape(s?) than the ({WHICH})\.": differs_by,
    rf"{COUNTS} both pictures have (\d|no) shapes?\.": both_have,
    rf"{COUNTS} there (is|are) (\d+) shapes? in both pictures together\.": are_together,
    rf"The ({WHICH}) picture shows ((?:\d+ shapes?: .*)|the (?:word|number) \w+)\.": is_described,
    rf"The first picture (shows|does not show) {THING} and the second (does(?: not)?)"
    r"( too| either)?\.": tells_shown,
    SEEN: tells_seen,
    rf"The ({SHAPE}) is ({COLOUR}) in the first picture and ({COLOUR}) in the second, "
    r"so (yes|no)\.": tells_colours,
    rf"In the ({WHICH}) picture I see ([^.]*), so it has (\d) shape(s?)\.": is_counted,
    rf"The ({SHAPE}) in the ({WHICH}) picture is ({COLOUR})\.": has_colour,
    rf"The (word|number) in the ({WHICH}) picture is (\w+)\.": says,
}


def oracle_of(answer: str) -> str:
    return next(pattern for pattern in ORACLES if re.fullmatch(pattern, answer))


@pytest.mark.parametrize("pattern", ORACLES)
def test_every_answer_is_true_of_its_pictures(pattern: str) -> None:
    num_answers = 0
    for pair, exchange in asked():
        if oracle_of(exchange.answer) == pattern:
            found = re.fullmatch(pattern, exchange.answer)
            assert found
            groups = (*found.groups(), *([exchange.question] if pattern == SEEN else []))
            assert ORACLES[pattern](pair, groups), (pair, exchange)
            num_answers += 1
    assert num_answers >= 10


def test_the_answer_is_about_what_is_asked() -> None:
    # A thing, a shape or a colour of a short answer is one that the question names or asks for.
    for _, exchange in asked():
        assert exchange.skill == "two pictures"
        if found := re.search(rf"shows? {THING} and the second ", exchange.answer):
            assert f" {found[1]}" in exchange.question
        elif found := re.search(rf"\bthe ({SHAPE}) ", exchange.answer, re.IGNORECASE):
            assert f"the {found[1]} " in exchange.question
        which = re.findall(rf"\b({WHICH})\b", exchange.question)
        if len(which) == 1:
            assert f"the {which[0]} picture" in exchange.answer.lower()


@pytest.mark.parametrize("kind", WORDINGS)
def test_every_kind_of_question_has_four_wordings_that_are_asked(kind: str) -> None:
    assert len(set(WORDINGS[kind])) >= 4
    for wording in WORDINGS[kind]:
        parts = map(re.escape, re.split(r"\{\w+\}", wording))
        pattern = re.compile("[a-z ]+".join(parts), re.IGNORECASE)
        assert any(pattern.fullmatch(exchange.question) for _, exchange in asked()), wording


def test_questions_about_two_pictures_are_sentences_that_can_be_spoken() -> None:
    for _, exchange in asked():
        assert exchange.spoken == exchange.question
        assert re.fullmatch(r"[A-Z][a-z ,]+[?.]", exchange.question), exchange.question


def test_two_pictures_of_numbers_alone_can_be_asked_about() -> None:
    pair = Scene((), "42", 1), Scene((), "7", 2)
    answers = {ask_about_two(random.Random(seed), *pair).answer for seed in range(200)}
    assert "The first picture shows a number and the second does too." in answers
    assert "The number in the second picture is 7." in answers


def test_a_shape_of_two_colours_is_told_in_the_order_of_the_pictures() -> None:
    first = Scene((Item("star", "red", "large", 4),), "", 1)
    second = Scene((Item("star", "blue", "large", 4),), "", 2)
    answers = {ask_about_two(random.Random(seed), first, second).answer for seed in range(300)}
    seen = "The star is red in the first picture and blue in the second, so no."
    first_says = "In the first picture I see a shape in the centre, so 1."
    second_says = "In the second I see a shape in the centre, so 1."
    counted = f"{first_says} {second_says} So both pictures have 1 shape."
    assert {seen, counted} <= answers


def test_scenes_told_in_words_are_answered_by_the_verdict_alone() -> None:
    first = Scene((Item("star", "red", "large", 4),), "", 1)
    second = Scene((Item("star", "blue", "large", 4),), "", 2)
    rng = random.Random(0)
    answers = {ask_about_two(rng, first, second, is_told=True).answer for _ in range(600)}
    told = {
        "Both pictures have 1 shape.",
        "There are 2 shapes in both pictures together.",
        "Both pictures show a star.",
        "The first picture shows a red star.",
        "Yes, both pictures show a star.",
        "No, only the second picture shows a blue star.",
        "No, the star is red in the first picture and blue in the second.",
    }
    assert told <= answers
    assert not any(", so " in answer for answer in answers)
