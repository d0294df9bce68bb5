"""How long a step takes: without the first ones, and not by how long the last one took."""

from __future__ import annotations

import pytest

from core.training.pace import NUM_MARKS, Pace


def test_the_first_steps_say_nothing_of_those_that_follow() -> None:
    pace = Pace(0.0, 10)
    before = pace.is_known
    assert pace.mark(90.0, 11) == 90.0  # compiled
    assert (before, pace.is_known) == (False, True)
    assert pace.mark(92.0, 12) == 2.0
    assert pace.mark(100.0, 16) == 2.0


def test_one_long_step_hardly_changes_the_pace() -> None:
    pace = Pace(0.0, 0)
    paces = [pace.mark(5.0 * step, step) for step in range(1, 25)]
    assert pace.mark(5.0 * 24 + 25.0, 25) == pytest.approx(paces[-1], rel=0.2)


def test_what_is_long_past_is_forgotten() -> None:
    pace = Pace(0.0, 0)
    for step in range(1, 11):
        pace.mark(10.0 * step, step)
    for step in range(11, 11 + NUM_MARKS):
        last = pace.mark(100.0 + (step - 10), step)
    assert last == pytest.approx(1.0)
