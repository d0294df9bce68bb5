"""The bounded queue, and cancelling within one step."""

from __future__ import annotations

import pytest

from core.engine import EngineOptions
from core.errors import QueueFullError
from core.events import TurnFinished
from core.processor import Processor
from core.sampling_options import SamplingOptions
from tests.core.engine.harness import (
    HELLO,
    OPTIONS,
    SHORT,
    Gate,
    Script,
    Start,
    asked,
    events_of,
    finished,
    text_of_length,
)


def test_submit_returns_before_anything_is_computed(start: Start, gate: Gate) -> None:
    engine = start(OPTIONS)
    turns = [engine.submit(HELLO, SHORT) for _ in range(3)]
    gate.wait_for_call()
    assert not any(turn.is_over for turn in turns)
    gate.open()
    assert len({finished(turn).text for turn in turns}) == 1


def test_one_turn_more_than_may_wait_is_refused_and_taken_later(start: Start, gate: Gate) -> None:
    engine = start(EngineOptions(max_rows=1, max_queue=2))
    turns = [engine.submit(HELLO, SHORT)]
    gate.wait_for_call()
    turns += [engine.submit(HELLO, SHORT) for _ in range(2)]
    with pytest.raises(QueueFullError, match=r"^2 messages are waiting already: send yours again"):
        engine.submit(HELLO, SHORT)
    gate.open()
    assert all(finished(turn).finish_reason == "length" for turn in turns)
    assert finished(engine.submit(HELLO, SHORT)).finish_reason == "length"


def test_cancelling_takes_effect_after_the_chunk_of_prefill_under_way(
    start: Start, gate: Gate, processor: Processor
) -> None:
    turn = start(OPTIONS).submit(text_of_length(processor, 60), SHORT)
    gate.wait_for_call()
    turn.cancel()
    gate.open()
    last = finished(turn)
    assert (last.text, last.finish_reason, len(gate.calls)) == ("", "cancelled", 1)
    assert last.stats.num_prompt_tokens == 60
    assert last.stats.time_to_first_token_ms == 0.0


def test_cancelling_takes_effect_after_the_token_under_way(
    start: Start, gate: Gate, script: Script
) -> None:
    script([])
    turn = start(OPTIONS).submit(asked("x"), SamplingOptions())
    gate.wait_for_call()
    gate.pass_calls(3)  # the prompt, two tokens; a third is sampled and about to be fed
    turn.cancel()
    gate.open()
    last = finished(turn)
    assert (last.text, last.finish_reason, len(gate.calls)) == ("aaa", "cancelled", 4)
    assert last.stats.num_reply_tokens == 3


def test_a_cancelled_turn_leaves_the_others_alone(start: Start, gate: Gate, script: Script) -> None:
    script([])
    engine = start(OPTIONS)
    stays, goes = engine.submit(HELLO, SHORT), engine.submit(asked("x"), SHORT)
    gate.wait_for_call()
    gate.pass_calls(4)
    goes.cancel()
    gate.open()
    assert finished(goes).finish_reason == "cancelled"
    assert finished(stays).text == "a" * SHORT.max_new_tokens


def test_a_waiting_turn_is_cancelled_without_waiting_for_its_place(
    start: Start, gate: Gate
) -> None:
    engine = start(EngineOptions(max_rows=1, max_queue=1))
    runs = engine.submit(HELLO, SHORT)
    gate.wait_for_call()
    waits = engine.submit(HELLO, SHORT)
    waits.cancel()
    gate.pass_calls(2)
    assert waits.is_over
    assert not runs.is_over
    (last,) = events_of(waits)
    assert isinstance(last, TurnFinished)
    assert (last.text, last.finish_reason) == ("", "cancelled")
    assert not engine.submit(HELLO, SHORT).is_over, "its place in the queue is free again"
