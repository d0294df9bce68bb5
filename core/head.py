"""Hidden states -> logits: exactly, or nearly so for a fraction of the bytes.

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

from core.config import quick_dtype
from core.quantize import Weight, weight_bytes

NUM_RESCORED: Final = 512
# The likeliest tokens are among those of the likeliest groups, which are found sooner.
NUM_GROUPED: Final = 16
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
    """The output matrix as it is; in float32 where torch's bfloat16 is slow.

    Args:
        matrix: shape (vocab, hidden).
    """

    def __init__(self, matrix: torch.Tensor) -> None:
        self._matrix = matrix.to(quick_dtype(matrix.dtype, matrix.device.type))

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """hidden (num_rows, hidden) -> float32, shape (num_rows, vocab)."""
        if hidden.dtype == self._matrix.dtype:
            return F.linear(hidden, self._matrix).float()
        # One by one: in float32 a row's sums depend on how many rows there are.
        return torch.stack([F.linear(row.float(), self._matrix) for row in hidden])

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
        likeliest = _likeliest(scores, min(NUM_RESCORED, scores.shape[1]))
        dtype = quick_dtype(hidden.dtype, hidden.device.type)
        rows = self._matrix.index_select(0, likeliest.flatten()).to(dtype)
        rows = rows.view(*likeliest.shape, -1)  # (num_rows, num_rescored, hidden)
        exact = torch.bmm(rows, hidden.to(dtype)[:, :, None])[:, :, 0]
        return scores.scatter_(1, likeliest, exact.float())

    @property
    def num_bytes(self) -> int:
        """What it reads for one row."""
        return weight_bytes(self._coarse) + self._matrix[:NUM_RESCORED].nbytes


def _likeliest(scores: torch.Tensor, num: int) -> torch.Tensor:
    """The indices of each row's largest scores.

    Args:
        scores: shape (num_rows, vocab), vocab at least `num`.
    Returns:
        int64, shape (num_rows, num), in no order.
    """
    num_groups = scores.shape[1] // NUM_GROUPED
    if num_groups <= num:
        return scores.topk(num, dim=1, sorted=False).indices
    grouped = scores[:, : num_groups * NUM_GROUPED].unflatten(1, (num_groups, NUM_GROUPED))
    groups = grouped.amax(2).topk(num, dim=1, sorted=False).indices
    members = groups[:, :, None] * NUM_GROUPED + torch.arange(NUM_GROUPED, device=scores.device)
    rest = torch.arange(num_groups * NUM_GROUPED, scores.shape[1], device=scores.device)
    among = torch.cat([members.flatten(1), rest.expand(len(scores), -1)], 1)
    best = scores.gather(1, among).topk(num, dim=1, sorted=False).indices
    return among.gather(1, best)
