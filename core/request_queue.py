"""Requests that wait for the engine: a bounded queue, and another for work ahead of time.

Any thread puts requests in; only the engine's worker takes them out.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Final

from core.errors import EngineClosedError, QueueFullError
from core.messages import Conversation
from core.router import Route
from core.sampling_options import SamplingOptions
from core.turn import Turn

CLOSED: Final = "The assistant is shut down: start it again."


@dataclass(frozen=True)
class Request:
    """One turn to be answered.

    Args:
        conversation: everything said so far.
        route: its adapter and audio projector.
        options: how its reply is sampled.
        turn: where its events go.
        submitted_s: when it came, of the monotonic clock.
        is_ahead: its prompt is only fed, for a turn to come.
    """

    conversation: Conversation
    route: Route
    options: SamplingOptions
    turn: Turn
    submitted_s: float
    is_ahead: bool = False


class RequestQueue:
    """First come, first served; work ahead of time comes after everything else.

    Args:
        max_length: requests that may wait, and as many ahead of time.
    """

    def __init__(self, max_length: int) -> None:
        self._max_length = max_length
        self._waiting: deque[Request] = deque()
        self._ahead: deque[Request] = deque()
        # Held to touch these or `_is_closed`; an idle worker waits on it.
        self._changed = threading.Condition()
        self._is_closed = False

    @property
    def is_open(self) -> bool:
        """True until `close` is called."""
        return not self._is_closed

    @property
    def has_waiting(self) -> bool:
        """Whether somebody waits for an answer."""
        return bool(self._waiting)

    def put(self, request: Request) -> None:
        """Queue a request.

        Raises:
            QueueFullError: too many are waiting.
            EngineClosedError: the engine is shut down.
        """
        queue = self._ahead if request.is_ahead else self._waiting
        with self._changed:
            if self._is_closed:
                raise EngineClosedError(CLOSED)
            if len(queue) >= self._max_length:
                raise QueueFullError(
                    f"{self._max_length} messages are waiting already: "
                    "send yours again in a moment."
                )
            queue.append(request)
            self._changed.notify()

    def next(self, is_idle: bool) -> Request | None:
        """The longest waiting request; None where there is none, or the engine was closed.

        Args:
            is_idle: wait for one, and take those ahead of time too.
        """
        with self._changed:
            while is_idle and not (self._waiting or self._ahead or self._is_closed):
                self._changed.wait()
            if self._waiting:
                return self._waiting.popleft()
            return self._ahead.popleft() if is_idle and self._ahead else None

    def take_cancelled(self) -> list[Request]:
        """Those that were cancelled while they waited; their places are free again."""
        with self._changed:
            queues = (self._waiting, self._ahead)
            cancelled = [each for queue in queues for each in queue if each.turn.is_cancelled]
            for request in cancelled:
                (self._ahead if request.is_ahead else self._waiting).remove(request)
        return cancelled

    def close(self) -> None:
        """Take no more; whoever waits in `next` goes on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
