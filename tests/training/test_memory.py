"""Short memory: what is asked last follows from what was told or asked before.

Each reply is worked out again by a reader that knows nothing but the words of the chain.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

import pytest

from core.training import facts, memory
from core.training.exchange import Split, capitalised, is_held_out, words_of
from core.training.memory import NAME_ASKED, TOLD, Chain, follow_ups, is_told, sample_chain, told
from tests.training import named_in, numbers_in
from tests.training.test_knowledge import (
    DAYS,
    MONTHS,
    true_calendar,
    true_capital,
    true_legs,
    true_opposite,
    true_shapes,
    true_sound,
    true_thing,
)
from tests.training.test_numbers import SIGNS, true_arithmetic

# How a reader knows what was told, and what it makes of it.
READ = (
    (r"(?:my name is|call me|^(?:hello,? )?i(?:'m| am)) ([a-z]+)$", "Your name is {}."),
    (
        r"(?:colour is|like|the colour) ([a-z]+)(?: best of all colours)?$",
        "Your favourite colour is {}.",
    ),
    (r"(?:i am|i'm|my age is) (\d+)", "You are {} years old."),
    (r"(?:i live in|home is in|house is in) ([a-z ]+)$", "You live in {}."),
    (r"(?:i come from|i am from) ([a-z]+)$", "You come from {}."),
    (r"(?:i have a|pet is a) ([a-z]+)$", "You have a {}."),
)


@cache
def chains(maker: Callable[[random.Random], Chain]) -> tuple[Chain, ...]:
    """Many chains of one maker, of no particular split."""
    rng = random.Random(f"test-{maker.__name__}")
    return tuple(maker(rng) for _ in range(2000))


def reply_to_what_was_told(statement: str) -> str:
    said = words_of(statement)
    for pattern, reply in READ:
        if found := re.search(pattern, said):
            value = found[1]
            is_proper = any(word in reply for word in ("name", "live", "come"))
            proper = value.title() if is_proper else value
            return reply.format(proper)
    raise AssertionError(statement)


def test_what_was_told_is_what_is_said_back() -> None:
    for statement, question in chains(told):
        assert question.answer == reply_to_what_was_told(statement.question)


def test_what_is_told_is_heard() -> None:
    for statement, question in chains(told):
        (value,) = re.findall(
            r"(?:New )?\S+(?: City)?(?=[.]$)", question.answer.replace(" years old", "")
        )
        assert value.lower() in statement.answer.lower()
        assert value.lower() in statement.question.lower()
        assert value.lower() not in question.question.lower()


def test_every_way_to_tell_and_to_ask_is_used() -> None:
    replies = {re.sub(r"\d+|(?:New )?\S+(?: City)?[.]$", "", q.answer) for _, q in chains(told)}
    assert len(replies) == len(READ)
    asked = {question.question for _, question in chains(told)}
    assert {capitalised(question) for question in NAME_ASKED} <= asked
    assert len({words_of(first.question) for first, _ in chains(told)}) > 300


def true_follow_up(first: str, question: str, before: str) -> str:
    """The reply to a question that says only what changes.

    Args:
        first: the whole question that the chain began with.
        question: what is asked now.
        before: the reply before it.
    """
    asked = words_of(first)
    if sign := re.search(r"\b(plus|minus)\b", words_of(question)):
        total = numbers_in(before)[-1]
        (number,) = numbers_in(question)
        return f"{total} {sign[1]} {number} is {SIGNS[sign[1]](total, number)}."
    if "legs" in asked:
        return true_legs(question)
    if "sides" in asked or "corners" in asked:
        return true_shapes(f"{named_in(first, ['sides', 'corners'])} {question}")
    if "capital" in asked:
        return true_capital(question)
    if "opposite" in asked:
        return true_opposite(question)
    if "colour" in asked:
        return true_thing(question)
    if "sound" in asked or "say" in asked:
        return true_sound(question)
    word = named_in(first, ["after", "before"])
    return true_calendar(f"{word} {named_in(question, [*DAYS, *MONTHS])}")


def true_first(question: str) -> str:
    """The reply to the question that a chain begins with."""
    if re.search(r"\b(plus|minus)\b", question):
        return true_arithmetic(question)
    return true_follow_up(question, question, "")


def test_follow_ups_mean_what_was_asked_before() -> None:
    for first, *others in chains(follow_ups):
        assert first.answer == true_first(first.question), first
        before = first.answer
        for exchange in others:
            expected = true_follow_up(first.question, exchange.question, before)
            assert exchange.answer == expected, (first, exchange)
            before = exchange.answer


def test_follow_ups_say_only_what_changes() -> None:
    for chain in chains(follow_ups):
        assert len(chain) > 1
        for exchange in chain[1:]:
            assert re.match(r"(And|What about|Plus|Minus)\b", exchange.question), exchange


def test_running_totals_stay_between_nought_and_a_hundred() -> None:
    totals = [
        numbers_in(exchange.answer)[-1]
        for chain in chains(follow_ups)
        for exchange in chain
        if re.search(r"\b(plus|minus)\b", exchange.answer)
    ]
    assert len(totals) > 300
    assert all(0 <= total <= 100 for total in totals)


def test_every_kind_of_question_is_followed_up() -> None:
    firsts = [chain[0].question for chain in chains(follow_ups)]
    kinds = ("capital", "opposite", "sides", "corners", "legs", "sound", "colour", "comes", "plus")
    assert len(memory._FOLLOW_UPS) == 8
    for kind in kinds:
        assert sum(kind in first for first in firsts) > 30, kind
    assert {len(chain) for chain in chains(follow_ups)} == {2, 3}


def test_only_what_was_told_may_wait_for_another_turn() -> None:
    assert all(is_told(chain) for chain in chains(told))
    assert not any(is_told(chain) for chain in chains(follow_ups))
    assert {chain[-1].skill for chain in chains(told)} == {TOLD}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_makes_the_same_chains(split: Split) -> None:
    first, again = ([sample_chain(random.Random(3), split)] for _ in range(2))
    assert first == again


def whole(chain: Chain) -> str:
    return words_of(" ".join(exchange.question for exchange in chain))


def test_no_chain_is_in_both_splits() -> None:
    rng = random.Random("test-chains")
    trained = {whole(sample_chain(rng, "train")) for _ in range(3000)}
    held_out = {whole(sample_chain(rng, "held_out")) for _ in range(3000)}
    assert len(held_out) > 100
    assert not trained & held_out


def test_no_trained_chain_begins_with_a_question_that_is_held_out() -> None:
    rng = random.Random("test-chains")
    firsts = [sample_chain(rng, "train")[0] for _ in range(3000)]
    asked = [first for first in firsts if first.question.endswith("?")]
    assert not [first.question for first in asked if is_held_out(first.spoken)]


def test_every_name_city_and_animal_can_be_told() -> None:
    answers = " ".join(question.answer for _, question in chains(told))
    assert all(f" {name}." in answers for name in facts.NAMES)
    cities = [city for city in facts.CAPITALS.values() if f" {city}." in answers]
    assert len(cities) > 0.9 * len(facts.CAPITALS)
