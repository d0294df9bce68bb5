"""A turn that fails inside the model takes no other one along."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core import feeding
from core import row as row_module
from core.engine import Engine, EngineOptions
from core.errors import EngineClosedError
from core.model import Model
from core.processor import Processor
from core.sampling_options import SamplingOptions
from tests.core.engine.harness import (
    BY_MODE,
    HELLO,
    NO_MEMORY,
    OPTIONS,
    OUR_FAULT,
    SHORT,
    WAIT_S,
    Gate,
    Start,
    answer,
    asked,
    fail_once,
    failed,
    finished,
    text_of_length,
)
from tests.tiny_checkpoint import ROPE_SWITCH


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), NO_MEMORY),
        (torch.OutOfMemoryError("CUDA out of memory."), NO_MEMORY),
        (MemoryError(), NO_MEMORY),
        (RuntimeError("a kernel failed"), OUR_FAULT),
        (AssertionError("our mistake"), OUR_FAULT),
    ],
)
@pytest.mark.parametrize(("method", "at"), [("embed", 0), ("forward", 0), ("forward", 3)])
def test_a_turn_that_fails_inside_the_model_ends_and_the_next_works(
    method: str,
    at: int,
    error: Exception,
    sentence: str,
    start: Start,
    model: Model,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = answer(start(OPTIONS), HELLO)
    engine = start(OPTIONS)
    fail_once(monkeypatch, model, method, error, at)
    failure = failed(engine.submit(HELLO, SHORT))
    assert failure.message.startswith(sentence)
    assert not failure.is_bad_input
    assert answer(engine, HELLO) == before


@pytest.mark.usefixtures("varied")
def test_a_model_that_runs_out_of_memory_for_several_rows_goes_on_one_by_one(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = list(BY_MODE.values())[:3]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    real, num_failures = model.forward, []

    def forward(embeddings: Any, cache: Any, rows: Any, adapters: Any) -> torch.Tensor:
        logits = real(embeddings, cache, rows, adapters)  # the cache has grown by the time
        if len(rows) > 1:
            num_failures.append(len(rows))
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return logits

    monkeypatch.setattr(model, "forward", forward)
    engine = start(OPTIONS)
    turns = [engine.submit(conversation, SHORT) for conversation in conversations]
    assert [finished(turn).text for turn in turns] == alone
    assert num_failures


@pytest.mark.usefixtures("varied")
def test_a_row_that_fails_in_a_shared_step_does_not_take_the_others_along(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [answer(start(OPTIONS), BY_MODE[label]) for label in ("text", "vision")]
    real = model.forward

    def forward(embeddings: Any, cache: Any, rows: Any, adapters: Any) -> torch.Tensor:
        if "speech" in adapters and embeddings.shape[1] == 1:
            raise RuntimeError("a kernel failed")
        return real(embeddings, cache, rows, adapters)

    monkeypatch.setattr(model, "forward", forward)
    engine = start(OPTIONS)
    turns = [engine.submit(BY_MODE[label], SHORT) for label in ("text", "speech", "vision")]
    assert failed(turns[1]).message.startswith(OUR_FAULT)
    assert [finished(turns[0]).text, finished(turns[2]).text] == alone


@pytest.mark.usefixtures("varied")
def test_a_row_at_the_rope_switch_survives_a_step_that_fails_for_all(
    start: Start, model: Model, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = [HELLO, asked("x"), text_of_length(processor, ROPE_SWITCH - 2)]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    real = model.forward

    def forward(embeddings: Any, cache: Any, rows: Any, adapters: Any) -> torch.Tensor:
        if len(rows) > 1:
            raise RuntimeError("too many at once")
        return real(embeddings, cache, rows, adapters)

    monkeypatch.setattr(model, "forward", forward)
    engine = start(OPTIONS)
    options = [replace(SHORT, max_new_tokens=16), replace(SHORT, max_new_tokens=16), SHORT]
    turns = [engine.submit(*pair) for pair in zip(conversations, options, strict=True)]
    replies = [finished(turn).text for turn in turns]
    assert replies[2] == alone[2]
    assert all(reply.startswith(short) for reply, short in zip(replies, alone, strict=True))


def test_a_row_that_cannot_be_fed_anew_at_the_rope_switch_is_as_it_was(
    start: Start, model: Model, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = text_of_length(processor, ROPE_SWITCH - 2)
    before = answer(start(OPTIONS), conversation)
    real, errors = torch.cat, [MemoryError()]

    def cat(*args: Any) -> torch.Tensor:
        if errors:
            raise errors.pop()
        return real(*args)

    others = SimpleNamespace(**{**vars(torch), "cat": cat})
    monkeypatch.setattr(feeding, "torch", others)
    engine = start(OPTIONS)
    turns = [engine.submit(each, replace(SHORT, max_new_tokens=16)) for each in (HELLO, HELLO)]
    assert finished(engine.submit(conversation, SHORT)).text == before
    assert all(finished(turn).finish_reason for turn in turns)
    assert not errors


def test_a_turn_that_cannot_even_begin_is_told_and_takes_no_other_along(
    start: Start, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(OPTIONS)
    runs = engine.submit(HELLO, SHORT)
    gate.wait_for_call()
    monkeypatch.setattr(row_module, "Sampler", _refuse)
    cannot = engine.submit(HELLO, SHORT)
    gate.open()
    assert failed(cannot).message.startswith(OUR_FAULT)
    assert finished(runs).finish_reason


def _refuse(_: SamplingOptions) -> None:
    raise RuntimeError("no random numbers here")


def test_a_step_that_breaks_gives_everything_up_and_the_next_turn_works(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(OPTIONS)
    before = answer(engine, HELLO)
    _break_once(monkeypatch, engine)
    assert failed(engine.submit(HELLO, SHORT)).message.startswith(OUR_FAULT)
    assert answer(engine, HELLO) == before


def test_an_engine_that_cannot_begin_anew_tells_everybody_and_closes(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = start(EngineOptions(max_rows=1))
    answer(engine, HELLO)
    monkeypatch.setattr(engine, "_no_kv_rows", _fail_always)
    _break_once(monkeypatch, engine)
    assert failed(engine.submit(HELLO, SHORT)).message
    engine._worker.join(WAIT_S)
    assert not engine._worker.is_alive()
    with pytest.raises(EngineClosedError):
        engine.submit(HELLO, SHORT)


def _fail_always() -> None:
    raise RuntimeError("the device is lost")


def _break_once(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    """Make the next step with a row under way raise, outside of what guards rows."""
    real = engine._drop_cancelled

    def call() -> None:
        if engine._rows:
            monkeypatch.setattr(engine, "_drop_cancelled", real)
            raise RuntimeError("the engine itself is at fault")
        real()

    monkeypatch.setattr(engine, "_drop_cancelled", call)


def test_closing_does_not_wait_for_an_encoding(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, begun = start(OPTIONS), threading.Event()

    def embed(_: Any, check: Callable[[], None], __: int) -> torch.Tensor:
        begun.set()
        for _ in range(round(WAIT_S / 0.01)):
            check()
            time.sleep(0.01)
        raise AssertionError("it was waited for")

    monkeypatch.setattr(model, "embed", embed)
    turn = engine.submit(HELLO, SHORT)
    assert begun.wait(WAIT_S)
    engine.close()
    assert finished(turn).finish_reason == "cancelled"
