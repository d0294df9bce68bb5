"""Turns under way: each runs in its own task, shows its progress and saves its reply.

A turn lives on its own, not in the page's request: a page that closes cancels its turns, and
what was said until then is saved. Leaves out: what the page shows of it (pages/chat.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Final

from app.contract import AssistantLike, TurnLike
from app.history import History, Outcome, StoredMessage, as_conversation
from core.errors import TriadError
from core.events import Event, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.messages import Conversation, Message, Part, Role, TextPart
from core.router import InputMode, Route, input_mode
from core.sampling_options import SamplingOptions

LOG: Final = logging.getLogger(__name__)
MIN_UPDATE_GAP_S: Final = 0.04  # 25 updates a second look continuous and keep the page quiet
OUR_FAULT: Final = "Something went wrong inside Triad: send the message again; the log has details."

NOT_SAVED: Final = (
    "This reply could not be saved: make room on the disk with your chats, then regenerate it."
)


@dataclass(frozen=True)
class Progress:
    """What can be shown of a turn so far."""

    route: Route | None = None
    text: str = ""


class LiveTurn:
    """One turn under way.

    Args:
        turn: the engine's turn.
        history: where the reply is saved.
        conversation_id: the chat it belongs to.
        page: the page that asked, a Gradio session.

    `unsaved` is the reply once it could not be saved, else None.
    """

    def __init__(self, turn: TurnLike, history: History, conversation_id: str, page: str) -> None:
        self.conversation_id = conversation_id
        self.page = page
        self.unsaved: StoredMessage | None = None
        self._turn = turn
        self._history = history
        self._progress = Progress()
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def cancel(self) -> None:
        """Ask the engine to stop; the reply so far is saved."""
        self._turn.cancel()

    async def saved(self) -> None:
        """Wait until the reply is saved."""
        await asyncio.shield(self._task)

    def when_saved(self, callback: Callable[[], None]) -> None:
        """Have a function called once the reply is saved."""
        self._task.add_done_callback(lambda _: callback())

    async def updates(self) -> AsyncIterator[Progress]:
        """Progress as it is made, at most 25 times a second, until the reply is saved."""
        while not self._task.done():
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait({changed, self._task}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self._changed.clear()
            if not self._task.done():
                yield self._progress
                await asyncio.sleep(MIN_UPDATE_GAP_S)

    async def _run(self) -> None:
        outcome: Outcome | None = None
        try:
            async for event in self._turn.aevents():
                outcome = self._take(event) or outcome
        except Exception:
            LOG.exception("a turn broke")
        finally:
            self._turn.cancel()
        await self._save(outcome or Outcome(self._progress.route, failure=OUR_FAULT))

    async def _save(self, outcome: Outcome) -> None:
        text = self._progress.text
        try:
            await asyncio.to_thread(self._history.reply, self.conversation_id, text, outcome)
        except sqlite3.Error:
            LOG.exception("a reply could not be saved")
            message = Message(Role.ASSISTANT, (TextPart(text),) if text else ())
            self.unsaved = StoredMessage(0, message, replace(outcome, failure=NOT_SAVED))

    def _take(self, event: Event) -> Outcome | None:
        """Note one event; the last one tells how the turn came out."""
        outcome = None
        match event:
            case RouteSelected(route):
                self._progress = replace(self._progress, route=route)
            case TextDelta(text):
                self._progress = replace(self._progress, text=self._progress.text + text)
            case TurnFinished(text, finish_reason, stats):
                self._progress = replace(self._progress, text=text)
                outcome = Outcome(self._progress.route, finish_reason, stats.as_dict())
            case TurnFailed(message, _):
                outcome = Outcome(self._progress.route, failure=message)
        self._changed.set()
        return outcome


class RunningTurns:
    """Every turn under way, at most one a chat. Lives in the server's event loop."""

    def __init__(self, assistant: AssistantLike, history: History) -> None:
        self._assistant = assistant
        self._history = history
        self._turns: dict[str, LiveTurn] = {}
        self._ahead: dict[str, TurnLike] = {}  # by chat: work on a message that is not sent yet

    async def prepare(
        self, conversation_id: str, parts: tuple[Part, ...], *, will_be_spoken: bool = False
    ) -> None:
        """Work ahead on a chat's next message while the rest of it is typed or spoken.

        Args:
            parts: what is attached already.
            will_be_spoken: a sound comes with it, so that the chat takes the route of sounds.
        """
        stored = await asyncio.to_thread(self._history.messages, conversation_id)
        if conversation_id in self._turns or not (stored or parts):
            return
        open_message = Message(Role.USER, parts or (TextPart(""),))
        conversation = Conversation((*as_conversation(stored).messages, open_message))
        mode = input_mode(conversation) | (InputMode.SPEECH if will_be_spoken else 0)
        self._stop_ahead(conversation_id)
        # Nothing is lost without it, so that nobody needs to know.
        with contextlib.suppress(TriadError):
            self._ahead[conversation_id] = self._assistant.prepare(conversation, InputMode(mode))

    async def start(
        self, conversation_id: str, page: str, options: SamplingOptions
    ) -> LiveTurn | None:
        """Answer a chat's last message; None when it could not be queued, which is saved.

        Work ahead is left to the engine, which ends it: what it is reading now is wanted now.
        """
        await self.stop_answer(conversation_id)
        messages = await asyncio.to_thread(self._history.messages, conversation_id)
        # Another call may have started a turn meanwhile; its reply, saved now, is none of ours.
        while conversation_id in self._turns:
            await self.stop_answer(conversation_id)
        # Until the turn is registered nothing here waits, so that no other call comes between.
        try:
            turn = self._assistant.submit(as_conversation(messages), options)
        except TriadError as error:
            failed = Outcome(failure=str(error))
            await asyncio.to_thread(self._history.reply, conversation_id, "", failed)
            return None
        live = LiveTurn(turn, self._history, conversation_id, page)
        self._turns[conversation_id] = live
        live.when_saved(lambda: self._forget(live))
        return live

    def of(self, conversation_id: str) -> LiveTurn | None:
        """The turn of a chat that is under way, if any."""
        return self._turns.get(conversation_id)

    async def stop(self, conversation_id: str) -> None:
        """Stop all that is done for a chat which nobody looks at any more."""
        self._stop_ahead(conversation_id)
        await self.stop_answer(conversation_id)

    async def stop_answer(self, conversation_id: str) -> None:
        """Stop a chat's turn and wait until what it said is saved."""
        live = self._turns.get(conversation_id)
        if live is not None:
            live.cancel()
            await live.saved()
            self._forget(live)  # at once: its callback may still be on its way

    async def stop_page(self, page: str) -> None:
        """Stop every turn of a page that has closed."""
        for live in [live for live in self._turns.values() if live.page == page]:
            await self.stop(live.conversation_id)

    async def stop_all(self) -> None:
        """Stop every turn: the server shuts down."""
        for conversation_id in {*self._turns, *self._ahead}:
            await self.stop(conversation_id)

    def _stop_ahead(self, conversation_id: str) -> None:
        ahead = self._ahead.pop(conversation_id, None)
        if ahead is not None:
            ahead.cancel()

    def _forget(self, live: LiveTurn) -> None:
        if self._turns.get(live.conversation_id) is live:
            del self._turns[live.conversation_id]
            self._stop_ahead(live.conversation_id)  # it may still wait, and for nothing
