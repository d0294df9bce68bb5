"""Keys and values in int8: a cache of half the size, for conversations that memory is short for.

Leaves out: attention over them (int8_attention.py).
"""

from __future__ import annotations

import torch

from core.int8_attention import Int8Tokens, attend, to_int8
from core.kv_cache import KVCache


class Int8KVCache(KVCache):
    """A KVCache that rounds what is written into it: 66 KiB a token for the full-size model."""

    @property
    def _kinds(self) -> tuple[tuple[int, torch.dtype], ...]:
        """Keys' levels and scales, then values'."""
        tokens = (self._head_dim, torch.int8), (1, torch.float32)
        return *tokens, *tokens

    def attend(
        self,
        layer: int,
        row: int,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """As in KVCache; new tokens see themselves and those before, whatever the mask says."""
        key_levels, key_scales, value_levels, value_scales = self.append(layer, row, keys, values)
        return attend(
            queries, Int8Tokens(key_levels, key_scales), Int8Tokens(value_levels, value_scales)
        )

    def append(
        self, layer: int, row: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """As in KVCache; what comes back are levels and scales."""
        return self._write(layer, row, (*to_int8(keys), *to_int8(values)))
