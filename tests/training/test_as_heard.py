"""Sentences as if heard: what their frames say, read as a sound's are, is what is written."""

from __future__ import annotations

from collections import Counter

import pytest

from core.training.as_heard import SILENCE, AsHeard, Spread, spread
from core.training.ctc import collapsed
from core.training.exchange import words_of
from core.training.pointed import CLEARNESS, NOISE
from tests.training import small_tokenizer

NOTHING = -1
TEXTS = (
    "What is seven plus seven?",
    "Eleven eleven, ELEVEN!",
    "Where's the old farmer's red apple?",
    "Yes.",
)


def spread_out(text: str, seed: int = 0) -> Spread:
    return spread(AsHeard(text, seed), small_tokenizer())


def said_by(frames: Spread) -> list[int]:
    """The token that each frame points at, or NOTHING."""
    assert all(len(frame.ids) <= 1 for frame in frames.frames)
    return [next(iter(frame.ids), NOTHING) for frame in frames.frames]


@pytest.mark.parametrize("text", TEXTS)
def test_frames_read_as_a_sound_is_say_the_words(text: str) -> None:
    tokenizer = small_tokenizer()
    for seed in range(60):
        read = collapsed(said_by(spread_out(text, seed)), NOTHING)
        assert tokenizer.decode(list(read)) == f" {words_of(text)}"


@pytest.mark.parametrize("text", TEXTS)
def test_it_is_known_which_frames_say_a_word(text: str) -> None:
    tokenizer = small_tokenizer()
    for seed in range(60):
        found = spread_out(text, seed)
        assert len(found.words) == len(words_of(text).split())
        for word, frames in zip(words_of(text).split(), found.words, strict=True):
            tokens = tokenizer.encode_text(f" {word}")
            assert {said_by(found)[frame] for frame in frames} == set(tokens)
            assert list(frames) == sorted(frames)
        told = {frame for frames in found.words for frame in frames}
        assert all((id_ == NOTHING) == (i not in told) for i, id_ in enumerate(said_by(found)))


def test_silence_is_before_and_behind_and_gaps_are_between() -> None:
    before, behind, gaps = Counter[int](), Counter[int](), Counter[int]()
    for seed in range(400):
        found = spread_out("Red star", seed)
        (first, second) = found.words
        before[first[0]] += 1
        behind[len(found.frames) - 1 - second[-1]] += 1
        gaps[second[0] - first[-1] - 1] += 1
    assert set(before) == set(behind) == set(range(SILENCE[0], SILENCE[1] + 1))
    assert set(gaps) >= {0, 1, 2, 3, 4}
    assert gaps[0] + gaps[1] + gaps[2] > 200


def test_frames_are_more_and_less_clear_and_a_sentence_is_of_one_noise() -> None:
    noises = set()
    for seed in range(50):
        frames = spread_out("What is seven plus seven?", seed).frames
        assert len({frame.clearness for frame in frames}) == len(frames)
        assert all(CLEARNESS[0] <= frame.clearness <= CLEARNESS[1] for frame in frames)
        (noise,) = {frame.noise for frame in frames}
        noises.add(noise)
    assert len(noises) == 50
    assert 0 <= min(noises) < NOISE / 4
    assert NOISE * 3 / 4 < max(noises) <= NOISE


def test_a_seed_spreads_a_sentence_always_alike() -> None:
    assert spread_out("Red star", 5) == spread_out("Red star", 5)
    assert len({tuple(said_by(spread_out("Red star", seed))) for seed in range(20)}) > 10
