"""The vision projector's first lesson: a token that tells something becomes the words for it.

The base model has learned to answer questions about scenes that are told in words, and to read
words that are told letter by letter. Where a picture's token points where "large", "red", "star",
"top" and "left" point together, it can find there what it looks for: an adapter has to learn where
to look, not what each token means.
Leaves out: the stage (vision_stages.py) and what tokens tell (slots.py).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F

from core.tokenizer import Tokenizer
from core.training.slots import SAID

NOTHING_WEIGHT: Final = 0.2  # of a token that tells nothing: most of them
SMALL_WORDS: Final = ("at", "the", "on", "in")


def word_ids(tokenizer: Tokenizer, said: str) -> tuple[int, ...]:
    """The tokens of the words for what a picture's token tells.

    Of a letter or a figure that is two tokens, the first is only the space before it.
    """
    words = [word for word in said.split() if word not in SMALL_WORDS]
    tokens = [tokenizer.encode_text(f" {word}") for word in words]
    return (tokens[0][-1],) if len(said) == 1 else tuple(id_ for word in tokens for id_ in word)


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
        return (embeddings[list(word_ids(tokenizer, said))] - self._neutral).sum(0)

    def of_tokens(self, slots: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Targets, and which tokens tell something.

        Args:
            slots: int64, shape (num, num_kinds, side, side), as `slots_of` gives them.
        Returns:
            float32, (num, side * side, hidden), and bool, without the last dimension.
        """
        tables = [F.pad(table, (0, 0, 1, 0)) for table in self.tables.values()]  # 0 adds nothing
        kinds = slots.flatten(2).unbind(1)
        added = torch.stack([table[kind] for table, kind in zip(tables, kinds, strict=True)]).sum(0)
        return self._neutral + added, (slots > 0).any(1).flatten(1)

    def loss(
        self, projected: torch.Tensor, targets: torch.Tensor, is_told: torch.Tensor
    ) -> torch.Tensor:
        """Mean squared distance, about 1 where every token says nothing but the mean of all words.

        Args:
            projected, targets: (..., hidden).
            is_told: (...).
        """
        weights = torch.where(is_told, 1.0, NOTHING_WEIGHT)
        distances = (projected - targets).pow(2).sum(-1)
        scale = (self.tables["shape"].pow(2).sum(-1).mean()) * len(SAID)
        return (weights * distances).sum() / weights.sum() / scale

    def shares_heard(self, projected: torch.Tensor, slots: torch.Tensor) -> dict[str, float]:
        """Of each kind, how many tokens that tell of it are nearest to the right words.

        Args:
            projected: (num, side * side, hidden).
            slots: int64, (num, num_kinds, side, side).
        """
        said, shares = (projected.float() - self._neutral).flatten(0, 1), {}
        for (kind, table), truth in zip(self.tables.items(), slots.unbind(1), strict=True):
            nearest = (said @ table.T - table.pow(2).sum(-1) / 2).argmax(-1) + 1
            shares[kind] = float((nearest == truth.flatten())[truth.flatten() > 0].float().mean())
        return shares
