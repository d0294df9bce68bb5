"""Which row of the cache a turn gets, and what of earlier turns it finds there.

The row of a turn that has ended keeps its keys and values while memory allows. A later prompt that
begins in the same way under the same route and rope regime takes them over, so that only the rest
of it is prefilled: a follow-up question, the same question again, or a shared system prompt.
What was unused for longest goes first.
Leaves out: tensors (kv_cache.py) and when turns are admitted (engine.py).
Source: prefix caching as in vLLM (arXiv 2309.06180), with whole rows instead of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from core.kv_cache import KVCache, rounded_up
from core.rope import RopeRegime
from core.router import Route

# Fewer tokens in common than this are the template's, unless they are all of one of the two.
MIN_SHARED_TOKENS: Final = 4
MAX_SLACK: Final = 2  # memory that is larger than a turn's by more than this goes back first


@dataclass(frozen=True)
class Prefix:
    """A prompt, or what a row holds: keys and values are the same exactly when all of this is.

    Args:
        keys: what each token is made of, int64, shape (num_tokens,) (inputs.py).
        route: keys and values come from adapted projections, media from the route's projector.
        regime: the rotary positions they were turned by.
    """

    keys: np.ndarray
    route: Route
    regime: RopeRegime

    def num_shared(self, other: Prefix) -> int:
        """How many tokens both begin with; 0 where it is not worth reusing them."""
        if (self.route, self.regime) != (other.route, other.regime):
            return 0
        num = min(len(self.keys), len(other.keys))
        differs = np.flatnonzero(self.keys[:num] != other.keys[:num])
        if not len(differs):
            return num
        return int(differs[0]) if differs[0] >= MIN_SHARED_TOKENS else 0


@dataclass(frozen=True)
class Kept:
    """What a turn left in its row.

    Args:
        prefix: what the row holds.
        num_prompt_tokens: after so many of them,
        logits: these were the next token's, shape (vocab,); None where the prompt was not over.
    """

    prefix: Prefix
    num_prompt_tokens: int = 0
    logits: torch.Tensor | None = None


@dataclass(frozen=True)
class Place:
    """A turn's row.

    Args:
        row: its number in the cache.
        num_reused: tokens of the prompt that it holds already.
        logits: the next token's, where it holds the whole prompt.
    """

    row: int
    num_reused: int = 0
    logits: torch.Tensor | None = None


class KvRows:
    """Gives out the rows of a cache.

    Args:
        cache: a new one, with more rows than turns will ever be under way.
        budget_bytes: what all rows together may take, kept ones included; one turn alone may
            take more.
        keeps: whether rows keep what they hold when their turn is over.
    """

    def __init__(self, cache: KVCache, budget_bytes: int, keeps: bool = True) -> None:
        self.cache = cache
        self._budget_bytes = budget_bytes
        self._keeps = keeps
        self._taken: set[int] = set()
        self._kept: dict[int, Kept] = {}  # by row, the one unused for longest first

    @property
    def num_bytes(self) -> int:
        """What all rows together take now."""
        rows = range(self.cache.num_rows)
        return sum(self.cache.capacity(row) for row in rows) * self.cache.token_bytes

    def take(self, prompt: Prefix, max_tokens: int) -> Place | None:
        """A row for a turn, with all that it can reuse; None when it has to wait for others.

        Args:
            prompt: the turn's.
            max_tokens: how long the row may become.
        Raises:
            RuntimeError, MemoryError: there is not enough memory; nothing is taken.
        """
        source = self._most_alike(prompt)
        num_shared = self._kept[source].prefix.num_shared(prompt) if source is not None else 0
        row = self._row_for(source, num_shared)
        spared = {row} if source is None else {row, source}
        # To grow a row is to hold both memories for a while, and to copy what nobody will read.
        is_emptied = row != source and row in self._kept and not self._fits(row, max_tokens)
        if not self._make_room(row, max_tokens, spared, is_emptied):
            return None
        if is_emptied:
            self._release(row)
        self._reserve(row, max_tokens, spared)
        if source is None:
            self.cache.clear(row, prompt.regime)
            place = Place(row)
        else:
            place = self._reused(prompt, source, row, num_shared)
        self._kept.pop(row, None)
        self._taken.add(row)
        return place

    def give_back(self, row: int, kept: Kept) -> None:
        """End a turn; its row keeps what it holds."""
        assert len(kept.prefix.keys) == self.cache.length(row), "a key for every token"
        if not self._keeps or not self.cache.length(row):
            self.drop(row)
            return
        self._taken.remove(row)
        self._kept[row] = kept

    def drop(self, row: int) -> None:
        """End a turn whose row is of no use to another."""
        self._taken.remove(row)
        self.cache.release(row)

    def forget(self, spared: set[int] | frozenset[int] = frozenset()) -> None:
        """Give back the memory of rows that no turn has."""
        for row in [row for row in self._kept if row not in spared]:
            self._release(row)

    def _most_alike(self, prompt: Prefix) -> int | None:
        """The kept row that shares most of a prompt, of equal ones the one used last."""
        shared = {row: kept.prefix.num_shared(prompt) for row, kept in self._kept.items()}
        best = max(reversed(shared), key=lambda row: shared[row], default=None)
        return best if best is not None and shared[best] > 0 else None

    def _row_for(self, source: int | None, num_shared: int) -> int:
        """The row to go on in: the source itself, or another where it would lose most."""
        free = set(range(self.cache.num_rows)) - self._taken
        empty = sorted(free - set(self._kept))
        others = [*empty, *(row for row in self._kept if row != source)]
        if source is None:
            return others[0]
        is_dear = self.cache.length(source) - num_shared > num_shared
        return others[0] if is_dear and others else source

    def _fits(self, row: int, max_tokens: int) -> bool:
        """Whether a row's memory is enough for a turn, and not much more than that."""
        wanted = rounded_up(max_tokens)
        return wanted <= self.cache.capacity(row) <= MAX_SLACK * wanted

    def _make_room(self, row: int, max_tokens: int, spared: set[int], is_emptied: bool) -> bool:
        """Forget what was unused for longest until the budget holds; False where it cannot.

        Args:
            is_emptied: the row will give its own memory back first.
        """
        wanted = rounded_up(max_tokens) - self.cache.capacity(row)
        if not is_emptied:
            wanted = max(0, wanted)
        over_bytes = self.num_bytes + wanted * self.cache.token_bytes - self._budget_bytes
        others = [other for other in self._kept if other not in spared]
        freed = sum(self.cache.capacity(other) for other in others) * self.cache.token_bytes
        if over_bytes > freed and self._taken:
            return False
        for other in others:
            if over_bytes <= 0:
                break
            over_bytes -= self.cache.capacity(other) * self.cache.token_bytes
            self._release(other)
        return True

    def _reserve(self, row: int, max_tokens: int, spared: set[int]) -> None:
        try:
            self.cache.reserve(row, max_tokens)
        except (RuntimeError, MemoryError):
            self.forget(spared)  # and if that is not enough, the turn fails
            self.cache.reserve(row, max_tokens)

    def _reused(self, prompt: Prefix, source: int, row: int, num_shared: int) -> Place:
        """Keep in the row what the prompt begins with."""
        kept = self._kept[source]
        is_whole = num_shared == len(prompt.keys) == kept.num_prompt_tokens
        logits = kept.logits if is_whole else None
        # Without logits the last token is fed again: they come from it.
        num_reused = num_shared if logits is not None else min(num_shared, len(prompt.keys) - 1)
        if row == source:
            self.cache.truncate(row, num_reused)
        else:
            self.cache.copy(source, row, num_reused)
            self._kept[source] = self._kept.pop(source)  # used just now
        return Place(row, num_reused, logits)

    def _release(self, row: int) -> None:
        del self._kept[row]
        self.cache.release(row)
