"""A scripted assistant: streams given replies at a given pace, with the real router's routes.

It stands at the app's swap point (app/contract.py). Leaves out: any understanding.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from core.errors import EngineClosedError
from core.events import Event, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.messages import Conversation
from core.router import InputMode, route
from core.sampling_options import SamplingOptions
from core.stats import TurnStats

DEFAULTS: Final = SamplingOptions()
Script = Callable[[Conversation], str | TurnFailed]


@dataclass(frozen=True)
class FakeModelInfo:
    """A model that is not there."""

    name: str = "Triad Small"
    is_bundled: bool = True
    about: str = "This small model knows **shapes, colours and counting** in English."
    device: str = "cpu"
    dtype: str = "float32"
    quantization: str = "none"
    num_context_tokens: int = 2048


def echo(conversation: Conversation) -> str:
    """The script used unless another is given: repeats the last message's text."""
    return f"You said: {conversation.messages[-1].text or 'something without words'}"


class FakeTurn:
    """One scripted turn, a word every `pause_s` seconds."""

    def __init__(self, conversation: Conversation, reply: str | TurnFailed, pause_s: float) -> None:
        self.conversation = conversation
        self._reply = reply
        self._pause_s = pause_s
        self._cancelled = threading.Event()
        self._num_words = 0

    @property
    def num_words_said(self) -> int:
        """How far the turn got."""
        return self._num_words

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """Stop before the next word."""
        self._cancelled.set()

    def events(self) -> Iterator[Event]:
        """Route, words, end; blocks between words."""
        yield RouteSelected(route(self.conversation))
        if isinstance(self._reply, TurnFailed):
            self._cancelled.wait(self._pause_s)
            yield self._reply
            return
        said = ""
        for word in self._reply.split(" "):
            if self._cancelled.wait(self._pause_s):
                break
            delta = word if not said else f" {word}"
            said += delta
            self._num_words += 1
            yield TextDelta(delta)
        yield TurnFinished(said, "cancelled" if said != self._reply else "stop", self._stats())

    async def aevents(self) -> AsyncIterator[Event]:
        """The same, without blocking the event loop."""
        events = self.events()
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    def _stats(self) -> TurnStats:
        pause_ms = self._pause_s * 1000
        return TurnStats(
            num_prompt_tokens=10,
            num_reply_tokens=self._num_words,
            prefill_ms=pause_ms,
            decode_ms=pause_ms * max(0, self._num_words - 1),
            time_to_first_token_ms=pause_ms,
        )


@dataclass
class FakeAssistant:
    """Answers by script and remembers what it was asked.

    Args:
        script: conversation -> reply, or the failure to report.
        pause_s: time before each word.
        is_ready: what /health is told.
    """

    script: Script = echo
    pause_s: float = 0.02
    is_ready: bool = True
    info: FakeModelInfo = FakeModelInfo()
    turns: list[FakeTurn] = field(default_factory=list)
    options: list[SamplingOptions] = field(default_factory=list)
    ahead: list[FakeTurn] = field(default_factory=list)
    ahead_modes: list[InputMode | None] = field(default_factory=list)
    is_closed: bool = False

    def submit(self, conversation: Conversation, options: SamplingOptions = DEFAULTS) -> FakeTurn:
        """Start a scripted turn."""
        if self.is_closed:
            raise EngineClosedError("The engine is shut down: start Triad again.")
        turn = FakeTurn(conversation, self.script(conversation), self.pause_s)
        self.turns.append(turn)
        self.options.append(options)
        return turn

    def prepare(self, conversation: Conversation, mode: InputMode | None = None) -> FakeTurn:
        """Remember what was known of a turn to come."""
        if self.is_closed:
            raise EngineClosedError("The engine is shut down: start Triad again.")
        self.ahead.append(FakeTurn(conversation, "", self.pause_s))
        self.ahead_modes.append(mode)
        return self.ahead[-1]

    def reset(self) -> None:
        """As good as new: for tests that share a server."""
        for turn in self.turns:
            turn.cancel()
        self.script, self.pause_s, self.is_ready, self.is_closed = echo, 0.02, True, False
        self.turns, self.options, self.ahead, self.ahead_modes = [], [], [], []

    def close(self) -> None:
        """Refuse turns from now on and stop those under way."""
        self.is_closed = True
        for turn in self.turns:
            turn.cancel()
