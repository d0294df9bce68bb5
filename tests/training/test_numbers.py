"""Questions about numbers: every answer worked out again from the question's own words."""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable

import pytest

from core.training import facts, numbers
from core.training.exchange import Exchange
from tests.training import many, named_in, numbers_in

SIGNS = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}


def true_arithmetic(question: str) -> str:
    """The reply to a sum, a difference or a product."""
    sign = named_in(question, list(SIGNS))
    left, right = numbers_in(question)
    return f"{left} {sign} {right} is {SIGNS[sign](left, right)}."


def true_comparing(question: str) -> str:
    """The reply to which of two numbers is larger or smaller."""
    word = named_in(question, ["larger", "smaller"])
    first, second = sorted(numbers_in(question), reverse=word == "larger")
    return f"{first} is {word} than {second}."


def true_counting(question: str) -> str:
    """The row of numbers asked for, up or down."""
    found = numbers_in(question)
    first, last = found if len(found) == 2 else (1, found[0])
    assert ("down" not in question) or first > last
    step = 1 if first < last else -1
    return ", ".join(str(n) for n in range(first, last + step, step)) + "."


def true_neighbour(question: str) -> str:
    """The reply to what comes before or after a number."""
    word = named_in(question, ["after", "before"])
    (number,) = numbers_in(question)
    return f"{number + (1 if word == 'after' else -1)} comes {word} {number}."


ORACLES: dict[Callable[[random.Random], Exchange], Callable[[str], str]] = {
    numbers.arithmetic: true_arithmetic,
    numbers.comparing: true_comparing,
    numbers.counting: true_counting,
    numbers.neighbour: true_neighbour,
}


@pytest.mark.parametrize("maker", ORACLES, ids=lambda maker: maker.__name__)
def test_every_answer_is_true_of_what_is_typed_and_of_what_is_said(
    maker: Callable[[random.Random], Exchange],
) -> None:
    for exchange in many(maker, 3000):
        assert exchange.answer == ORACLES[maker](exchange.question), exchange
        assert exchange.answer == ORACLES[maker](exchange.spoken), exchange


def operands(sign: str) -> list[tuple[int, int]]:
    """Both numbers of every question with this sign."""
    asked = [e.spoken for e in many(numbers.arithmetic, 3000) if sign in e.spoken.split()]
    pairs = [numbers_in(question) for question in asked]
    return [(left, right) for left, right in pairs]


@pytest.mark.parametrize("sign", ["plus", "minus"])
def test_sums_and_differences_go_from_nought_to_a_hundred(sign: str) -> None:
    results = [SIGNS[sign](left, right) for left, right in operands(sign)]
    assert min(results) == 0
    assert all(0 <= value <= 100 for pair in operands(sign) for value in pair)
    assert all(0 <= result <= 100 for result in results)
    assert max(left for left, _ in operands(sign)) > 90
    assert max(results) > 80


def test_products_go_to_ten_times_ten() -> None:
    pairs = set(operands("times"))
    assert all(0 <= value <= 10 for pair in pairs for value in pair)
    assert len(pairs) > 0.95 * 11 * 11


def test_no_sign_is_rare() -> None:
    num = {sign: len(operands(sign)) for sign in SIGNS}
    assert sum(num.values()) == 3000
    assert min(num.values()) > 600


def test_small_sums_are_not_drowned_by_large_ones() -> None:
    totals = [left + right for left, right in operands("plus")]
    assert 0.35 < sum(total <= 20 for total in totals) / len(totals) < 0.65


def test_counts_go_up_and_down_and_stay_short() -> None:
    rows = [
        [int(number) for number in re.findall(r"\d+", e.answer)]
        for e in many(numbers.counting, 3000)
    ]
    assert all(2 <= len(row) <= numbers.LONGEST_COUNT for row in rows)
    assert all(0 <= number <= 60 for row in rows for number in row)
    share_down = sum(row[0] > row[-1] for row in rows) / len(rows)
    assert 0.1 < share_down < 0.3


def test_numbers_are_typed_as_digits_more_often_than_as_words() -> None:
    asked = [e for maker in ORACLES for e in many(maker, 3000)]
    share = sum(bool(re.search(r"\d", e.question)) for e in asked) / len(asked)
    assert 0.6 < share < 0.8
    assert not any(re.search(r"\d", e.spoken) for e in asked)


def test_two_numbers_to_compare_are_never_the_same() -> None:
    for exchange in many(numbers.comparing, 3000):
        left, right = numbers_in(exchange.question)
        assert left != right


@pytest.mark.parametrize("number", range(101))
def test_a_number_in_words_is_the_number(number: int) -> None:
    words = facts.number_in_words(number)
    assert numbers_in(words) == [number]
    assert not re.search(r"\d", words)
