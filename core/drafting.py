"""Prompt lookup: how a reply will go on, read off where its last tokens stood before.

What is copied, transcribed again or answered like the turn before is proposed several tokens at a
time, and one pass of the decoder says of all of them whether they are what it would have said. A
proposal costs nothing while it is only compared with what is sampled; it is fed to the decoder once
the last ones have been right often enough to pay for the wider pass.
Leaves out: feeding and sampling (engine.py).
Source: prompt lookup decoding (Saxena, 2023), speculative decoding (arXiv 2211.17192).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Final

NUM_DRAFTED: Final = 3  # with the token before them they fill the kernels' tile of four rows
NGRAM_SIZES: Final = (3, 2)  # the longest that was seen before decides
LEARNING_RATE: Final = 0.3  # of how many proposed tokens are right
NUM_TIMED: Final = 15  # passes that are remembered
ASSUMED_COST: Final = 1.75  # of a pass with drafts, until some were timed: four rows of NF4
MARGIN: Final = 1.05  # drafts have to gain a little, not nothing
BREAK: Final = -1  # stands between texts, and is no token


class PromptLookup:
    """Proposes the next tokens of one reply.

    Args:
        prompt: its token ids; numbers below 0 stand for media and are never proposed.
        prediction: what the reply is expected to be, such as an earlier hypothesis.
    """

    def __init__(self, prompt: Sequence[int], prediction: Sequence[int] = ()) -> None:
        self._ids: list[int] = []
        self._followers: dict[tuple[int, ...], int] = {}  # n-gram -> place of what came after it
        before = list(prompt[-NGRAM_SIZES[0] :])
        if prediction:
            self._extend([*prompt, BREAK, *before, *prediction, BREAK, *before])
        else:
            self._extend(prompt)
        self._pending: list[int] = []  # proposed, not yet compared with what was sampled
        self._num_right = 0
        # How many proposed tokens are right; nothing is believed of a prompt before it was seen.
        self._expected = float(NUM_DRAFTED if prediction else 0)

    def push(self, token_id: int) -> None:
        """Note a token of the reply."""
        self._extend([token_id])
        if not self._pending:
            return
        is_right = self._pending.pop(0) == token_id
        self._num_right += is_right
        if not is_right or not self._pending:
            self._expected += LEARNING_RATE * (self._num_right - self._expected)
            self._pending, self._num_right = [], 0

    def draft(self, max_tokens: int, cost: float) -> list[int]:
        """The tokens to feed along with the last one; none where that would not pay.

        Args:
            max_tokens: no more than so many.
            cost: how many ordinary passes one with drafts takes as long as.
        """
        proposed = self._propose(min(NUM_DRAFTED, max_tokens))
        pays = 1 + min(self._expected, len(proposed)) > cost * MARGIN
        if pays or not self._pending:
            self._pending, self._num_right = list(proposed), 0
        return proposed if pays else []

    def _propose(self, num: int) -> list[int]:
        for size in NGRAM_SIZES:
            place = self._followers.get(tuple(self._ids[-size:]))
            if place is not None:
                found = self._ids[place : place + max(0, num)]
                num_tokens = next((i for i, id_ in enumerate(found) if id_ < 0), len(found))
                return found[:num_tokens]
        return []

    def _extend(self, ids: Sequence[int]) -> None:
        """Append tokens; each one's n-grams are known once it has come after them."""
        for id_ in ids:
            place = len(self._ids)
            for size in NGRAM_SIZES:
                if place >= size:
                    self._followers[tuple(self._ids[place - size :])] = place
            self._ids.append(id_)


class DraftCost:
    """What a pass with drafts takes, in ordinary passes, on this machine: measured as it goes."""

    def __init__(self) -> None:
        self._plain_s: deque[float] = deque(maxlen=NUM_TIMED)
        self._drafted_s: deque[float] = deque(maxlen=NUM_TIMED)

    def add(self, seconds: float, is_drafted: bool) -> None:
        """Note how long a pass of one row took."""
        (self._drafted_s if is_drafted else self._plain_s).append(seconds)

    @property
    def ratio(self) -> float:
        """The median pass with drafts over the median one without."""
        if not (self._plain_s and self._drafted_s):
            return ASSUMED_COST
        return median(self._drafted_s) / median(self._plain_s)
