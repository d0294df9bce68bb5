"""Preallocated keys and values: one row a sequence, written in place.

A row knows how many tokens it holds and under which rope regime they were made. It is as long as
its sequence needs: `reserve` makes room, and `release` gives the memory back.
Leaves out: which row a turn gets, and what of an earlier turn it may keep (kv_rows.py), and a cache
of half the size (int8_kv_cache.py).
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from transformers import Phi4MultimodalConfig

from core import attention
from core.config import quick_dtype
from core.rope import RopeRegime

GRAIN_TOKENS: Final = 256  # rows grow by multiples of it
MAX_GROUPED_TOKENS: Final = 32  # of more, a head alone is work enough for one product
Stored = tuple[tuple[torch.Tensor, ...], ...]


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
        # By row, then by kind, then by layer: (num_kv_heads, capacity, width of the kind).
        self._stored: list[Stored] = [()] * num_rows
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
        head_bytes = sum(width * dtype.itemsize for width, dtype in self._kinds)
        return self._num_layers * self._num_heads * head_bytes

    @property
    def _kinds(self) -> tuple[tuple[int, torch.dtype], ...]:
        """What is kept of a token, in a head of a layer: how many numbers of which type."""
        return (self._head_dim, self._dtype), (self._head_dim, self._dtype)

    def stored(self, row: int) -> Stored:
        """A row's tensors, those of its keys first: by kind, then by layer."""
        return self._stored[row]

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
        _copy(self._stored[source], self._stored[row], num_tokens)
        self.lengths[row] = num_tokens

    def length(self, row: int) -> int:
        """How many tokens a row holds."""
        return self.lengths[row]

    def regime(self, row: int) -> RopeRegime:
        """The rope regime a row's keys were made under."""
        return self.regimes[row]

    def attend(
        self,
        layer: int,
        row: int,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Write new tokens behind a row's, and let them look at themselves and all before them.

        The row's length moves only with `advance`, after the last layer.

        Args:
            queries: shape (num_heads, num_new_tokens, head_dim).
            keys, values: shape (num_kv_heads, num_new_tokens, head_dim).
            mask: bool, (num_new_tokens, length + new), which tokens each new one sees: those before
                it, and itself; None where it is one that sees all.
        Returns:
            Shape (num_heads, num_new_tokens, head_dim).
        """
        num_new = queries.shape[1]
        all_keys, all_values = (kept[None] for kept in self.append(layer, row, keys, values))
        if num_new > MAX_GROUPED_TOKENS and attention.is_quick(queries[None], all_keys):
            return attention.attend(queries[None], all_keys, all_values, is_causal=True)[0]
        if num_new > MAX_GROUPED_TOKENS:
            return _mixed(queries[None], all_keys, all_values, mask)[0]
        return grouped_attention(queries, all_keys[0], all_values[0], mask)

    def append(
        self, layer: int, row: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Write new tokens behind a row's.

        Args:
            keys, values: shape (num_kv_heads, num_new_tokens, head_dim).
        Returns:
            By kind, views of all that the row has, shape (num_kv_heads, length + new, width).
        """
        return self._write(layer, row, (keys, values))

    def _write(
        self, layer: int, row: int, new: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, ...]:
        """`append`, of what is kept of new tokens, by kind."""
        start = self.lengths[row]
        end = start + new[0].shape[1]
        found = []
        for by_layer, tokens in zip(self._stored[row], new, strict=True):
            by_layer[layer][:, start:end] = tokens
            found.append(by_layer[layer][:, :end])
        return tuple(found)

    def advance(self, row: int, num_tokens: int) -> None:
        """Count the tokens that every layer has now appended."""
        assert self.lengths[row] + num_tokens <= self._capacities[row], "the row is full"
        self.lengths[row] += num_tokens

    def _resize(self, row: int, capacity: int) -> None:
        """Give a row new tensors of this capacity, and what it held."""
        shape = self._num_layers, self._num_heads, capacity
        before = self._stored[row]
        self._stored[row] = tuple(
            torch.empty((*shape, width), dtype=dtype, device=self._device).unbind(0)
            for width, dtype in self._kinds
        )
        self._capacities[row] = capacity
        if self.lengths[row]:
            _copy(before, self._stored[row], self.lengths[row])


def grouped_attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    """The heads that share keys and values side by side, as if they were more tokens.

    One product for all of them, where torch makes one a head.

    Args:
        queries: shape (num_heads, num_tokens, head_dim).
        keys, values: shape (num_kv_heads, num_keys, head_dim).
        mask: bool, (num_tokens, num_keys), which keys each token sees; None for all.
    Returns:
        Shape (num_heads, num_tokens, head_dim).
    """
    grouped = queries.reshape(1, keys.shape[0], -1, keys.shape[2])
    if mask is not None:
        mask = mask.repeat(grouped.shape[2] // queries.shape[1], 1)
    return _mixed(grouped, keys[None], values[None], mask).view(queries.shape)


def _mixed(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """PyTorch's own attention, in a type that it is quick in."""
    given, dtype = queries.dtype, quick_dtype(queries.dtype, queries.device.type)
    queries, keys, values = queries.to(dtype), keys.to(dtype), values.to(dtype)
    is_shared = queries.shape[1] != keys.shape[1]
    mixed = F.scaled_dot_product_attention(
        queries, keys, values, attn_mask=mask, enable_gqa=is_shared
    )
    return mixed.to(given)


def rounded_up(num_tokens: int) -> int:
    """The capacity that `reserve` gives a row for so many tokens."""
    return -(-num_tokens // GRAIN_TOKENS) * GRAIN_TOKENS


def _copy(sources: Stored, targets: Stored, num_tokens: int) -> None:
    """The first tokens of every kind and layer."""
    for source_layers, target_layers in zip(sources, targets, strict=True):
        for source, target in zip(source_layers, target_layers, strict=True):
            target[:, :num_tokens] = source[:, :num_tokens]
