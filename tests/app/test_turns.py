"""Turns under way: one a chat, and no reply is lost without a word."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from app.history import History, Outcome
from app.turns import NOT_SAVED, LiveTurn, RunningTurns
from core.messages import Message, Role, TextPart
from core.sampling_options import SamplingOptions
from tests.fakes import FakeAssistant

OPTIONS = SamplingOptions()


def ask(history: History) -> None:
    history.append("me", "chat", Message(Role.USER, (TextPart("one two three"),)))


def test_two_starts_at_once_leave_one_turn_running(history: History) -> None:
    ask(history)
    assistant = FakeAssistant(pause_s=0.5)
    turns = RunningTurns(assistant, history)

    async def start_both() -> LiveTurn | None:
        await asyncio.gather(*(turns.start("chat", page, OPTIONS) for page in ("a", "b")))
        running = turns.of("chat")
        cancelled = [turn.is_cancelled for turn in assistant.turns]
        assert cancelled == [True, False]
        await turns.stop_all()
        return running

    assert asyncio.run(start_both()) is not None


def test_reply_that_cannot_be_saved_is_still_shown(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(chat: str, text: str, outcome: Outcome) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    ask(history)
    monkeypatch.setattr(history, "reply", full)

    async def answered() -> LiveTurn:
        live = await RunningTurns(FakeAssistant(), history).start("chat", "page", OPTIONS)
        assert live is not None
        await live.saved()
        return live

    unsaved = asyncio.run(answered()).unsaved
    assert unsaved is not None
    assert unsaved.message.text == "You said: one two three"
    assert unsaved.outcome.failure == NOT_SAVED
