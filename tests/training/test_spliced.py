"""Sentences put together from clips' words: what is heard is what was said, in the right order."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from core.training.heard_in_reply import WordFrames
from core.training.spliced import MARGIN, NUM_KEPT, Spliced

SAID = ("The red star.", "A red ring and the moon", "Nobody hears this.")
NUM_FRAMES = (20, 24, 9)
# Where each word is said; nobody knows of the third clip.
WORDS: dict[int, WordFrames] = {
    0: ((4,), (7, 8), (12,)),
    1: ((6,), (9,), (11,), (13, 14), (16,), (18,)),
}
FIRST = 3


def encoding(clip: int) -> torch.Tensor:
    """Frames that tell which clip and which frame of it they are."""
    frames = torch.arange(NUM_FRAMES[clip], dtype=torch.float32)
    return torch.stack([torch.full_like(frames, clip), frames], 1)


@pytest.fixture
def spliced() -> Spliced:
    return Spliced({clip: encoding(clip) for clip in range(3)}, SAID, WORDS, FIRST)


def origins(heard: torch.Tensor) -> Iterator[tuple[int, int]]:
    """The clip and the frame that each frame came from."""
    return ((int(clip), int(frame)) for clip, frame in heard.tolist())


def words_at(clip: int, word: str) -> tuple[int, ...]:
    """The frames where a clip says a word."""
    said = SAID[clip].lower().rstrip(".").split()
    return WORDS[clip][said.index(word)]


def test_each_word_is_heard_as_some_clip_says_it_and_is_told_to_be_there(spliced: Spliced) -> None:
    rng, clips_used = random.Random(1), set[int]()
    for _ in range(40):
        number = spliced.splice(rng, "A red moon, the star!")
        assert number is not None
        heard, spoken, frames = spliced[number]
        assert spoken == "A red moon, the star!"
        came_from = list(origins(heard))
        for word, told in zip("a red moon the star".split(), frames, strict=True):
            places = [came_from[frame] for frame in told]
            (clip,) = {clip for clip, _ in places}
            assert tuple(frame for _, frame in places) == words_at(clip, word)
            clips_used.add(clip)
    assert clips_used == {0, 1}


def test_words_are_told_in_their_order_and_silences_are_around_them(spliced: Spliced) -> None:
    rng = random.Random(2)
    for _ in range(40):
        number = spliced.splice(rng, "the star and a ring")
        assert number is not None
        heard, _, frames = spliced[number]
        told = [frame for word in frames for frame in word]
        assert told == sorted(set(told))
        before, behind = told[0], len(heard) - 1 - told[-1]
        assert before >= MARGIN - 1
        assert behind >= MARGIN - 1


def test_words_that_follow_each_other_in_a_clip_are_often_taken_together(spliced: Spliced) -> None:
    rng, num_together = random.Random(10), 0
    for _ in range(400):
        number = spliced.splice(rng, "a red ring and")
        assert number is not None
        heard, _, frames = spliced[number]
        came_from = list(origins(heard))
        clips = {came_from[frame][0] for word in frames for frame in word}
        num_together += clips == {1}
    # "red" is said by both clips; the others by the second alone.
    assert 0.75 < num_together / 400 < 0.95


def test_words_of_one_clip_and_its_silences_are_the_clip_again() -> None:
    alone = Spliced({0: encoding(0)}, SAID, {0: WORDS[0]}, FIRST)
    number = alone.splice(random.Random(3), SAID[0])
    assert number == FIRST
    heard, _, frames = alone[number]
    assert torch.equal(heard, encoding(0))
    assert frames == WORDS[0]


def test_a_clip_that_begins_and_ends_with_its_words_has_no_silences() -> None:
    short = Spliced({0: encoding(2)}, ("One two",), {0: ((0, 1), (8,))}, FIRST)
    number = short.splice(random.Random(4), "two one")
    assert number is not None
    heard, _, frames = short[number]
    assert [frame for _, frame in origins(heard)] == [5, 6, 7, 8, 0, 1, 2, 3, 4]
    assert frames == ((3,), (4, 5))


@pytest.mark.parametrize("sentence", ["The red sun.", "", "?!", "Nobody hears this."])
def test_what_nobody_said_cannot_be_said(sentence: str, spliced: Spliced) -> None:
    assert spliced.splice(random.Random(5), sentence) is None
    assert FIRST not in spliced


def test_numbers_go_up_and_only_the_last_are_kept(spliced: Spliced) -> None:
    rng = random.Random(6)
    numbers = [spliced.splice(rng, "the moon") for _ in range(NUM_KEPT + 2)]
    assert numbers == list(range(FIRST, FIRST + NUM_KEPT + 2))
    assert [number in spliced for number in (FIRST, FIRST + 1, FIRST + 2)] == [False, False, True]


def test_the_same_seed_says_the_same(spliced: Spliced) -> None:
    first, again, other = (
        spliced.splice(random.Random(seed), "the red moon and a red star") for seed in (7, 7, 8)
    )
    assert first is not None and again is not None and other is not None
    assert torch.equal(spliced[first].heard, spliced[again].heard)
    assert not torch.equal(spliced[first].heard[:5], spliced[other].heard[:5])
