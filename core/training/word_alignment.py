"""The vision projector's first lesson: a token that shows a shape becomes the words for it.

The base model has learned to answer questions about scenes that are told in words. Where a
picture's token points where "large", "red", "star", "top" and "left" point together, it finds
there what it looks for, before any adapter has learned to look elsewhere. Text is left out: its
letters have an order, which a sum of words has not.
Leaves out: the stage (vision_stages.py) and where labels come from (patch_labels.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
import torch.nn.functional as F

from core.tokenizer import Tokenizer
from core.training.items import COLOURS, PLACES, SHAPES, SIZES

NOTHING_WEIGHT: Final = 0.2  # of a token that shows nothing: most of them
SMALL_WORDS: Final = ("at", "the", "on", "in")
# In the order of Pictures.labels, the words for every label from 1 on.
SAID: Final[Mapping[str, tuple[str, ...]]] = {
    "shape": SHAPES,
    "colour": tuple(COLOURS),
    "size": SIZES,
    "place": PLACES,
}


class WordTargets:
    """Where the tokens of a picture should point.

    Args:
        tokenizer: knows the words.
        embeddings: of the base model, shape (vocab, hidden).
    """

    def __init__(self, tokenizer: Tokenizer, embeddings: torch.Tensor) -> None:
        embeddings = embeddings.detach().float()
        self._neutral = embeddings.mean(0)
        self.tables = {
            kind: torch.stack([self._word(tokenizer, embeddings, word) for word in words])
            for kind, words in SAID.items()
        }

    def _word(self, tokenizer: Tokenizer, embeddings: torch.Tensor, said: str) -> torch.Tensor:
        """The sum of what its words add to the mean of all, shape (hidden,)."""
        words = [word for word in said.split() if word not in SMALL_WORDS]
        ids = [id_ for word in words for id_ in tokenizer.encode_text(f" {word}")]
        return (embeddings[ids] - self._neutral).sum(0)

    def of_tokens(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets, and which tokens show a shape.

        Args:
            labels: int64, shape (num, 4, side, side), as in Pictures.
        Returns:
            float32, (num, side / 2 * side / 2, hidden), and bool, without the last dimension. A
            token with two shapes points between them.
        """
        tables = [F.pad(table, (0, 0, 1, 0)) for table in self.tables.values()]  # 0 adds nothing
        patches = torch.stack(
            [table[kind] for table, kind in zip(tables, labels.unbind(1), strict=True)]
        ).sum(0)
        shown = (labels[:, 0] > 0).float()
        added = _sum_of_four(patches.movedim(-1, 1))
        num = _sum_of_four(shown[:, None])
        targets = self._neutral + (added / num.clamp(min=1)).movedim(1, -1)
        return targets.flatten(1, 2), num[:, 0].flatten(1) > 0

    def loss(
        self, projected: torch.Tensor, targets: torch.Tensor, is_shown: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared distance, 1 where every token says nothing but the mean of all words.

        Args:
            projected, targets: (..., hidden).
            is_shown: (...).
        """
        weights = torch.where(is_shown, 1.0, NOTHING_WEIGHT)
        distances = (projected - targets).pow(2).sum(-1)
        scale = (self.tables["shape"].pow(2).sum(-1).mean()) * len(SAID)
        return (weights * distances).sum() / weights.sum() / scale

    def shares_heard(self, projected: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        """Of each kind, how many tokens that show one shape are nearest to the words for it.

        Args:
            projected: (num, side / 2 * side / 2, hidden).
            labels: int64, (num, 4, side, side), as in Pictures.
        """
        said, shares = (projected.float() - self._neutral).flatten(0, 1), {}
        for (kind, table), maps in zip(self.tables.items(), labels.unbind(1), strict=True):
            nearest = (said @ table.T - table.pow(2).sum(-1) / 2).argmax(-1) + 1
            truth = _only_label(maps).flatten()
            shares[kind] = float((nearest == truth)[truth > 0].float().mean())
        return shares


def _sum_of_four(maps: torch.Tensor) -> torch.Tensor:
    """Two by two cells added up, of shape (num, channels, side, side)."""
    return F.avg_pool2d(maps, 2) * 4


def _only_label(maps: torch.Tensor) -> torch.Tensor:
    """What two by two patches show, where they show one thing, else 0.

    Args:
        maps: int64, (num, side, side).
    Returns:
        int64, (num, side / 2, side / 2).
    """
    side = maps.shape[-1] // 2
    four = maps.reshape(-1, side, 2, side, 2).transpose(2, 3).flatten(3)
    most = four.amax(-1)
    is_one = ((four == most[..., None]) | (four == 0)).all(-1)
    return torch.where(is_one, most, 0)
