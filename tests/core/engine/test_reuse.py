"""A turn feeds only what the cache does not hold, and answers as if it had fed everything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.engine import Engine
from core.events import RouteSelected, TurnFinished
from core.messages import Conversation, Message, Part, Role, TextPart
from core.model import Model
from core.processor import Processor
from core.request_queue import RequestQueue
from core.router import ROUTES, InputMode
from core.sampling_options import SamplingOptions
from core.turn import Turn
from tests.core.engine.harness import (
    BY_MODE,
    OPTIONS,
    PICTURE,
    SHORT,
    SOUND,
    Gate,
    Script,
    Start,
    answer,
    asked,
    events_of,
    fail_once,
    failed,
    finished,
    text_of_length,
)
from tests.tiny_checkpoint import ROPE_SWITCH


def continued(conversation: Conversation, reply: str, *parts: Part | str) -> Conversation:
    """The conversation with its reply and another user message."""
    replied = Message(Role.ASSISTANT, (TextPart(reply),))
    return Conversation((*conversation.messages, replied, *asked(*parts).messages))


def num_fed(turn: Turn) -> int:
    """How many tokens of its prompt a turn fed."""
    stats = finished(turn).stats
    return stats.num_prompt_tokens - stats.num_reused_tokens


def note_calls(
    monkeypatch: pytest.MonkeyPatch, model: Model, method: str, calls: list[str]
) -> None:
    """Write down the method's name whenever it is called."""
    real = getattr(model, method)

    def call(*args: Any) -> Any:
        calls.append(method)
        return real(*args)

    monkeypatch.setattr(model, method, call)


@pytest.mark.usefixtures("varied")
@pytest.mark.parametrize("label", list(BY_MODE))
def test_a_follow_up_answers_as_a_fresh_engine_and_feeds_only_what_is_new(
    label: str, start: Start, processor: Processor
) -> None:
    engine = start(OPTIONS)
    reply = answer(engine, BY_MODE[label])
    conversation = continued(BY_MODE[label], reply, "and then?")
    turn = engine.submit(conversation, SHORT)
    assert finished(turn).text == answer(start(OPTIONS), conversation)
    # Its reply may be tokenized in another way than it was sampled: the prompt before it not.
    num_before = processor.inputs(BY_MODE[label]).num_tokens
    assert finished(turn).stats.num_reused_tokens >= num_before


