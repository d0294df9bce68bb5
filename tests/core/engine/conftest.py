"""Engines on the tiny checkpoint, and samplers that note or play their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from core import row as row_module
from core.engine import Engine, EngineOptions
from core.model import Model
from core.processor import Processor
from core.tokenizer import Tokenizer
from tests.core.engine.harness import (
    OPTIONS,
    Gate,
    Script,
    Start,
    Turns,
    recorder,
    scripted,
)
from tests.tiny_tokenizer import tiny_tokenizer_json


@pytest.fixture(scope="module")
def processor(model: Model) -> Processor:
    return Processor(Tokenizer(tiny_tokenizer_json()), model.config, max_crops=2)


@pytest.fixture
def start(model: Model, processor: Processor) -> Iterator[Callable[[EngineOptions], Engine]]:
    """Starts engines, which are closed when the test is over."""
    engines: list[Engine] = []

    def new(options: EngineOptions) -> Engine:
        engines.append(Engine(model, processor, options))
        return engines[-1]

    yield new
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(start: Start) -> Engine:
    return start(OPTIONS)


@pytest.fixture
def gate(model: Model, monkeypatch: pytest.MonkeyPatch, start: Start) -> Iterator[Gate]:
    """`start` comes before it, so that the gate is open when engines are closed."""
    gate = Gate(model.forward)
    monkeypatch.setattr(model, "forward", gate)
    yield gate
    gate.open()


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """The tokens of every turn from now on."""
    turns: Turns = []
    monkeypatch.setattr(row_module, "Sampler", recorder(turns, varied=False))
    return turns


@pytest.fixture
def varied(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """The same, with no token twice in a reply: each of its steps counts."""
    turns: Turns = []
    monkeypatch.setattr(row_module, "Sampler", recorder(turns, varied=True))
    return turns


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, processor: Processor) -> Script:
    """Makes every turn sample given tokens, and the letter a for ever after."""
    (letter,) = processor.tokenizer.encode_text("a")

    def play(token_ids: Sequence[int]) -> None:
        monkeypatch.setattr(row_module, "Sampler", scripted(token_ids, letter))

    return play
