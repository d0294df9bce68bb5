"""Preallocated keys and values: one row a sequence, written in place.

A row knows how many tokens it holds and under which rope regime they were made. It is as long as
its sequence needs: `reserve` makes room, and `release` gives the memory back.
Leaves out: which row a turn gets, and what of an earlier turn it may keep (kv_rows.py).
"""

from __future__ import annotations

from typing import Final

import torch
from transformers import Phi4MultimodalConfig

from core.rope import RopeRegime

GRAIN_TOKENS: Final = 256  # rows grow by multiples of it


class KVCache:
    """Keys and values of `num_rows` sequences.

    Memory is reserved at once and, on a CPU, touched as rows grow: 128 KiB a token in bfloat16
    for the full-size model.

    Args:
        config: the architecture.
        num_rows: sequences side by side.
        num_tokens: what each row has room for at first; 0 to `reserve` it later.
        dtype, device: of the keys and values.
    """

    def __init__(
        self,
        config: Phi4MultimodalConfig,
        num_rows: int,
        num_tokens: int,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.num_rows = num_rows
        self.lengths = [0] * num_rows
        self.regimes: list[RopeRegime] = ["short"] * num_rows
        # By row, then by layer: (num_kv_heads, capacity, head_dim).
        self.keys: list[tuple[torch.Tensor, ...]] = [()] * num_rows
        self.values: list[tuple[torch.Tensor, ...]] = [()] * num_rows
        self._capacities = [0] * num_rows
        self._dtype, self._device = dtype, device
        self._num_layers = config.num_hidden_layers
        self._num_heads = config.num_key_value_heads
        self._head_dim = config.hidden_size // config.num_attention_heads
        for row in range(num_rows):
            self._resize(row, num_tokens)

    @property
    def token_bytes(self) -> int:
        """What one token of a row takes."""
        return 2 * self._num_layers * self._num_heads * self._head_dim * self._dtype.itemsize

    def capacity(self, row: int) -> int:
        """How many tokens a row has room for."""
        return self._capacities[row]

    def reserve(self, row: int, num_tokens: int) -> None:
        """Make room for so many tokens in a row; what it holds stays.

        Raises:
            RuntimeError, MemoryError: there is not enough memory; the row is as it was.
        """
        if num_tokens > self._capacities[row]:
            self._resize(row, rounded_up(num_tokens))

    def release(self, row: int) -> None:
        """Empty a row and give its memory back."""
        self.clear(row)
        self._resize(row, 0)

    def clear(self, row: int, regime: RopeRegime = "short") -> None:
        """Empty a row and begin a sequence under a rope regime (`Model.rope_regime`)."""
        self.lengths[row] = 0
        self.regimes[row] = regime

    def truncate(self, row: int, num_tokens: int) -> None:
        """Keep a row's first `num_tokens` tokens; its regime stays."""
        assert 0 <= num_tokens <= self.lengths[row], "a row can only be shortened"
        self.lengths[row] = num_tokens

    def copy(self, source: int, row: int, num_tokens: int) -> None:
        """Begin a row with another one's first `num_tokens` tokens, for which it has room."""
        assert num_tokens <= self.lengths[source], "only what is there can be copied"
        assert num_tokens <= self._capacities[row], "the row is too short"
        self.clear(row, self.regimes[source])
        _copy(self.keys[source], self.keys[row], num_tokens)
        _copy(self.values[source], self.values[row], num_tokens)
        self.lengths[row] = num_tokens

    def length(self, row: int) -> int:
        """How many tokens a row holds."""
        return self.lengths[row]

    def regime(self, row: int) -> RopeRegime:
        """The rope regime a row's keys were made under."""
        return self.regimes[row]

    def append(
        self, layer: int, row: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write new keys and values behind a row's, and give all of them back.

        The row's length moves only with `advance`, after the last layer.

        Args:
            keys, values: shape (num_kv_heads, num_new_tokens, head_dim).
        Returns:
            Views of the row's keys and values, shape (num_kv_heads, length + new, head_dim).
        """
        start = self.lengths[row]
        end = start + keys.shape[1]
        row_keys, row_values = self.keys[row][layer], self.values[row][layer]
        row_keys[:, start:end] = keys
        row_values[:, start:end] = values
        return row_keys[:, :end], row_values[:, :end]

    def advance(self, row: int, num_tokens: int) -> None:
        """Count the tokens that every layer has now appended."""
        assert self.lengths[row] + num_tokens <= self._capacities[row], "the row is full"
        self.lengths[row] += num_tokens

    def _resize(self, row: int, capacity: int) -> None:
        """Give a row new tensors of this capacity, and what it held."""
        shape = (2, self._num_layers, self._num_heads, capacity, self._head_dim)
        keys, values = torch.empty(shape, dtype=self._dtype, device=self._device)
        before = self.keys[row], self.values[row]
        self.keys[row], self.values[row] = keys.unbind(0), values.unbind(0)
        self._capacities[row] = capacity
        num_tokens = self.lengths[row]
        if num_tokens:
            _copy(before[0], self.keys[row], num_tokens)
            _copy(before[1], self.values[row], num_tokens)


def rounded_up(num_tokens: int) -> int:
    """The capacity that `reserve` gives a row for so many tokens."""
    return -(-num_tokens // GRAIN_TOKENS) * GRAIN_TOKENS


def _copy(
    sources: tuple[torch.Tensor, ...], targets: tuple[torch.Tensor, ...], num_tokens: int
) -> None:
    """The first tokens of every layer."""
    for source, target in zip(sources, targets, strict=True):
        target[:, :num_tokens] = source[:, :num_tokens]
