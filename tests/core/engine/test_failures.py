"""A turn that fails inside the model takes no other one along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from core.model import Model
from core.processor import Processor
from tests.core.engine.harness import (
    BY_MODE,
    HELLO,
    NO_MEMORY,
    OPTIONS,
    OUR_FAULT,
    SHORT,
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
