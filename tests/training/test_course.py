"""What validation says of replies: each counts by itself, however many a dialogue has."""

from __future__ import annotations

import pytest
import torch

from core.training.course import shares_right
from core.training.examples import IGNORED, Batch


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
