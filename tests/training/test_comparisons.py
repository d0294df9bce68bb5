"""Comparisons: of a picture what is seen comes first, of a told scene the verdict alone."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache

import pytest

from core.training import comparisons, pair_comparisons
from core.training.comparisons import WORDINGS, compare_places, compare_sizes
from core.training.exchange import Clause, Exchange, Look, concluded, words_of
from core.training.items import Scene
from core.training.scenes import ask_about, sample_scene
from tests.training.oracles import (
    COLOUR,
    SHAPE,
    WHERE,
    is_true_comparison,
    is_where,
    match,
    the_one,
)

Asked = tuple[Scene, Exchange]


@cache
def compared(is_told: bool = False) -> tuple[Asked, ...]:
    """Comparisons of many scenes, as they are asked."""
    rng = random.Random("comparisons")
    scenes = [sample_scene(rng) for _ in range(6000)]
    asked = [(scene, ask_about(rng, scene, is_told)) for scene in scenes]
    return tuple((scene, each) for scene, each in asked if each.skill == comparisons.SKILL)


def test_what_is_seen_and_what_follows_are_true() -> None:
    assert len(compared()) > 400
    for scene, exchange in compared():
        assert is_true_comparison(scene, exchange), (scene, exchange)


def test_a_scene_told_in_words_is_answered_by_the_verdict_alone() -> None:
    kinds = Counter[str]()
    for scene, exchange in compared(is_told=True):
        if " shapes " in exchange.question:
            kinds["numbers"] += 1
            assert is_true_told_number(scene, exchange), (scene, exchange)
        elif re.search("larger|smaller", exchange.question):
            kinds["sizes"] += 1
            assert is_true_told_size(scene, exchange), (scene, exchange)
        else:
            kinds["places"] += 1
            assert is_true_told_place(scene, exchange), (scene, exchange)
    assert min(kinds.values()) > 50
    assert set(kinds) == set(WORDINGS)


def is_true_told_size(scene: Scene, exchange: Exchange) -> bool:
    which, more = match(rf"The ({SHAPE}) is (larger|smaller)\.", exchange.answer)
    (other,) = set(re.findall(rf"the ({SHAPE})", exchange.question)) - {which}
    sizes = the_one(scene, exchange, which).size, the_one(scene, exchange, other).size
    return sizes == (("large", "small") if more == "larger" else ("small", "large"))


def is_true_told_number(scene: Scene, exchange: Exchange) -> bool:
    yes, relation, one, other = match(
        rf"(Yes|No), there are (more|fewer|as many) ({COLOUR}) shapes (?:than|as) ({COLOUR}) "
        r"shapes\.",
        exchange.answer,
    )
    assert re.findall(rf"\b({COLOUR})\b", exchange.question) == [one, other]
    assert (yes == "Yes") == (relation == "more")
    colours = [item.colour for item in scene.items]
    more = colours.count(one) - colours.count(other)
    return relation == ("more" if more > 0 else "fewer" if more < 0 else "as many")


def is_true_told_place(scene: Scene, exchange: Exchange) -> bool:
    yes, one, truth, other = match(
        rf"(Yes|No), the ({SHAPE}) is {WHERE} the ({SHAPE})\.", exchange.answer
    )
    ((asked_one, asked, asked_other),) = re.findall(
        rf"the ({SHAPE})(?: is)? {WHERE} the ({SHAPE})", exchange.question
    )
    assert (asked_one, asked_other) == (one, other)
    assert (yes == "Yes") == (asked == truth)
    items = the_one(scene, exchange, one), the_one(scene, exchange, other)
    return is_where(items[0], truth, items[1])


@pytest.mark.parametrize("compare", [compare_sizes, compare_places])
def test_each_clause_is_read_from_its_own_place_and_no_verdict_from_a_place(
    compare: comparisons.Compare,
) -> None:
    rng, num_compared = random.Random(8), 0
    while num_compared < 60:
        scene = sample_scene(rng)
        exchange = compare(rng, scene) if scene.items else None
        if exchange is None:
            continue
        by_place = {item.place: item for item in scene.items}
        begin = 0
        one, other, *rest = exchange.looks
        for look in (one, other):
            clause, begin = exchange.answer[begin : look.end], look.end
            ((picture, place),) = look.at
            assert picture == 0
            assert f"the {by_place[place].shape} is " in clause.lower()
        assert exchange.answer[begin:].startswith(", so ")
        assert not any(look.at for look in rest)
        asked, said = words_of(exchange.question).split(), words_of(exchange.answer).split()
        assert (len(rest) > 0) == (compare is compare_places)
        for verdict in rest[1:]:
            assert verdict.end == len(exchange.answer)
            assert set(verdict.words) & set(asked)
            assert set(verdict.words) <= {*asked, *said}
        num_compared += 1


def test_whether_it_is_so_is_read_from_what_was_asked_and_what_was_said() -> None:
    rng = random.Random(9)
    verdicts: set[tuple[bool, int]] = set()
    while len(verdicts) < 4:
        scene = sample_scene(rng)
        exchange = compare_places(rng, scene) if scene.items else None
        if exchange is not None:
            relation, verdict = exchange.looks[-2:]
            said, is_so = exchange.answer[: relation.end], exchange.answer.endswith(": yes.")
            assert exchange.answer[relation.end :] in (": yes.", ": no.")
            assert len(verdict.words) == (1 if is_so else 2)
            assert sum(word in words_of(said).split() for word in verdict.words) >= 1
            verdicts.add((is_so, len(verdict.words[0])))


def test_what_follows_stands_behind_what_is_seen() -> None:
    one, other = Clause("a is red", ((0, 1),)), Clause("b is blue", ((0, 2),))
    said = "A is red and b is blue"
    looks = (Look(8, ((0, 1),)), Look(22, ((0, 2),)))
    assert concluded(one, other, "no") == (f"{said}, so no.", looks)
    assert concluded(one, other) == (f"{said}.", looks)


@pytest.mark.parametrize(
    ("kind", "wordings"), [*WORDINGS.items(), *pair_comparisons.WORDINGS.items()]
)
def test_every_comparison_has_four_wordings(kind: str, wordings: tuple[str, ...]) -> None:
    assert len(set(wordings)) >= 4, kind


def test_every_wording_of_a_comparison_is_asked() -> None:
    questions = [exchange.question for _, exchange in compared()]
    for wording in (each for wordings in WORDINGS.values() for each in wordings):
        parts = map(re.escape, re.split(r"\{\w+\}", wording))
        pattern = re.compile("[a-z ]+".join(parts), re.IGNORECASE)
        assert any(map(pattern.fullmatch, questions)), wording
