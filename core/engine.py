"""The engine: turns in, events out. One worker thread owns the model.

`Engine.step` is the algorithm: admit, prefill a chunk, decode all rows, sample, emit. A row's
route is its own: rows of different adapters decode together.
Leaves out: what the decoder is fed (feeding.py), and what earlier turns left in the cache
(kv_rows.py).
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from core.errors import BadInputError, OutOfMemoryError, TriadError
from core.events import FinishReason, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.feeding import Feeder
from core.kv_rows import KvRows, Prefix
from core.messages import Conversation
from core.model import Model
from core.out_of_memory import is_out_of_memory
from core.processor import Processor
from core.prompt import END, END_OF_TEXT
from core.request_queue import CLOSED, Request, RequestQueue
from core.router import ROUTES, InputMode, route
from core.row import Row
from core.sampling_options import SamplingOptions
from core.stats import device_memory_bytes
from core.turn import Turn, TurnCancelledError

LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineOptions:
    """How much the engine takes on.

    Args:
        max_rows: turns decoded side by side.
        max_queue: turns that may wait; one more is refused.
        prefill_chunk_tokens: a long prompt is fed in chunks of so many tokens, so that other
            rows and cancelling need not wait for all of it.
        num_kept_rows: conversations whose keys and values are kept for their next turn, besides
            those under way; 0 keeps nothing, and no pictures and sounds either.
        kv_bytes: memory for keys and values; 0 is a quarter of the device's.
        drafts: whether a turn that is alone may decode several tokens at once, where its text
            repeats (drafting.py).
    """

    max_rows: int = 4
    max_queue: int = 16
    prefill_chunk_tokens: int = 512
    num_kept_rows: int = 8
    kv_bytes: int = 0
    drafts: bool = True


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
        self._queue = RequestQueue(self._options.max_queue)
        self._rows: list[Row] = []
        self._postponed: Row | None = None  # admitted, but there is no memory for its row yet
        self._kv = self._no_kv_rows()
        self._feeder = Feeder(model, self._options.prefill_chunk_tokens, self._options.drafts)
        self._worker = threading.Thread(target=self._work, name="engine", daemon=True)
        self._worker.start()
        # A thread that still decodes while Python is taken down takes the process with it.
        atexit.register(self.close)

    @property
    def is_open(self) -> bool:
        """True until `close` is called."""
        return self._queue.is_open

    def submit(self, conversation: Conversation, options: SamplingOptions) -> Turn:
        """Queue a turn; returns at once. Its failures arrive as its last event.

        Raises:
            QueueFullError: too many turns are waiting.
            EngineClosedError: the engine is shut down.
        """
        turn = Turn()
        self._queue.put(Request(conversation, route(conversation), options, turn, time.monotonic()))
        return turn

    def prepare(self, conversation: Conversation, mode: InputMode | None = None) -> Turn:
        """Feed ahead of time what is known of a turn, so that its first token comes sooner.

        While a message is typed or spoken: the conversation so far, its attachments included. It
        is worked on while no other turn is under way, and left when one comes. The turn that is
        submitted then finds in the cache what both have in common.

        Args:
            conversation: its last message may lack what is still to come, behind what is there.
            mode: what the conversation will be, where that is more than it is now.
        Returns:
            A turn without a reply, to be waited for or cancelled.
        Raises:
            QueueFullError, EngineClosedError: see submit.
        """
        turn, chosen = Turn(), route(conversation) if mode is None else ROUTES[mode]
        options = SamplingOptions()
        self._queue.put(
            Request(conversation, chosen, options, turn, time.monotonic(), is_ahead=True)
        )
        return turn

    def close(self) -> None:
        """Cancel everything under way and end the worker."""
        atexit.unregister(self.close)
        self._queue.close()
        self._worker.join()

    def _work(self) -> None:
        try:
            while self._queue.is_open:
                try:
                    self.step()
                except Exception as error:
                    self._begin_anew(error)
        except Exception:
            LOGGER.critical("the engine cannot go on: start Triad again", exc_info=True)
        finally:
            self._queue.close()
            for row in self._under_way():
                row.turn.cancel()
                self._guard([row], self._end_cancelled)
            while request := self._queue.next(is_idle=True):
                request.turn.emit(TurnFailed(CLOSED, False))

    def _begin_anew(self, error: Exception) -> None:
        """A fault of ours: every row is told and given up with the cache; others come."""
        rows = self._under_way()
        for row in rows:
            row.slot = -1  # there is nothing to give back one by one
        try:
            self._model.forget_recordings()
            self._kv = self._no_kv_rows()
        finally:
            for row in rows:
                self._fail(row, error)

    def _end_cancelled(self, rows: Sequence[Row]) -> None:
        self._finish(rows[0], "cancelled")

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
        if self._queue.has_waiting:
            self._end_work_ahead()  # it may have the only place
        while self._has_room() and (request := self._queue.next(is_idle=not self._rows)):
            self._end_work_ahead()  # or somebody came just now
            row = self._prepare(request)
            if row is not None and not self._place(row):
                self._postponed = row

    def _end_work_ahead(self) -> None:
        """Make way for a turn that somebody waits for; what was fed is there for it."""
        for row in [row for row in self._rows if row.is_ahead]:
            self._finish(row, "cancelled")

    def _has_room(self) -> bool:
        is_free = len(self._rows) < self._options.max_rows and self._postponed is None
        return is_free and self._queue.is_open

    def _row_of(self, request: Request) -> Row:
        tokenizer = self._processor.tokenizer
        row = Row(request.turn, request.route, request.options, tokenizer, request.is_ahead)
        row.times.submitted_s, row.times.admitted_s = request.submitted_s, time.monotonic()
        return row

    def _prepare(self, request: Request) -> Row | None:
        """Decode media, check the length; None when that failed or was cancelled."""
        try:
            row = self._row_of(request)
        except Exception as error:
            self._tell_failed(request.turn, error)
            return None
        if row.turn.is_cancelled:
            self._finish(row, "cancelled")
            return None
        try:
            row.turn.emit(RouteSelected(row.route))
            inputs = self._processor.inputs(request.conversation, self._num_context_tokens)
            inputs = replace(inputs, route=row.route)
            keys = inputs.keys(self._model.placeholder_ids)
            regime = self._model.rope_regime(len(keys))
            row.begin(inputs, Prefix(keys, row.route, regime), self._num_context_tokens)
            row.times.inputs_ready_s = time.monotonic()
        except Exception as error:
            self._fail(row, error)
            return None
        return row

    def _place(self, row: Row) -> bool:
        """Give the row its place in the cache; False when it has to wait for others to end."""
        try:
            place = self._kv.take(row.prefix, row.max_tokens)
        except Exception as error:
            self._fail(row, error)
            return True
        if place is None:
            return False
        row.slot, row.num_reused_tokens = place.row, place.num_reused
        row.kv_bytes = self._kv.cache.capacity(row.slot) * self._kv.cache.token_bytes
        row.logits = row.prompt_logits = place.logits
        self._rows.append(row)
        self._guard([row], self._encode)
        return True

    def _encode(self, rows: Sequence[Row]) -> None:
        """Embed what of a row's prompt is not in the cache yet, media in their places."""
        (row,) = rows
        try:
            if row.logits is None:
                check = partial(self._check, row.turn)
                row.pending = self._model.embed(row.inputs, check, row.num_reused_tokens)
            row.times.encoded_s = time.monotonic()
        except TurnCancelledError:
            self._finish(row, "cancelled")

    def _check(self, turn: Turn) -> None:
        """Go on with a turn only while somebody wants it.

        Raises:
            TurnCancelledError: nobody does; or the engine is closed, which waits for no encoding.
        """
        if not self._queue.is_open:
            turn.cancel()
        turn.check()

    def _no_kv_rows(self) -> KvRows:
        """A cache that holds nothing yet."""
        num_rows = self._options.max_rows + self._options.num_kept_rows
        budget = self._options.kv_bytes or device_memory_bytes(self._model.device) // 4
        cache = self._model.new_kv_cache(num_rows, 0)
        return KvRows(cache, budget, keeps=self._options.num_kept_rows > 0)

    def _drop_cancelled(self) -> None:
        """End what was cancelled: rows, and turns that still wait."""
        rows = [row for row in self._under_way() if row.turn.is_cancelled]
        for row in [*rows, *(self._row_of(request) for request in self._queue.take_cancelled())]:
            self._finish(row, "cancelled")

    def _under_way(self) -> list[Row]:
        return [*self._rows, *([self._postponed] if self._postponed else [])]

    def _prefill_chunk(self, rows: Sequence[Row]) -> None:
        """Feed the next chunk of one row's prompt."""
        self._feeder.prefill(rows[0], self._kv.cache)

    def _decode(self, rows: Sequence[Row]) -> None:
        """Feed every row's last token."""
        self._feeder.decode(rows, self._kv.cache)

    def _sample(self, rows: Sequence[Row]) -> None:
        """Choose a row's next token, and those after it that were fed ahead and are right."""
        (row,) = rows
        if row.is_ahead:
            self._finish(row, "stop")
            return
        while row.logits is not None:
            self._take_token(row, row.sampler.next_token(row.logits))
            if row.takes_draft():
                self._kv.cache.advance(row.slot, 1)

    def _take_token(self, row: Row, token_id: int) -> None:
        """Tell a row's listeners of a token; end the row when it is done."""
        row.logits = None
        is_stop = token_id in self._stop_ids
        row.times.sampled(is_stop)
        if is_stop:
            self._finish(row, "stop")
            return
        row.add(token_id)
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
        self._remove(row, keeps=True)
        self._tell(row, row.text.finish(is_whole=reason == "stop"))
        stats = row.stats()
        LOGGER.info("turn %s: %s", reason, stats.as_dict())
        row.turn.emit(TurnFinished(row.text.text, reason, stats))

    def _fail(self, row: Row, error: Exception) -> None:
        self._remove(row)
        if not row.turn.is_over:
            self._tell_failed(row.turn, error)

    def _tell_failed(self, turn: Turn, error: Exception) -> None:
        if is_out_of_memory(error) or isinstance(error, OutOfMemoryError):
            self._kv.forget()
            self._model.forget_media()
            self._model.forget_recordings()
            error = OutOfMemoryError(
                "There is not enough memory for this turn: "
                "close other programs, or send less text and smaller media."
            )
        if isinstance(error, TriadError):
            turn.emit(TurnFailed(str(error), isinstance(error, BadInputError)))
            return
        LOGGER.error("a turn failed", exc_info=error)
        sentence = "The assistant failed on this turn: send it again, or start a new chat."
        turn.emit(TurnFailed(sentence, False))

    def _remove(self, row: Row, keeps: bool = False) -> None:
        """Take a row out; the cache keeps what it fed where that is sound."""
        self._rows = [other for other in self._rows if other is not row]
        self._postponed = None if self._postponed is row else self._postponed
        if row.slot >= 0:
            if keeps:
                self._kv.give_back(row.slot, row.kept(self._kv.cache))
            else:
                self._kv.drop(row.slot)
            row.slot = -1
        if not self._options.num_kept_rows:
            self._model.forget_media()
            self._processor.forget_media()
