"""How long a step of learning takes: over minutes, because the next one may have longer rows.

Steps cost differently by what their rows hold. A guess from the last one or two of them would have
the learning rate jump with it. Leaves out: what becomes of the guess (loop.py).
"""

from __future__ import annotations

from collections import deque
from typing import Final

NUM_MARKS: Final = 30  # that are looked back at


class Pace:
    """Seconds a step, from the times at which some steps had been taken.

    Args:
        begun_s: when the first step began.
        step: how many had been taken then, in an earlier run.
    """

    def __init__(self, begun_s: float, step: int) -> None:
        self._first = step
        self._marks = deque([(begun_s, step)], maxlen=NUM_MARKS)

    @property
    def is_known(self) -> bool:
        """Whether it is that of more than the first steps, which compile."""
        return self._marks[0][1] > self._first

    def mark(self, now_s: float, step: int) -> float:
        """Note that more steps have been taken.

        Returns:
            Seconds a step since the oldest mark; the next ones are no more about the first steps.
        """
        oldest_s, oldest = self._marks[0]
        if not self.is_known:
            self._marks.clear()
        self._marks.append((now_s, step))
        return (now_s - oldest_s) / (step - oldest)
