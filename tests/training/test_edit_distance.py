"""Fewest edits: against every way to edit, and against what people count."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.edit_distance import edit_distance

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


@cache
def by_trying_everything(expected: tuple[str, ...], found: tuple[str, ...]) -> int:
    """The definition: the best of a deletion, an insertion and a substitution."""
    if not expected or not found:
        return len(expected) + len(found)
    return min(
        by_trying_everything(expected[1:], found) + 1,
        by_trying_everything(expected, found[1:]) + 1,
        by_trying_everything(expected[1:], found[1:]) + (expected[0] != found[0]),
    )


@given(WORDS, WORDS)
def test_no_way_to_edit_is_shorter(expected: list[str], found: list[str]) -> None:
    wanted = by_trying_everything(tuple(expected), tuple(found))
    assert edit_distance(expected, found) == wanted == edit_distance(found, expected)


@pytest.mark.parametrize(
    ("expected", "found", "num"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("kitten", "sitting", 3),
        ("the cat sat", "the cat sat", 0),
        ("the cat sat", "the sat", 4),
    ],
)
def test_letters_are_counted(expected: str, found: str, num: int) -> None:
    assert edit_distance(expected, found) == num


def test_words_and_numbers_are_compared_whole() -> None:
    assert edit_distance("the cat sat".split(), "the sat".split()) == 1
    assert edit_distance([1, 20, 3], [1, 2, 0, 3]) == 2
