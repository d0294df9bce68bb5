"""Fewest edits from one sequence to another: the base of word and token error rates."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def edit_distance(expected: Sequence[Hashable], found: Sequence[Hashable]) -> int:
    """Fewest insertions, deletions and substitutions from one sequence to the other."""
    row = list(range(len(found) + 1))
    for i, wanted in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, item in enumerate(found, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != item))
    return row[-1]
