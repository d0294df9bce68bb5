"""Turns wait for memory; closing ends every turn."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from core.engine import Engine, EngineOptions
from core.errors import EngineClosedError
from core.events import TurnFailed
from core.kv_cache import GRAIN_TOKENS, KVCache
from core.model import Model
from core.processor import Processor
from core.sampling_options import SamplingOptions
from tests.core.engine.harness import (
    HELLO,
    NO_MEMORY,
    OPTIONS,
    SHORT,
    WAIT_S,
    Gate,
    Script,
    Start,
    answer,
    asked,
    failed,
    finished,
    text_of_length,
)


def options_for(model: Model, num_tokens: int) -> EngineOptions:
    """Memory for so many tokens of all rows together."""
    token_bytes = model.new_kv_cache(1, 0).token_bytes
    return replace(OPTIONS, kv_bytes=num_tokens * token_bytes)


@pytest.mark.usefixtures("varied")
def test_a_turn_that_does_not_fit_waits_for_memory_and_all_answer_as_alone(
    start: Start, model: Model, processor: Processor, gate: Gate
) -> None:
    gate.open()
    conversations = [asked("hello"), text_of_length(processor, 40), asked("the world")]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    gate.calls.clear()
    engine = start(options_for(model, GRAIN_TOKENS))
    turns = [engine.submit(conversation, SHORT) for conversation in conversations]
    assert [finished(turn).text for turn in turns] == alone
    assert {len(adapters) for adapters in gate.calls} == {1}, "one after the other"


def test_a_turn_that_waits_for_memory_can_be_cancelled(
    start: Start, model: Model, gate: Gate, script: Script
) -> None:
    script([])
    engine = start(options_for(model, GRAIN_TOKENS))
    runs = engine.submit(asked("x"), SHORT)
    gate.wait_for_call()
    waits = engine.submit(asked("y"), SHORT)
    gate.pass_calls(2)
    waits.cancel()
    gate.pass_calls(2)
    assert waits.is_over
    assert not runs.is_over
    gate.open()
    assert finished(waits).finish_reason == "cancelled"
    assert finished(runs).text == "a" * SHORT.max_new_tokens


def test_a_row_for_which_there_is_no_memory_fails_its_turn_alone(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer(start(OPTIONS), HELLO)
    real, calls = KVCache.reserve, iter(range(10**6))

    def reserve(cache: KVCache, row: int, num_tokens: int) -> None:
        if next(calls) in (1, 2):  # again, when all that was kept is forgotten
            raise MemoryError
        real(cache, row, num_tokens)

    monkeypatch.setattr(KVCache, "reserve", reserve)
    engine = start(OPTIONS)
    turns = [engine.submit(conversation, SHORT) for conversation in (HELLO, asked("x"), HELLO)]
    assert failed(turns[1]).message.startswith(NO_MEMORY)
    assert [finished(turns[0]).text, finished(turns[2]).text] == [before] * 2


def test_closing_ends_every_turn_and_refuses_new_ones(start: Start, gate: Gate) -> None:
    engine = start(EngineOptions(max_rows=1, max_queue=2))
    runs = engine.submit(HELLO, SamplingOptions())
    gate.wait_for_call()
    gate.pass_calls(2)
    waiting = [engine.submit(HELLO, SHORT) for _ in range(2)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    while engine.is_open:
        time.sleep(0.001)
    gate.open()
    closing.join(WAIT_S)
    assert not closing.is_alive()
    assert finished(runs).finish_reason == "cancelled"
    assert [failed(turn) for turn in waiting] == [
        TurnFailed("The assistant is shut down: start it again.", False)
    ] * 2
    with pytest.raises(EngineClosedError, match=r"^The assistant is shut down: start it again\.$"):
        engine.submit(HELLO, SHORT)


def test_an_idle_engine_closes_and_may_be_closed_again(engine: Engine) -> None:
    assert engine.is_open
    engine.close()
    engine.close()
    assert not engine.is_open
