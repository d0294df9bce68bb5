"""One turn inside the engine: what is fed next, what was sampled, when what happened."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from core.detokenize import TextStream
from core.drafting import PromptLookup
from core.inputs import ModelInputs
from core.kv_cache import KVCache
from core.kv_rows import Kept, Prefix
from core.router import Route
from core.sampler import Sampler
from core.sampling_options import SamplingOptions
from core.stats import TurnStats, resident_memory_bytes
from core.tokenizer import Tokenizer
from core.turn import Turn


@dataclass
class Times:
    """Moments of a turn, in seconds of the monotonic clock; 0.0 is "not yet"."""

    submitted_s: float = 0.0
    admitted_s: float = 0.0
    inputs_ready_s: float = 0.0
    encoded_s: float = 0.0
    first_token_s: float = 0.0
    last_token_s: float = 0.0

    def sampled(self, is_stop: bool) -> None:
        """Note a sampled token; one that only ends the reply is not timed as one of its tokens."""
        now_s = time.monotonic()
        self.first_token_s = self.first_token_s or now_s
        if not is_stop:
            self.last_token_s = now_s


Drafted = tuple[int, torch.Tensor]  # a token, and the logits behind it


class Row:
    """A turn's state while it is answered; only the engine's worker touches it.

    Args:
        turn: where its events go.
        route: its adapter and audio projector.
        options: its sampling.
        tokenizer: of the checkpoint.
        is_ahead: its prompt is only fed, not answered.
    """

    def __init__(
        self,
        turn: Turn,
        route: Route,
        options: SamplingOptions,
        tokenizer: Tokenizer,
        is_ahead: bool = False,
    ) -> None:
        self.turn = turn
        self.route = route
        self.is_ahead = is_ahead
        self.sampler = Sampler(options)
        self.text = TextStream(tokenizer, options.stop)
        self.times = Times()
        self.slot = -1
        self.kv_bytes = 0  # of its place in the cache
        self.max_tokens = options.max_new_tokens
        self._inputs: ModelInputs | None = None
        self._prefix: Prefix | None = None
        self.num_reused_tokens = 0
        self.pending: torch.Tensor | None = None  # embeddings still to be fed
        self.prompt_logits: torch.Tensor | None = None  # after the prompt, for whoever asks again
        self.logits: torch.Tensor | None = None  # waiting to be sampled from
        self.next_id: int | None = None  # sampled, not yet fed
        self.drafted: list[Drafted] = []  # fed behind the last token, not yet sampled
        self.reply_ids: list[int] = []
        self.num_bytes_a_pass = 0  # that the last pass read for this row; 0 where it was a prompt's
        self._num_bytes_read = 0
        self._num_drafts_taken = 0
        self._num_looked_up = 0
        self._tokenizer, self._prediction = tokenizer, options.prediction

    def begin(self, inputs: ModelInputs, prefix: Prefix, num_context_tokens: int) -> None:
        """Set the prompt, and with it the last length."""
        self._inputs, self._prefix = inputs, prefix
        self.max_tokens = min(self.max_tokens + inputs.num_tokens, num_context_tokens)

    @property
    def inputs(self) -> ModelInputs:
        """The prompt."""
        assert self._inputs is not None, "it has not begun"
        return self._inputs

    @property
    def prefix(self) -> Prefix:
        """The prompt as the cache knows it."""
        assert self._prefix is not None, "it has not begun"
        return self._prefix

    @property
    def num_prompt_tokens(self) -> int:
        """The prompt's length; 0 where there is none yet."""
        return self._inputs.num_tokens if self._inputs else 0

    def kept(self, cache: KVCache) -> Kept:
        """What the row's place in the cache holds now."""
        replied = np.array(self.reply_ids, dtype=np.int64)
        keys = np.concatenate((self.prefix.keys, replied))[: cache.length(self.slot)]
        prefix = Prefix(keys, self.route, cache.regime(self.slot))
        return Kept(prefix, self.num_prompt_tokens, self.prompt_logits)

    def draft(self, max_tokens: int, cost: float) -> list[int]:
        """What will likely be sampled next, where feeding it along pays (PromptLookup.draft)."""
        for token_id in self.reply_ids[self._num_looked_up :]:
            self._lookup.push(token_id)
        self._num_looked_up = len(self.reply_ids)
        return self._lookup.draft(max_tokens, cost)

    @cached_property
    def _lookup(self) -> PromptLookup:
        """Made for the first pass that could have drafts."""
        return PromptLookup(self.prefix.keys.tolist(), self._predicted_ids())

    def _predicted_ids(self) -> list[int]:
        if not self._prediction:
            return []
        return self._tokenizer.encode_text(self._prediction, after=int(self.prefix.keys[-1]))

    def add(self, token_id: int) -> None:
        """Note a token of the reply."""
        self.reply_ids.append(token_id)
        self._num_bytes_read += self.num_bytes_a_pass
        self.num_bytes_a_pass = 0

    def takes_draft(self) -> bool:
        """Whether the token just sampled has been fed already: then the one after it is next."""
        drafted, self.drafted = self.drafted, []
        if not drafted or drafted[0][0] != self.next_id:
            return False
        (_, self.logits), *self.drafted = drafted
        self.next_id = None
        self._num_drafts_taken += 1
        return True

    @property
    def num_tokens(self) -> int:
        """Length of the sequence so far, the reply's sampled tokens included."""
        return self.num_prompt_tokens + len(self.reply_ids)

    def stats(self) -> TurnStats:
        """What the turn cost; stages that were not reached are 0."""
        times = self.times

        def span_ms(start_s: float, end_s: float) -> float:
            return max(0.0, (end_s - start_s) * 1000.0) if start_s and end_s else 0.0

        return TurnStats(
            num_prompt_tokens=self.num_prompt_tokens,
            num_reused_tokens=self.num_reused_tokens,
            num_reply_tokens=len(self.reply_ids),
            queued_ms=span_ms(times.submitted_s, times.admitted_s),
            inputs_ms=span_ms(times.admitted_s, times.inputs_ready_s),
            encode_ms=span_ms(times.inputs_ready_s, times.encoded_s),
            prefill_ms=span_ms(times.encoded_s, times.first_token_s),
            decode_ms=span_ms(times.first_token_s, times.last_token_s),
            time_to_first_token_ms=span_ms(times.submitted_s, times.first_token_s),
            memory_bytes=resident_memory_bytes(),
            num_drafts_taken=self._num_drafts_taken,
            kv_bytes=self.kv_bytes,
            read_bytes=self._num_bytes_read,
        )
