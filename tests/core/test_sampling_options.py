"""The knobs of sampling and their limits."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import pytest

from core.errors import BadInputError, BadOptionError
from core.sampling_options import SamplingOptions


def test_the_defaults_are_greedy_and_filter_nothing() -> None:
    assert astuple(SamplingOptions()) == (512, 0.0, 1.0, 0, 0.0, None, (), "")


@pytest.mark.parametrize(
    "values",
    [
        {"max_new_tokens": 1},
        {"temperature": 0.0},
        {"temperature": 2.0},
        {"top_p": 1e-9},
        {"top_p": 1.0},
        {"top_k": 0},
        {"top_k": 10**9},
        {"min_p": 0.0},
        {"min_p": 0.999},
        {"seed": -1},
        {"seed": 2**70},
        {"stop": ("a", "\n")},
    ],
)
def test_values_at_the_edge_of_their_range_are_taken(values: dict[str, Any]) -> None:
    options = SamplingOptions(**values)
    assert {name: getattr(options, name) for name in values} == values


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_new_tokens": 0}, "the longest reply must be at least 1 token"),
        ({"max_new_tokens": -5}, "the longest reply must be at least 1 token"),
        ({"temperature": -0.1}, "temperature must lie between 0 and 2"),
        ({"temperature": 2.1}, "temperature must lie between 0 and 2"),
        ({"temperature": math.nan}, "temperature must lie between 0 and 2"),
        ({"temperature": math.inf}, "temperature must lie between 0 and 2"),
        ({"top_p": 0.0}, "top_p must lie above 0 and at most at 1"),
        ({"top_p": 1.1}, "top_p must lie above 0 and at most at 1"),
        ({"top_p": math.nan}, "top_p must lie above 0 and at most at 1"),
        ({"top_k": -1}, "top_k must be 0"),
        ({"min_p": -0.1}, "min_p must lie between 0 and 1"),
        ({"min_p": 1.0}, "min_p must lie between 0 and 1"),
        ({"seed": 3.0}, "a seed must be a whole number"),
        ({"stop": ("a", "")}, "a stop string must not be empty"),
    ],
)
def test_a_value_outside_its_range_is_named_with_what_to_do(
    values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(BadOptionError) as caught:
        SamplingOptions(**values)
    assert str(caught.value).startswith(sentence[0].upper() + sentence[1:])
    assert str(caught.value).endswith(": change it and try again.")
    assert isinstance(caught.value, BadInputError)
