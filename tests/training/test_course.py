"""What validation says of replies: each counts by itself, however many a dialogue has."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.training.course import Course, shares_right
from core.training.examples import IGNORED, Batch
from core.training.heard_in_reply import WordFrames
from core.training.materials import Materials
from core.training.media import Clip, Clips

NUM_FRAMES = 10


def batch_of(labels: list[list[int]]) -> Batch:
    ids = torch.zeros(len(labels), len(labels[0]), dtype=torch.long)
    return Batch(ids, torch.tensor(labels), (), ())


def test_each_reply_of_a_dialogue_is_right_or_wrong_by_itself() -> None:
    no = IGNORED
    batches = [
        batch_of([[no, 5, 6, no, no, 7, 8], [no, no, no, 9, 9, 9, no]]),  # three replies
        batch_of([[no, 4, no]]),
    ]
    hits = [
        torch.tensor([[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 1, 0, 1]]).bool(),
        torch.tensor([[1, 1, 1]]).bool(),
    ]
    figures = shares_right(batches, hits)
    assert figures["exact"] == pytest.approx(2 / 4)
    assert figures["tokens"] == pytest.approx(5 / 8)


def test_replies_of_two_rows_stay_two() -> None:
    """One row's reply ends where the next row's begins, with nothing between them in memory."""
    figures = shares_right(
        [batch_of([[IGNORED, 1, 2], [IGNORED, 3, 4]])],
        [torch.tensor([[True, True, True], [True, True, False]])],
    )
    assert figures == {"exact": 0.5, "tokens": 0.75}


@pytest.fixture
def course() -> Course:
    """Of two clips, already heard and aligned."""
    said = ("The red star.", "A moon")
    materials = Materials(Path("nowhere"), 1, 2, 1, lambda *_: None)
    about = tuple(Clip("world", text, text, "", "x") for text in said)
    starts = np.array([0, 8 * NUM_FRAMES, 16 * NUM_FRAMES])
    materials._clips["train"] = Clips(np.zeros((starts[-1], 80)), starts, about)
    heard = {clip: torch.full((NUM_FRAMES, 4), float(clip)) for clip in range(2)}
    nobody: Any = None  # neither model nor vocabulary is asked
    words: dict[int, WordFrames] = {0: ((3,), (5,), (6,)), 1: ((4,), (6,))}
    return Course(nobody, nobody, materials, sounds={"train": heard}, words=words)


def test_a_spliced_sentence_stands_beside_the_clips(course: Course) -> None:
    number = course.splice(random.Random(1), "A red moon")
    assert number == 2
    heard = course.heard("train", (number, 1, 0))
    assert list(heard) == [2, 1, 0]
    assert set(heard[number][:, 0].tolist()) == {0.0, 1.0}
    assert torch.equal(heard[1], torch.ones(NUM_FRAMES, 4))
    assert course._num_sound_tokens("train", number) == len(heard[number])
    assert course._num_sound_tokens("train", 0) == NUM_FRAMES
    spoken, frames = course.said(number) or ("", ())
    assert spoken == "A red moon"
    red = heard[number][list(frames[1])]
    assert torch.equal(red, torch.zeros_like(red))  # only the first clip says it
    assert course.said(1) == ("A moon", ((4,), (6,)))


def test_what_no_clip_says_is_not_spliced(course: Course) -> None:
    assert course.splice(random.Random(1), "A green moon") is None
