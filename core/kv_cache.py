"""Preallocated keys and values: one slot a row, written in place.

A row is one sequence. It knows how many tokens it holds and under which rope regime they were
made; whoever reuses a row's prefix must also hold the route and the media equal, because keys
and values come from adapted projections (router.py).
Leaves out: which prefix to reuse and when (engine.py).
"""

from __future__ import annotations

import torch
from transformers import Phi4MultimodalConfig

from core.rope import RopeRegime


class KVCache:
    """Keys and values of `num_rows` sequences of up to `num_tokens` tokens each.

    Memory is reserved at once and touched as rows grow: 128 KiB a token in bfloat16 for the
    full-size model.

    Args:
        config: the architecture.
        num_rows: sequences side by side.
        num_tokens: capacity of each row.
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
        head_dim = config.hidden_size // config.num_attention_heads
        shape = (num_rows, config.num_key_value_heads, num_tokens, head_dim)
        layers = range(config.num_hidden_layers)
        self.num_rows = num_rows
        self.num_tokens = num_tokens
        self.keys = [torch.empty(shape, dtype=dtype, device=device) for _ in layers]
        self.values = [torch.empty(shape, dtype=dtype, device=device) for _ in layers]
        self.lengths = [0] * num_rows
        self.regimes: list[RopeRegime] = ["short"] * num_rows

    def clear(self, row: int, regime: RopeRegime = "short") -> None:
        """Empty a row and begin a sequence under a rope regime (`Model.rope_regime`)."""
        self.lengths[row] = 0
        self.regimes[row] = regime

    def truncate(self, row: int, num_tokens: int) -> None:
        """Keep a row's first `num_tokens` tokens; its regime stays."""
        assert 0 <= num_tokens <= self.lengths[row], "a row can only be shortened"
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
        self.keys[layer][row, :, start:end] = keys
        self.values[layer][row, :, start:end] = values
        return self.keys[layer][row, :, :end], self.values[layer][row, :, :end]

    def advance(self, row: int, num_tokens: int) -> None:
        """Count the tokens that every layer has now appended."""
        assert self.lengths[row] + num_tokens <= self.num_tokens, "the row is full"
        self.lengths[row] += num_tokens
