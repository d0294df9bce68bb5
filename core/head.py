"""Hidden states -> logits: exactly, or nearly so for a quarter of the bytes.

A large vocabulary's matrix is the largest of the model and is read for every token. Held in few
bits it finds the likeliest tokens, and only their rows of the exact matrix, which the embeddings
need anyway, are read to score them again: all but always the greedy token is the exact head's, and
so are the logits of all tokens that sampling is likely to take.
Leaves out: sampling (sampler.py).
"""

from __future__ import annotations

from typing import Final, Protocol

import torch
import torch.nn.functional as F

from core.quantize import Weight, weight_bytes

NUM_RESCORED: Final = 64
# Below, the matrix is read in no time; above, two stages are worth their two more kernels.
LARGE_VOCABULARY: Final = 32_768


class Head(Protocol):
    """What turns the last hidden state of each row into scores of all tokens."""

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (num_rows, hidden) -> float32, shape (num_rows, vocab)."""

    @property
    def num_bytes(self) -> int:
        """What it reads for one row."""


class ExactHead:
    """The output matrix as it is.

    Args:
        matrix: shape (vocab, hidden).
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self._matrix = matrix

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (num_rows, hidden) -> float32, shape (num_rows, vocab)."""
        return F.linear(hidden, self._matrix).float()

    @property
    def num_bytes(self) -> int:
        """What it reads for one row."""
        return self._matrix.nbytes


class TwoStageHead:
    """The output matrix in few bits, and the exact rows of what it finds likeliest.

    Args:
        coarse: the matrix quantised, shape (vocab, hidden).
        matrix: the exact one, in any type.
    """

    def __init__(self, coarse: Weight, matrix: torch.Tensor) -> None:
        self._coarse = coarse
        self._matrix = matrix

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (num_rows, hidden) -> float32, shape (num_rows, vocab)."""
        scores = self._coarse.multiply(hidden).float()
        likeliest = scores.topk(min(NUM_RESCORED, scores.shape[1]), dim=1).indices
        rows = self._matrix[likeliest].to(hidden.dtype)  # (num_rows, num_rescored, hidden)
        exact = torch.bmm(rows, hidden[:, :, None])[:, :, 0]
        return scores.scatter_(1, likeliest, exact.float())

    @property
    def num_bytes(self) -> int:
        """What it reads for one row."""
        return weight_bytes(self._coarse) + self._matrix[:NUM_RESCORED].nbytes
