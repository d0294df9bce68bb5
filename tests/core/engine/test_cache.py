"""The cache grows for longer turns; closing ends every turn."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from core import engine as engine_module
from core.engine import Engine, EngineOptions
from core.errors import EngineClosedError
from core.events import TurnFailed
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
    fail_once,
    failed,
    finished,
    text_of_length,
)


@pytest.fixture
def cache_sizes(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Begin with a cache of 32 tokens a row; the sizes that are asked for."""
    monkeypatch.setattr(engine_module, "MIN_CACHE_TOKENS", 32)
    real, sizes = model.new_kv_cache, []

    def new(num_rows: int, num_tokens: int) -> Any:
        sizes.append(num_tokens)
        return real(num_rows, num_tokens)

    monkeypatch.setattr(model, "new_kv_cache", new)
    return sizes


@pytest.mark.usefixtures("varied")
def test_a_longer_turn_waits_for_a_larger_cache_and_all_answer_as_alone(
    start: Start, processor: Processor, cache_sizes: list[int], gate: Gate
) -> None:
    gate.open()
    conversations = [asked("hello"), text_of_length(processor, 40), asked("the world")]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    cache_sizes.clear()
    engine = start(OPTIONS)
    turns = [engine.submit(conversation, SHORT) for conversation in conversations]
    assert [finished(turn).text for turn in turns] == alone
    assert cache_sizes == [32, 64]


def test_a_turn_that_waits_for_a_larger_cache_can_be_cancelled(
    start: Start, processor: Processor, cache_sizes: list[int], gate: Gate, script: Script
) -> None:
    script([])
    engine = start(OPTIONS)
    runs = engine.submit(asked("x"), SHORT)
    gate.wait_for_call()
    grows = engine.submit(text_of_length(processor, 40), SHORT)
    gate.pass_calls(2)
    grows.cancel()
    gate.pass_calls(2)
    assert grows.is_over
    assert not runs.is_over
    gate.open()
    assert finished(grows).finish_reason == "cancelled"
    assert finished(runs).text == "a" * SHORT.max_new_tokens
    assert cache_sizes == [32]


def test_a_larger_cache_that_does_not_fit_fails_its_turn_alone(
    start: Start,
    model: Model,
    processor: Processor,
    cache_sizes: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = answer(start(OPTIONS), HELLO)
    fail_once(monkeypatch, model, "new_kv_cache", MemoryError(), at=1)
    engine = start(OPTIONS)
    turns = [
        engine.submit(conversation, SHORT)
        for conversation in (HELLO, text_of_length(processor, 60), HELLO)
    ]
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
