"""Rows into the decoder: a chunk of a prompt, the last token of several rows, or one row's drafts.

What goes wrong leaves the cache as it was. Leaves out: which rows, and when (engine.py), and what
is drafted (drafting.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from core.drafting import NUM_DRAFTED, DraftCost
from core.kv_cache import KVCache
from core.model import Model
from core.row import Row


class Feeder:
    """Feeds rows of a cache to a model.

    Args:
        model: whose decoder they are fed to.
        chunk_tokens: a prompt is fed in chunks of so many tokens.
        drafts: whether a row that decodes alone may be fed several tokens at once.
    """

    def __init__(self, model: Model, chunk_tokens: int, drafts: bool) -> None:
        self._model = model
        self._chunk_tokens = chunk_tokens
        self._drafts = drafts
        self._cost = DraftCost()

    def prefill(self, row: Row, cache: KVCache) -> None:
        """Feed the next chunk of a row's prompt; its last chunk gives the first logits."""
        assert row.pending is not None
        chunk = row.pending[: self._chunk_tokens]
        rest = row.pending[len(chunk) :]
        logits = self._feed([row], chunk[None], cache)
        row.pending = rest if len(rest) else None
        if row.pending is None:
            row.logits = logits[0]
            row.prompt_logits = None if row.reply_ids else row.logits

    def decode(self, rows: Sequence[Row], cache: KVCache) -> None:
        """Feed every row's last token."""
        stays = [row for row in rows if not self._restart_in_long_regime(row, cache)]
        for row in stays:
            kept = cache.length(row.slot) * cache.token_bytes
            row.num_bytes_a_pass = self._model.num_bytes(row.route.adapter) + kept
        if len(stays) == 1:
            self._decode_alone(stays[0], cache)
        elif stays:
            ids = torch.tensor([[row.next_id] for row in stays])
            logits = self._feed(stays, self._model.embed_token_ids(ids), cache)
            for row, row_logits in zip(stays, logits, strict=True):
                row.logits, row.next_id = row_logits, None

    def _decode_alone(self, row: Row, cache: KVCache) -> None:
        """Feed a row's last token, and behind it what will likely be sampled next.

        The cache counts only the first of them: each of the others when it has been sampled.
        """
        assert row.next_id is not None
        begun_s = time.perf_counter()
        draft = row.draft(self._most_drafts(row), self._cost.ratio) if self._drafts else []
        embeddings = self._model.embed_token_ids(torch.tensor([[row.next_id, *draft]]))
        if draft:
            length = cache.length(row.slot)
            with_draft = self._guarded(
                [row],
                cache,
                lambda: self._model.score(embeddings, cache, row.slot, row.route.adapter),
            )
            cache.truncate(row.slot, length + 1)
            logits, row.drafted = with_draft[0], list(zip(draft, with_draft[1:], strict=True))
        else:
            logits = self._feed([row], embeddings, cache)[0]
        if logits.device.type == "cuda":  # it has only been told what to do
            torch.cuda.synchronize(logits.device)
        self._cost.add(time.perf_counter() - begun_s, bool(draft))
        row.logits, row.next_id = logits, None

    def _most_drafts(self, row: Row) -> int:
        """How many tokens a row may run ahead: to its end, and not into the other rope regime."""
        num = min(NUM_DRAFTED, row.max_tokens - row.num_tokens - 1)
        regime = self._model.rope_regime(row.num_tokens)
        while num > 0 and self._model.rope_regime(row.num_tokens + num) != regime:
            num -= 1
        return num

    def _feed(self, rows: Sequence[Row], embeddings: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Append tokens to rows; each row's last logits."""
        slots, adapters = [row.slot for row in rows], [row.route.adapter for row in rows]
        return self._guarded(
            rows, cache, lambda: self._model.forward(embeddings, cache, slots, adapters)
        )

    def _guarded(
        self, rows: Sequence[Row], cache: KVCache, run: Callable[[], torch.Tensor]
    ) -> torch.Tensor:
        """Run; when that fails the cache holds what it held before."""
        lengths = [cache.length(row.slot) for row in rows]
        try:
            return run()
        except Exception:
            for row, length in zip(rows, lengths, strict=True):
                cache.truncate(row.slot, length)
            raise

    def _restart_in_long_regime(self, row: Row, cache: KVCache) -> bool:
        """Prefill a row anew when its next token takes it into the other rope regime."""
        if row.next_id is None:  # begun before the step failed for all and was tried row by row
            return True
        regime = self._model.rope_regime(row.num_tokens)
        if regime == cache.regime(row.slot):
            return False
        prompt = self._model.embed(row.inputs)
        replied = self._model.embed_token_ids(torch.tensor(row.reply_ids))
        pending = torch.cat([prompt, replied])  # or memory is short, and the row is as it was
        cache.clear(row.slot, regime)
        row.pending, row.next_id = pending, None
        return True
