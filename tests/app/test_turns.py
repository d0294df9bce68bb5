"""Turns under way: one a chat, and no reply is lost without a word."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from app.history import History, Outcome
from app.turns import NOT_SAVED, LiveTurn, RunningTurns
from core.messages import ImagePart, Message, Part, Role, TextPart
from core.router import InputMode
from core.sampling_options import SamplingOptions
from tests.fakes import FakeAssistant
from tests.media import picture, picture_file

OPTIONS = SamplingOptions()
PICTURE = ImagePart(picture_file(picture(40, 30)))


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


def prepared(
    history: History, *parts: Part, will_be_spoken: bool = False
) -> tuple[FakeAssistant, RunningTurns]:
    """An assistant that was told what is known of a chat's next message."""
    assistant = FakeAssistant()
    turns = RunningTurns(assistant, history)
    asyncio.run(turns.prepare("chat", parts, will_be_spoken=will_be_spoken))
    return assistant, turns


def test_work_ahead_has_the_history_and_what_is_attached(history: History) -> None:
    ask(history)
    history.reply("chat", "four", Outcome())
    assistant, _ = prepared(history, PICTURE)
    (ahead,) = assistant.ahead
    said = [message.parts for message in ahead.conversation.messages]
    assert said == [(TextPart("one two three"),), (TextPart("four"),), (PICTURE,)]
    assert assistant.ahead_modes == [InputMode.VISION]


@pytest.mark.parametrize(
    ("parts", "mode"), [((PICTURE,), InputMode.VISION_SPEECH), ((), InputMode.SPEECH)]
)
def test_work_ahead_of_a_spoken_message_takes_the_route_of_sounds(
    history: History, parts: tuple[Part, ...], mode: InputMode
) -> None:
    ask(history)
    history.reply("chat", "four", Outcome())
    assistant, _ = prepared(history, *parts, will_be_spoken=True)
    assert assistant.ahead_modes == [mode]


def test_work_ahead_stops_when_the_chat_is_stopped(history: History) -> None:
    assistant, turns = prepared(history, PICTURE)
    asyncio.run(turns.stop("chat"))
    assert assistant.ahead[0].is_cancelled


def test_a_new_chat_without_an_attachment_has_nothing_to_work_on(history: History) -> None:
    assistant, _ = prepared(history)
    assert not assistant.ahead


def test_work_ahead_stops_for_newer_work_and_when_the_turn_itself_is_over(
    history: History,
) -> None:
    assistant, turns = prepared(history, PICTURE)
    ask(history)

    async def go_on() -> None:
        await turns.prepare("chat", (PICTURE,))
        assert [ahead.is_cancelled for ahead in assistant.ahead] == [True, False]
        live = await turns.start("chat", "page", OPTIONS)
        assert live is not None
        # What is being read is what the turn needs: the engine itself makes way for it.
        assert [ahead.is_cancelled for ahead in assistant.ahead] == [True, False]
        await turns.prepare("chat", (PICTURE,))
        assert len(assistant.ahead) == 2, "a turn is under way"
        await turns.stop_answer("chat")
        assert [ahead.is_cancelled for ahead in assistant.ahead] == [True, True]

    asyncio.run(go_on())


def test_work_ahead_stops_when_the_server_shuts_down(history: History) -> None:
    assistant, turns = prepared(history, PICTURE)
    asyncio.run(turns.stop_all())
    assert assistant.ahead[0].is_cancelled


def test_work_ahead_that_is_refused_is_no_failure(history: History) -> None:
    assistant = FakeAssistant(is_closed=True)
    asyncio.run(RunningTurns(assistant, history).prepare("chat", (PICTURE,)))
    assert not assistant.ahead
