"""The decoder's hot path: one flat pass over the layers, reading and writing the cache.

Prefill is many tokens of a row, decoding one token each of several rows; both are `forward`.
Rows may differ in length, adapter and rope regime: what is the same for all (the linears) runs
once over the batch, attention runs row by row over that row's own keys, so no row pays for, or
sees, another one's length.
Leaves out: embedding media (model.py), sampling, dropout, training.
Source: the Phi-4-mini decoder, arXiv 2503.01743; transformers' Phi4MultimodalModel is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import Phi4MultimodalConfig

from core.adapters import RoutedLinear, Routing, RowAdapters
from core.head import Head
from core.kv_cache import KVCache
from core.quick_rows import gated, normed
from core.rope import Rope, rotate
from core.router import AdapterName
from core.token_program import TokenPrograms

# A layer's number, its queries, keys and values -> (num_rows, num_tokens, num_heads * head_dim).
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class DecoderLayer:
    """One layer's weights; qkv and gate_up are fused."""

    attention_norm: torch.Tensor
    qkv_proj: RoutedLinear
    o_proj: RoutedLinear
    mlp_norm: torch.Tensor
    gate_up_proj: RoutedLinear
    down_proj: RoutedLinear


class Decoder:
    """The decoder stack and its head.

    Args:
        config: the architecture.
        layers: the layers' weights, in order.
        norm: the last norm's weight, shape (hidden,).
        head: hidden states -> logits.
        rope: the rotary tables.
    """

    def __init__(
        self,
        config: Phi4MultimodalConfig,
        layers: Sequence[DecoderLayer],
        norm: torch.Tensor,
        head: Head,
        rope: Rope,
    ) -> None:
        self.layers = list(layers)
        self.norm = norm
        self.head = head
        self.rope = rope
        self.eps: float = config.rms_norm_eps
        self.num_heads: int = config.num_attention_heads
        self.num_kv_heads: int = config.num_key_value_heads
        self.head_dim: int = config.hidden_size // config.num_attention_heads
        self._programs = TokenPrograms()

    def forward(
        self,
        hidden: torch.Tensor,
        kv_cache: KVCache,
        rows: Sequence[int],
        row_adapters: RowAdapters,
        scores_all: bool = False,
    ) -> torch.Tensor:
        """Feed new tokens to some rows of the cache.

        Args:
            hidden: embeddings, shape (num_rows, num_tokens, hidden).
            kv_cache: where the rows' earlier tokens are and the new ones go.
            rows: which cache row each row of `hidden` continues, no row twice.
            row_adapters: which rows take which adapter.
            scores_all: whether every position's logits are wanted.
        Returns:
            float32 logits of each row's last position, shape (num_rows, vocab), or of every
            position, shape (num_rows * num_tokens, vocab).
        """
        num_tokens = hidden.shape[1]
        self.check_rows(kv_cache, rows, num_tokens)
        starts = [kv_cache.lengths[row] for row in rows]
        rotation = self.rope.tables(starts, num_tokens, [kv_cache.regimes[row] for row in rows])
        program = self._programs.of(self, hidden, kv_cache, row_adapters)
        if program is not None:
            hidden = program.run(hidden, rotation, kv_cache, rows)
            return self._after_layers(hidden, num_tokens, kv_cache, rows)
        masks = [_causal_mask(start, num_tokens, hidden.device) for start in starts]

        def attend(
            layer: int, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
        ) -> torch.Tensor:
            """Each row in its own keys; a last token that asks alone sees all of them."""
            is_alone = queries.shape[2] == 1
            mixed = [
                kv_cache.attend(
                    layer, row, queries[i], keys[i], values[i], None if is_alone else masks[i]
                )
                for i, row in enumerate(rows)
            ]
            return joined_heads(mixed)

        hidden = self.through_layers(
            hidden, rotation, attend, row_adapters, only_last=not scores_all
        )
        return self._after_layers(hidden, num_tokens, kv_cache, rows)

    def _after_layers(
        self, hidden: torch.Tensor, num_fed: int, kv_cache: KVCache, rows: Sequence[int]
    ) -> torch.Tensor:
        """Count the tokens that were fed; logits of all that is left of them."""
        for row in rows:
            kv_cache.advance(row, num_fed)
        return self.scores(hidden.flatten(0, 1))

    def through_layers(
        self,
        hidden: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        attend: Attend,
        adapters: Routing,
        only_last: bool = False,
    ) -> torch.Tensor:
        """The layers alone.

        Args:
            hidden: embeddings, shape (num_rows, num_tokens, hidden).
            rotation: from `Rope.rotation`.
            attend: keeps the new keys and values, and looks at all of the row's; it may be asked
                by the last of the new tokens alone.
            adapters: which rows take which adapter.
            only_last: nobody asks what comes out of the last layer but for each row's last token.
        Returns:
            Shape (num_rows, num_tokens, hidden), or (num_rows, 1, hidden) if `only_last`.
        """
        for index, layer in enumerate(self.layers):
            x = self._normed(hidden, layer.attention_norm)
            queries, keys, values = self._heads(layer.qkv_proj(x, adapters), rotation)
            if only_last and index == len(self.layers) - 1:
                queries, hidden = queries[:, :, -1:], hidden[:, -1:]
            mixed = attend(index, queries, keys, values)
            hidden = hidden + layer.o_proj(mixed, adapters)
            x = self._normed(hidden, layer.mlp_norm)
            hidden = hidden + layer.down_proj(gated(layer.gate_up_proj(x, adapters)), adapters)
        return hidden

    def scores(self, hidden: torch.Tensor) -> torch.Tensor:
        """What comes out of the layers, (num, hidden) -> float32 logits, shape (num, vocab)."""
        return self.head.logits(self._normed(hidden, self.norm))

    def num_bytes(self, adapter: AdapterName | None) -> int:
        """What decoding one token under an adapter reads, the cache aside."""
        linears = (
            linear
            for layer in self.layers
            for linear in (layer.qkv_proj, layer.o_proj, layer.gate_up_proj, layer.down_proj)
        )
        return self.head.num_bytes + sum(linear.num_bytes(adapter) for linear in linears)

    def check_rows(self, kv_cache: KVCache, rows: Sequence[int], num_tokens: int) -> None:
        """See that rows of a cache can take so many more tokens each."""
        assert len(set(rows)) == len(rows), "a row cannot be fed twice in one call"
        for row in rows:
            total = kv_cache.lengths[row] + num_tokens
            assert total <= kv_cache.capacity(row), "the row is full"
            # A long row may still be short while it is prefilled; a short one may not grow long.
            assert kv_cache.regimes[row] == "long" or self.rope.regime(total) == "short", (
                f"row {row} passes {self.rope.switch_num_tokens} tokens: "
                "clear it under the long regime and prefill it again"
            )

    def _normed(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return normed(hidden, weight, self.eps)

    def _heads(
        self, qkv: torch.Tensor, rotation: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Split a fused projection and rotate queries and keys in one go.

        Returns:
            queries, keys and values, each (num_rows, its heads, num_tokens, head_dim).
        """
        heads = qkv.unflatten(-1, (-1, self.head_dim))
        num_turned = self.num_heads + self.num_kv_heads
        turned = rotate(heads[:, :, :num_turned], *rotation).transpose(1, 2)
        values = heads[:, :, num_turned:].transpose(1, 2)
        return turned[:, : self.num_heads], turned[:, self.num_heads :], values


def joined_heads(mixed: Sequence[torch.Tensor]) -> torch.Tensor:
    """What each row's attention gave, (num_heads, num_tokens, head_dim), for the next linear."""
    return torch.stack(list(mixed)).transpose(1, 2).flatten(2)


def _causal_mask(start: int, num_tokens: int, device: torch.device) -> torch.Tensor | None:
    """Which of start + num_tokens keys each new token sees; None where one token sees all."""
    if num_tokens == 1:
        return None
    everything = torch.ones(num_tokens, start + num_tokens, dtype=torch.bool, device=device)
    return everything.tril(start)
