"""A turn under way: its events, readable from any thread and any event loop; its cancel flag."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final

from core.events import Event, TurnFailed, TurnFinished

LAST_EVENTS: Final = (TurnFinished, TurnFailed)


class TurnCancelledError(Exception):
    """The turn was cancelled while long work was done for it; only the engine sees this."""


class Turn:
    """What `submit` returns at once. Every reader gets every event, in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []
        self._listeners: list[Callable[[Event], None]] = []
        self._is_cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop the turn within one token. Calling it again, or too late, does nothing."""
        self._is_cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        """True once somebody has cancelled it."""
        return self._is_cancelled.is_set()

    def check(self) -> None:
        """Do nothing, or end long work on a turn that was cancelled.

        Raises:
            TurnCancelledError: somebody has cancelled it.
        """
        if self.is_cancelled:
            raise TurnCancelledError

    @property
    def is_over(self) -> bool:
        """True once its last event is out."""
        with self._lock:
            return bool(self._events) and isinstance(self._events[-1], LAST_EVENTS)

    def emit(self, event: Event) -> None:
        """Tell all readers; for the engine."""
        with self._lock:
            assert not (self._events and isinstance(self._events[-1], LAST_EVENTS))
            self._events.append(event)
            listeners = tuple(self._listeners)
            for listener in listeners:
                listener(event)

    def events(self) -> Iterator[Event]:
        """All events from the first to the last; waits for those to come."""
        waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._listen(waiting.put)
        while True:
            event = waiting.get()
            yield event
            if isinstance(event, LAST_EVENTS):
                return

    async def aevents(self) -> AsyncIterator[Event]:
        """The same for an event loop, which is not blocked."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Queue[Event] = asyncio.Queue()

        def pass_on(event: Event) -> None:
            # The loop may be gone when the reader left before the turn was over, and it may go
            # at any moment: asking whether it is closed would not do.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(waiting.put_nowait, event)

        self._listen(pass_on)
        while True:
            event = await waiting.get()
            yield event
            if isinstance(event, LAST_EVENTS):
                return

    def _listen(self, listener: Callable[[Event], None]) -> None:
        with self._lock:
            for event in self._events:
                listener(event)
            self._listeners.append(listener)
