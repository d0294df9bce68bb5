"""The engine: turns in, events out. One worker thread owns the model.

`Engine.step` is the algorithm: admit, prefill a chunk, decode all rows, sample, emit. A row's
route is its own: rows of different adapters decode together.
Leaves out: reuse of prefixes between turns, and drafting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from core.errors import (
    BadInputError,
    EngineClosedError,
    OutOfMemoryError,
    QueueFullError,
    TriadError,
)
from core.events import FinishReason, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.kv_cache import KVCache
from core.messages import Conversation
from core.model import Model
from core.processor import Processor
from core.prompt import END, END_OF_TEXT
from core.router import route
from core.row import Row
from core.sampling_options import SamplingOptions
from core.turn import Turn, TurnCancelledError

LOGGER: Final = logging.getLogger(__name__)
MIN_CACHE_TOKENS: Final = 1024
CLOSED: Final = "The assistant is shut down: start it again."


@dataclass(frozen=True)
class EngineOptions:
    """How much the engine takes on.

    Args:
        max_rows: turns decoded side by side.
        max_queue: turns that may wait; one more is refused.
        prefill_chunk_tokens: a long prompt is fed in chunks of so many tokens, so that other
            rows and cancelling need not wait for all of it.
    """

    max_rows: int = 4
    max_queue: int = 16
    prefill_chunk_tokens: int = 512


@dataclass(frozen=True)
class Request:
    """One turn to be answered."""

    conversation: Conversation
    options: SamplingOptions
    turn: Turn
    submitted_s: float


class Engine:
    """Answers turns with one model.

    Args:
        model: the loaded model; nobody else may use it.
        processor: of the same checkpoint.
        options: how much it takes on.
    """

    def __init__(
        self, model: Model, processor: Processor, options: EngineOptions | None = None
    ) -> None:
        self._model = model
        self._processor = processor
        self._options = options or EngineOptions()
        tokenizer = processor.tokenizer
        self._stop_ids = frozenset(tokenizer.control_id(name) for name in (END, END_OF_TEXT))
        self._num_context_tokens = int(model.config.max_position_embeddings)
        self._waiting: deque[Request] = deque()
        # Held to touch `_waiting` or `_is_closed`; an idle worker waits on it.
        self._changed = threading.Condition()
        self._is_closed = False
        self._rows: list[Row] = []
        self._postponed: Row | None = None  # admitted, but its row does not fit the cache yet
        self._kv_cache: KVCache | None = None
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()

    @property
    def is_open(self) -> bool:
        """True until `close` is called."""
        return not self._is_closed

    def submit(self, conversation: Conversation, options: SamplingOptions) -> Turn:
        """Queue a turn; returns at once. Its failures arrive as its last event.

        Raises:
            QueueFullError: too many turns are waiting.
            EngineClosedError: the engine is shut down.
        """
        request = Request(conversation, options, Turn(), time.monotonic())
        with self._changed:
            if self._is_closed:
                raise EngineClosedError(CLOSED)
            if len(self._waiting) >= self._options.max_queue:
                raise QueueFullError(
                    f"{self._options.max_queue} messages are waiting already: "
                    "send yours again in a moment."
                )
            self._waiting.append(request)
            self._changed.notify()
        return request.turn

    def close(self) -> None:
        """Cancel everything under way and end the worker."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._worker.join()

    def _work(self) -> None:
        while not self._is_closed:
            try:
                self.step()
            except Exception as error:  # a fault of ours; whoever waits is told, others come
                for row in self._under_way():
                    self._fail(row, error)
                self._kv_cache = None
        for row in self._under_way():
            row.turn.cancel()
            self._finish(row, "cancelled")
        while request := self._next_request():
            self._fail(self._row_of(request), EngineClosedError(CLOSED))

    def step(self) -> None:
        """Admit, prefill one chunk, decode every row by one token, sample, emit."""
        self._admit()
        self._drop_cancelled()
        for row in [row for row in self._rows if row.pending is not None][:1]:
            self._guard([row], self._prefill_chunk)
        for row in [row for row in self._rows if row.logits is not None]:
            self._guard([row], self._sample)
        decoding = [row for row in self._rows if row.next_id is not None]
        if decoding:
            self._guard(decoding, self._decode)

    def _guard(self, rows: Sequence[Row], work: Callable[[Sequence[Row]], None]) -> None:
        """Do the work; what goes wrong ends the row at fault, not the others, nor the engine."""
        try:
            work(rows)
            return
        except Exception as error:
            if len(rows) == 1:
                self._fail(rows[0], error)
                return
        for row in rows:  # one of them is at fault, or they are too many at once
            self._guard([row], work)

    def _admit(self) -> None:
        """Turn waiting requests into rows while there is room."""
        if self._postponed and self._place(self._postponed):
            self._postponed = None
        while self._has_room() and (request := self._next_request(waits=not self._rows)):
            row = self._prepare(request)
            if row is not None and not self._place(row):
                self._postponed = row

    def _has_room(self) -> bool:
        num_rows = self._options.max_rows if self._kv_cache is None else self._kv_cache.num_rows
        is_free = len(self._rows) < num_rows and self._postponed is None
        return is_free and not self._is_closed

    def _next_request(self, waits: bool = False) -> Request | None:
        """The longest waiting request; None where there is none, or the engine was closed."""
        with self._changed:
            while waits and not self._waiting and not self._is_closed:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _row_of(self, request: Request) -> Row:
        tokenizer = self._processor.tokenizer
        row = Row(request.turn, route(request.conversation), request.options, tokenizer)
        row.times.submitted_s, row.times.admitted_s = request.submitted_s, time.monotonic()
        return row

    def _prepare(self, request: Request) -> Row | None:
        """Decode media, check the length, encode; None when that failed or was cancelled."""
        row = self._row_of(request)
        if row.turn.is_cancelled:
            self._finish(row, "cancelled")
            return None
        try:
            row.turn.emit(RouteSelected(row.route))
            inputs = self._processor.inputs(request.conversation, self._num_context_tokens)
            row.times.inputs_ready_s = time.monotonic()
            row.begin(self._model.embed(inputs, row.turn.check), self._num_context_tokens)
            row.times.encoded_s = time.monotonic()
        except TurnCancelledError:
            self._finish(row, "cancelled")
            return None
        except Exception as error:
            self._fail(row, error)
            return None
        return row

    def _place(self, row: Row) -> bool:
        """Give the row a cache row; False when it has to wait for others to end."""
        cache = self._kv_cache
        if cache is None or cache.num_tokens < row.max_tokens:
            if self._rows:
                return False
            self._kv_cache = None
            try:
                cache = self._new_cache(row.max_tokens)
            except Exception as error:
                self._fail(row, error)
                return True
            self._kv_cache = cache
        row.slot = min(set(range(cache.num_rows)) - {other.slot for other in self._rows})
        cache.clear(row.slot, self._model.rope_regime(row.num_tokens))
        self._rows.append(row)
        return True

    def _new_cache(self, num_tokens: int) -> KVCache:
        """Room for every row at this length, or for this one row where memory is short."""
        size = max(MIN_CACHE_TOKENS, 1 << (num_tokens - 1).bit_length())
        try:
            return self._model.new_kv_cache(
                self._options.max_rows, min(size, self._num_context_tokens)
            )
        except OutOfMemoryError:
            return self._model.new_kv_cache(1, num_tokens)

    def _drop_cancelled(self) -> None:
        """End what was cancelled: rows, and turns that still wait."""
        with self._changed:
            waiting = [request for request in self._waiting if request.turn.is_cancelled]
            for request in waiting:
                self._waiting.remove(request)
        rows = [row for row in self._under_way() if row.turn.is_cancelled]
        for row in [*rows, *(self._row_of(request) for request in waiting)]:
            self._finish(row, "cancelled")

    def _under_way(self) -> list[Row]:
        return [*self._rows, *([self._postponed] if self._postponed else [])]

    def _prefill_chunk(self, rows: Sequence[Row]) -> None:
        """Feed the next chunk of one row's prompt; its last chunk gives the first logits."""
        (row,) = rows
        assert row.pending is not None
        chunk = row.pending[: self._options.prefill_chunk_tokens]
        rest = row.pending[len(chunk) :]
        logits = self._feed(rows, chunk[None])
        row.pending = rest if len(rest) else None
        if row.pending is None:
            row.logits = logits[0]

    def _decode(self, rows: Sequence[Row]) -> None:
        """Feed every row's last token."""
        stays = [row for row in rows if not self._restart_in_long_regime(row)]
        if not stays:
            return
        ids = torch.tensor([[row.next_id] for row in stays])
        logits = self._feed(stays, self._model.embed_token_ids(ids))
        for row, row_logits in zip(stays, logits, strict=True):
            row.logits, row.next_id = row_logits, None

    def _feed(self, rows: Sequence[Row], embeddings: torch.Tensor) -> torch.Tensor:
        """Append tokens to rows; when that fails the cache holds what it held before."""
        cache = self._kv_cache
        assert cache is not None
        lengths = [cache.length(row.slot) for row in rows]
        slots, adapters = [row.slot for row in rows], [row.route.adapter for row in rows]
        try:
            return self._model.forward(embeddings, cache, slots, adapters)
        except Exception:
            for slot, length in zip(slots, lengths, strict=True):
                cache.truncate(slot, length)
            raise

    def _restart_in_long_regime(self, row: Row) -> bool:
        """Prefill a row anew when its next token takes it into the other rope regime."""
        assert self._kv_cache is not None
        if row.next_id is None:  # begun before the step failed for all and was tried row by row
            return True
        regime = self._model.rope_regime(row.num_tokens)
        if regime == self._kv_cache.regime(row.slot):
            return False
        self._kv_cache.clear(row.slot, regime)
        replied = self._model.embed_token_ids(torch.tensor(row.reply_ids))
        row.pending = torch.cat([row.prompt, replied])
        row.next_id = None
        return True

    def _sample(self, rows: Sequence[Row]) -> None:
        """Choose a row's next token and tell its listeners; end the row when it is done."""
        (row,) = rows
        assert row.logits is not None
        token_id = row.sampler.next_token(row.logits)
        row.logits = None
        is_stop = token_id in self._stop_ids
        row.times.sampled(is_stop)
        if is_stop:
            self._finish(row, "stop")
            return
        row.reply_ids.append(token_id)
        self._tell(row, row.text.push(token_id))
        if row.text.is_stopped:
            self._finish(row, "stop")
        elif row.num_tokens >= row.max_tokens:
            self._finish(row, "length")
        else:
            row.next_id = token_id

    def _tell(self, row: Row, delta: str) -> None:
        if delta:
            row.turn.emit(TextDelta(delta))

    def _finish(self, row: Row, reason: FinishReason) -> None:
        self._remove(row)
        self._tell(row, row.text.finish(is_whole=reason == "stop"))
        stats = row.stats()
        LOGGER.info("turn %s: %s", reason, stats.as_dict())
        row.turn.emit(TurnFinished(row.text.text, reason, stats))

    def _fail(self, row: Row, error: Exception) -> None:
        self._remove(row)
        if row.turn.is_over:
            return
        if _is_out_of_memory(error) or isinstance(error, OutOfMemoryError):
            self._kv_cache = None if not self._rows else self._kv_cache
            error = OutOfMemoryError(
                "There is not enough memory for this turn: "
                "close other programs, or send less text and smaller media."
            )
        if isinstance(error, TriadError):
            row.turn.emit(TurnFailed(str(error), isinstance(error, BadInputError)))
            return
        LOGGER.error("a turn failed", exc_info=error)
        sentence = "The assistant failed on this turn: send it again, or start a new chat."
        row.turn.emit(TurnFailed(sentence, False))

    def _remove(self, row: Row) -> None:
        self._rows = [other for other in self._rows if other is not row]
        self._postponed = None if self._postponed is row else self._postponed


def _is_out_of_memory(error: Exception) -> bool:
    """True for what torch raises when memory runs out, on either device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "out of memory" in text
    )
