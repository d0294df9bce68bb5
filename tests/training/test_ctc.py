"""CTC: classes of what is said, the flat beginning, and how a path is read."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.training.ctc import UNSEEN, SpokenTokens, collapsed, flat_alignment, spoken_tokens
from core.training.examples import IGNORED
from tests.training import small_tokenizer


@pytest.mark.parametrize(
    ("path", "read"),
    [
        ([], ()),
        ([9, 9, 9], ()),
        ([1, 1, 9, 2, 2], (1, 2)),
        ([1, 9, 1], (1, 1)),
        ([1, 1], (1,)),
        ([9, 3, 9, 9, 3, 3, 4], (3, 3, 4)),
    ],
)
def test_repeats_are_merged_and_blanks_dropped(path: list[int], read: tuple[int, ...]) -> None:
    assert collapsed(path, blank=9) == read


def test_classes_are_what_training_says_in_lower_case_without_marks() -> None:
    tokenizer = small_tokenizer()
    spoken = spoken_tokens(tokenizer, ["Hello.", "hello"], ["hello, zebra!"])
    assert spoken.trained[0] == spoken.trained[1]
    assert spoken.held_out[0][: len(spoken.trained[0])] == spoken.trained[0]
    assert UNSEEN in spoken.held_out[0]
    assert spoken.blank == len(spoken.num_letters) == len(set(spoken.trained[0]))


def test_the_loss_is_the_chance_of_all_paths_that_read_right() -> None:
    spoken = SpokenTokens(((0,),), (), (7,), (2,))
    log_probs = torch.tensor([[0.7, 0.3], [0.4, 0.6]]).log()[:, None]  # two frames, one clip
    # "0" is read from (0, 0), (0, blank) and (blank, 0).
    chance = 0.7 * 0.4 + 0.7 * 0.6 + 0.3 * 0.4
    assert float(spoken.loss(log_probs, [(0,)])) == pytest.approx(-math.log(chance), rel=1e-5)


def test_frames_behind_a_clips_end_do_not_count() -> None:
    spoken = SpokenTokens(((0,),), (), (7,), (2,))
    log_probs = torch.tensor([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]]).log()[:, None]
    alone = spoken.loss(log_probs[:2], [(0,)])
    assert float(spoken.loss(log_probs, [(0,)], [2])) == pytest.approx(float(alone), rel=1e-6)
    assert float(spoken.loss(log_probs, [(0,)])) != pytest.approx(float(alone), rel=1e-3)


def test_a_flat_beginning_shares_the_loud_frames_by_letters() -> None:
    mel = np.zeros((160, 80), dtype=np.float32)
    mel[40:120] = 1.0  # eighty loud frames, ten of the encoder's
    labels = flat_alignment(mel, [0, 1], [1, 3])
    assert len(labels) == 20
    said = [(index, label) for index, label in enumerate(labels) if label != IGNORED]
    first = [index for index, label in said if label == 0 and 5 <= index < 15]
    second = [index for index, label in said if label == 1 and 5 <= index < 15]
    assert max(first) < min(second)
    assert len(second) > 2 * len(first) > 0


def test_the_flat_loss_is_least_where_the_alignment_is_followed() -> None:
    spoken = SpokenTokens((), (), (7, 8), (2, 2))
    mel = np.zeros((80, 80), dtype=np.float32)
    mel[8:72] = 1.0
    aligned = flat_alignment(mel, [0, 1], spoken.num_letters)
    right = torch.full((len(aligned), 1, 3), -5.0)
    for frame, label in enumerate(aligned):
        right[frame, 0, max(label, 0)] = 5.0
    wrong = right[:, :, [1, 0, 2]]
    losses = [
        float(spoken.flat_start_loss(it.log_softmax(-1), [(0, 1)], [mel])) for it in (right, wrong)
    ]
    assert losses[0] < 0.01 < 5 < losses[1]
