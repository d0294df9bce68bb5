"""One token for each of some rows, in shapes and at addresses that stay the same.

What differs from token to token (embeddings, positions, which rows take which adapter) is numbers
on the device, so that the same kernels can be started again and again without asking the CPU:
attention looks at all that a row has room for, through a mask.
Leaves out: the pass itself (decoder.py), and recording it (step_graphs.py).
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial

import torch

from core.adapters import MaskedAdapters
from core.decoder import Decoder, joined_heads
from core.kv_cache import KVCache, grouped_attention
from core.router import AdapterName


class StaticStep:
    """One token for each of some rows of a cache, while these rows keep their memory.

    Args:
        decoder: whose layers they go through.
        kv_cache: one that is not in int8; what the rows have room for is zeroed.
        rows: of the cache, no row twice.
        adapters: those that some row takes.
        hidden: embeddings like those of each step, (num_rows, 1, hidden).
    """

    def __init__(
        self,
        decoder: Decoder,
        kv_cache: KVCache,
        rows: Sequence[int],
        adapters: Sequence[AdapterName],
        hidden: torch.Tensor,
    ) -> None:
        self._decoder, self._kv_cache, self._rows = decoder, kv_cache, list(rows)
        num_rows, device = len(rows), hidden.device
        self._hidden = torch.zeros_like(hidden)
        self._positions = torch.zeros(num_rows, 1, dtype=torch.long, device=device)
        self._frequencies = torch.zeros_like(decoder.rope.frequencies(["short"] * num_rows))
        self._masks = {
            name: torch.zeros(num_rows, 1, 1, dtype=hidden.dtype, device=device)
            for name in adapters
        }
        # Not the tensors: a row that is given back must not be kept by those who knew it.
        self._memory = [weakref.ref(self._first_tensor(row)) for row in rows]
        for row in rows:
            self._zero_room(row)

    def is_valid(self, kv_cache: KVCache) -> bool:
        """Whether this is a step of the cache, and its rows still have the memory they had."""
        return kv_cache is self._kv_cache and all(
            memory() is self._first_tensor(row)
            for memory, row in zip(self._memory, self._rows, strict=True)
        )

    def set(self, hidden: torch.Tensor, adapters: Sequence[AdapterName | None]) -> None:
        """Say what the next `run` computes.

        Args:
            hidden: embeddings of each row's last token, shape (num_rows, 1, hidden).
            adapters: of each row.
        """
        cache, device = self._kv_cache, hidden.device
        self._decoder.check_rows(cache, self._rows, 1)
        lengths = [cache.length(row) for row in self._rows]
        regimes = [cache.regime(row) for row in self._rows]
        self._hidden.copy_(hidden)
        self._positions.copy_(torch.tensor(lengths, device=device)[:, None])
        self._frequencies.copy_(self._decoder.rope.frequencies(regimes))
        for name, mask in self._masks.items():
            takes = torch.tensor([adapter == name for adapter in adapters], device=device)
            mask.copy_(takes[:, None, None])

    def run(self) -> torch.Tensor:
        """Write the tokens' keys and values and give float32 logits, shape (num_rows, vocab).

        The rows' lengths stay: counting is `KVCache.advance`.
        """
        rotation = self._decoder.rope.rotation(self._positions, self._frequencies)
        seen = [
            torch.arange(self._kv_cache.capacity(row), device=self._hidden.device)[None]
            <= self._positions[i]
            for i, row in enumerate(self._rows)
        ]

        hidden = self._decoder.through_layers(
            self._hidden, rotation, partial(self._attend, seen), MaskedAdapters(self._masks)
        )
        return self._decoder.scores(hidden[:, -1])

    def _attend(
        self,
        seen: Sequence[torch.Tensor],
        layer: int,
        queries: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> torch.Tensor:
        """Write every row's token into its place, and let it look at what the row's mask shows.

        Args:
            seen: bool, of each row, (1, capacity).
            layer, queries, keys, values: as in `decoder.Attend`.
        """
        mixed = []
        for i, row in enumerate(self._rows):
            kept = [by_layer[layer] for by_layer in self._kv_cache.stored(row)]
            for there, new in zip(kept, (keys[i], values[i]), strict=True):
                there.index_copy_(1, self._positions[i], new)
            mixed.append(grouped_attention(queries[i], kept[0], kept[1], seen[i]))
        return joined_heads(mixed)

    def _first_tensor(self, row: int) -> torch.Tensor:
        return self._kv_cache.stored(row)[0][0]

    def _zero_room(self, row: int) -> None:
        """Numbers that no token wrote may be NaN, which no mask hides."""
        length = self._kv_cache.length(row)
        for by_layer in self._kv_cache.stored(row):
            for tensor in by_layer:
                tensor[:, length:].zero_()
