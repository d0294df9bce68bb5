"""Sampling held against a plain oracle, written out in Python floats."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.sampler import Sampler
from core.sampling_options import SamplingOptions

RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
# Quarters, so that no two probabilities differ by mere rounding; each value once, so that it is
# clear which tokens are the likeliest.
LOGITS = st.lists(st.integers(-40, 40).map(lambda n: n / 4), min_size=1, max_size=12, unique=True)
FILTERS = st.builds(
    SamplingOptions,
    temperature=st.sampled_from((0.3, 0.7, 1.0, 2.0)),
    top_p=st.sampled_from((0.05, 0.5, 0.83, 0.95, 1.0)),
    top_k=st.integers(0, 14),
    min_p=st.sampled_from((0.0, 0.01, 0.23, 0.9)),
    seed=st.integers(),
)


def oracle(logits: list[float], options: SamplingOptions) -> list[float]:
    """What is drawn from, by the definitions: temperature, then top-k, top-p and min-p."""
    weights = {i: math.exp(x / options.temperature) for i, x in enumerate(logits)}
    order = sorted(weights, key=lambda i: -weights[i])
    kept = order[: options.top_k or None]
    total, reached, nucleus = sum(weights[i] for i in kept), 0.0, []
    for i in kept:
        if reached >= options.top_p < 1.0:  # 1 keeps all, however the sum is rounded
            break
        nucleus.append(i)
        reached += weights[i] / total
    floor = options.min_p * weights[order[0]]
    kept = [i for i in nucleus if weights[i] >= floor]
    total = sum(weights[i] for i in kept)
    return [weights[i] / total if i in kept else 0.0 for i in range(len(logits))]


@RELAXED
@given(logits=LOGITS, options=FILTERS)
def test_what_is_drawn_from_is_what_the_definitions_say(
    logits: list[float], options: SamplingOptions
) -> None:
    ours = Sampler(options).probabilities(torch.tensor(logits)).tolist()
    expected = oracle(logits, options)
    assert ours == pytest.approx(expected, abs=1e-9)
    assert [p > 0 for p in ours] == [p > 0 for p in expected]


@RELAXED
@given(logits=LOGITS, options=FILTERS)
def test_a_filtered_token_is_never_drawn(logits: list[float], options: SamplingOptions) -> None:
    sampler, expected = Sampler(options), oracle(logits, options)
    drawn = {sampler.next_token(torch.tensor(logits)) for _ in range(30)}
    assert all(expected[token] > 0 for token in drawn)


@RELAXED
@given(logits=LOGITS)
def test_the_default_is_the_likeliest_token(logits: list[float]) -> None:
    sampler = Sampler(SamplingOptions())
    assert sampler.next_token(torch.tensor(logits)) == logits.index(max(logits))


@RELAXED
@given(options=FILTERS)
def test_the_same_seed_draws_the_same_tokens(options: SamplingOptions) -> None:
    rows = torch.randn(20, 40, generator=torch.Generator().manual_seed(1))
    first, second = Sampler(options), Sampler(options)
    assert [first.next_token(row) for row in rows] == [second.next_token(row) for row in rows]


def test_other_seeds_and_no_seed_draw_other_tokens() -> None:
    logits = torch.zeros(1000)
    replies = []
    for seed in (0, 1, None, None):
        sampler = Sampler(SamplingOptions(temperature=1.0, seed=seed))
        replies.append(tuple(sampler.next_token(logits) for _ in range(20)))
    assert len(set(replies)) == 4


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    sampler = Sampler(SamplingOptions(temperature=1.0, seed=5))
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    counts = Counter(sampler.next_token(logits) for _ in range(4000))
    assert [counts[i] / 4000 for i in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


@pytest.mark.parametrize("temperature", [1e-3, 1e-40, 5e-324])
def test_however_low_the_temperature_the_likeliest_token_is_drawn(temperature: float) -> None:
    sampler = Sampler(SamplingOptions(temperature=temperature, seed=0))
    logits = torch.tensor([-80.0, 3e4, 2.9e4, -torch.inf])
    assert sampler.probabilities(logits).tolist() == [0.0, 1.0, 0.0, 0.0]
    assert sampler.next_token(logits) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_no_token(value: float) -> None:
    logits = torch.tensor([0.0, value, 1.0])
    for temperature in (0.0, 1.0):
        with pytest.raises(RuntimeError):
            Sampler(SamplingOptions(temperature=temperature)).next_token(logits)


def test_top_k_keeps_exactly_so_many_even_where_all_are_equal() -> None:
    sampler = Sampler(SamplingOptions(temperature=1.0, top_k=3))
    assert int(sampler.probabilities(torch.zeros(10)).count_nonzero()) == 3