@pytest.mark.usefixtures("varied")
@pytest.mark.parametrize("label", list(BY_MODE))
def test_the_same_question_again_feeds_nothing_and_answers_the_same(
    label: str, start: Start, gate: Gate
) -> None:
    gate.open()
    engine = start(OPTIONS)
    first = engine.submit(BY_MODE[label], SHORT)
    reply, num_calls = finished(first).text, len(gate.calls)
    again = engine.submit(BY_MODE[label], SHORT)
    assert finished(again).text == reply
    assert num_fed(again) == 0
    chunks = -(-num_fed(first) // OPTIONS.prefill_chunk_tokens)
    assert len(gate.calls) - num_calls == num_calls - chunks, "only the reply is fed again"


def test_a_medium_is_encoded_once_for_all_turns_that_have_it(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for method in ("encode_picture", "encode_sound"):
        note_calls(monkeypatch, model, method, calls)
    model.forget_media()
    engine = start(OPTIONS)
    for conversation in (BY_MODE["vision"], BY_MODE["vision+speech"], asked(PICTURE, "why?")):
        answer(engine, conversation)
    assert calls == ["encode_picture", "encode_sound"]
    answer(engine, BY_MODE["speech"])  # another projector
    assert calls == ["encode_picture", "encode_sound", "encode_sound"]


def test_what_a_cancelled_turn_has_fed_serves_the_next(
    start: Start, gate: Gate, processor: Processor
) -> None:
    conversation = text_of_length(processor, 60)
    engine = start(OPTIONS)
    turn = engine.submit(conversation, SHORT)
    gate.wait_for_call()
    gate.pass_calls(1)
    turn.cancel()
    gate.open()
    assert finished(turn).finish_reason == "cancelled"
    again = engine.submit(conversation, SHORT)
    assert num_fed(again) == 60 - 2 * OPTIONS.prefill_chunk_tokens


def test_what_a_failed_turn_has_fed_is_not_used(
    start: Start, model: Model, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = text_of_length(processor, 60)
    engine = start(OPTIONS)
    fail_once(monkeypatch, model, "forward", RuntimeError("a kernel failed"), at=2)
    failed(engine.submit(conversation, SHORT))
    assert num_fed(engine.submit(conversation, SHORT)) == 60


@pytest.mark.usefixtures("varied")
def test_a_conversation_that_crosses_the_rope_switch_is_fed_anew(
    start: Start, processor: Processor
) -> None:
    conversation = text_of_length(processor, ROPE_SWITCH - 6)
    engine = start(OPTIONS)
    reply = answer(engine, conversation, replace(SHORT, max_new_tokens=3))
    longer = continued(conversation, reply, "abcdfgjk")
    assert processor.inputs(longer).num_tokens > ROPE_SWITCH
    turn = engine.submit(longer, SHORT)
    assert finished(turn).text == answer(start(OPTIONS), longer)
    assert finished(turn).stats.num_reused_tokens == 0


def test_an_engine_that_keeps_nothing_computes_everything(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    note_calls(monkeypatch, model, "encode_picture", calls)
    model.forget_media()
    engine = start(replace(OPTIONS, num_kept_rows=0))
    for _ in range(2):
        turn = engine.submit(BY_MODE["vision"], SHORT)
        assert num_fed(turn) == finished(turn).stats.num_prompt_tokens
    assert len(calls) == 2


@pytest.mark.usefixtures("varied")
def test_a_turn_finds_what_was_fed_ahead_of_it(start: Start, processor: Processor) -> None:
    conversation = asked(PICTURE, "what is it?")
    alone = answer(start(OPTIONS), conversation)
    engine = start(OPTIONS)
    ahead = engine.prepare(asked(PICTURE))
    first, last = events_of(ahead)
    assert first == RouteSelected(ROUTES[InputMode.VISION])
    assert isinstance(last, TurnFinished)
    assert (last.text, last.finish_reason, last.stats.num_reply_tokens) == ("", "stop", 0)
    turn = engine.submit(conversation, SHORT)
    assert finished(turn).text == alone
    assert finished(turn).stats.num_reused_tokens > processor.picture(PICTURE).num_tokens


@pytest.mark.usefixtures("varied")
def test_a_history_is_fed_ahead_under_the_route_it_will_have(start: Start) -> None:
    said = asked("hello the world")
    conversation = continued(said, "yes", SOUND)
    alone = answer(start(OPTIONS), conversation)
    engine = start(OPTIONS)
    finished(engine.prepare(continued(said, "yes", ""), InputMode.SPEECH))
    turn = engine.submit(conversation, SHORT)
    assert finished(turn).text == alone
    assert finished(turn).stats.num_reused_tokens > 0


def test_work_ahead_stops_for_a_turn_and_waits_for_all_others(
    start: Start, gate: Gate, processor: Processor, script: Script
) -> None:
    script([])
    engine = start(OPTIONS)
    long = text_of_length(processor, 60)
    ahead = engine.prepare(long)
    gate.wait_for_call()
    turn = engine.submit(long, SHORT)
    later = engine.prepare(asked("x"))
    gate.open()
    assert finished(ahead).finish_reason == "cancelled"
    assert num_fed(turn) == 60 - OPTIONS.prefill_chunk_tokens
    assert finished(turn).text == "a" * SHORT.max_new_tokens
    assert finished(later).finish_reason == "stop"


def test_a_turn_that_comes_at_the_last_moment_finds_what_was_fed_ahead(
    start: Start, gate: Gate, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if it came just after the engine had looked whether somebody waits.
    monkeypatch.setattr(RequestQueue, "has_waiting", False)
    engine = start(OPTIONS)
    long = text_of_length(processor, 60)
    ahead = engine.prepare(long)
    gate.wait_for_call()
    turn = engine.submit(long, SHORT)
    gate.open()
    assert finished(ahead).finish_reason == "cancelled"
    assert num_fed(turn) == 60 - OPTIONS.prefill_chunk_tokens


def test_work_ahead_can_be_cancelled_while_it_waits(start: Start, gate: Gate) -> None:
    engine = start(OPTIONS)
    runs = engine.submit(asked("x"), SamplingOptions())
    gate.wait_for_call()
    ahead = engine.prepare(asked("y"))
    ahead.cancel()
    gate.pass_calls(2)
    assert ahead.is_over
    assert not runs.is_over


def test_work_ahead_that_cannot_be_done_says_why(engine: Engine) -> None:
    broken = replace(PICTURE, data=b"no picture")
    assert failed(engine.prepare(asked(broken))).is_bad_input
