"""Places of a row that point at words: what projectors make of sounds and pictures, without any.

A projector turns what an encoder says into the middle of all embeddings and, where a word is told,
into what that word adds to it; of a picture's token several words at once. What it gives is never
quite that: less or more of it, and some of anything.
Leaves out: which words a sound (as_heard.py) and a picture (as_seen.py) point at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import torch

# How far a place goes from the middle to what it says; 1: all the way.
CLEARNESS: Final = (0.5, 1.3)
NOISE: Final = 0.75  # at most: how far away it is from there; 1: as embeddings from the middle


class Pointed(NamedTuple):
    """What a place points at, and how well.

    Args:
        ids: of the words' tokens; none: the middle of all.
        clearness, noise: see CLEARNESS and NOISE.
    """

    ids: tuple[int, ...]
    clearness: float
    noise: float


@dataclass(frozen=True)
class PointedPlaces:
    """Those of a batch.

    Args:
        where: int64, shape (num, 2): a row, and a place in it.
        frames: float32, shape (num, 2): clearness and noise.
        words: int64, shape (num_words, 2): which of the places, and an id that it points at.
    """

    where: torch.Tensor = field(default_factory=lambda: torch.empty(0, 2, dtype=torch.int64))
    frames: torch.Tensor = field(default_factory=lambda: torch.empty(0, 2))
    words: torch.Tensor = field(default_factory=lambda: torch.empty(0, 2, dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.where)

    def embeddings(self, table: torch.Tensor) -> torch.Tensor:
        """What stands there, always the same for the same places.

        Args:
            table: of all embeddings, (vocab, hidden).
        Returns:
            (num, hidden).
        """
        middle = table.mean(0)
        places, ids = self.words.to(table.device).unbind(1)
        clearness, noise = self.frames.to(table)[..., None].unbind(1)
        way = torch.zeros(len(self), len(middle), device=table.device, dtype=table.dtype)
        way = way.index_add(0, places, table[ids] - middle)
        generator = torch.Generator().manual_seed(int(self.words.sum()))
        anywhere = torch.randn(way.shape, generator=generator).to(way) * len(middle) ** -0.5
        far = (table - middle).detach().norm(dim=1).mean()
        return middle + clearness * way + noise * far * anywhere


def pointed_places(rows: Sequence[Sequence[tuple[int, Pointed]]]) -> PointedPlaces:
    """Of each row of a batch, its places and what they point at."""
    found = [(row, *pointed) for row, places in enumerate(rows) for pointed in places]
    if not found:
        return PointedPlaces()
    words = [(index, id_) for index, (*_, pointed) in enumerate(found) for id_ in pointed.ids]
    return PointedPlaces(
        where=torch.tensor([(row, place) for row, place, _ in found]),
        frames=torch.tensor([(it.clearness, it.noise) for *_, it in found]),
        words=torch.tensor(words, dtype=torch.int64).view(-1, 2),
    )
