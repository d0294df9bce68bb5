"""What tests of the engine share: conversations, a gate before the model, ends of turns.

Where a test must look into the middle of a turn, the gate lets the model's calls through one by
one, so that nothing depends on time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import pytest
import torch

from core.engine import Engine, EngineOptions
from core.events import Event, TurnFailed, TurnFinished
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.model import Model
from core.processor import Processor
from core.sampler import Sampler
from core.sampling_options import SamplingOptions
from core.turn import Turn
from tests import media
from tests.core.reference import Reference

WAIT_S: Final = 120.0  # a test that hangs fails; none is expected to come near
PICTURE: Final = ImagePart(media.picture_file(media.picture(40, 30)), "holiday.png")
SOUND: Final = AudioPart(media.sound_file(media.tone(0.3)), "greeting.wav")
# One call of the model a token, which the gate counts; with drafts, see test_drafts.py.
OPTIONS: Final = EngineOptions(max_rows=3, max_queue=4, prefill_chunk_tokens=16, drafts=False)
SHORT: Final = SamplingOptions(max_new_tokens=8)
NO_MEMORY: Final = "There is not enough memory for this turn: "
OUR_FAULT: Final = "The assistant failed on this turn: "


def asked(*parts: Part | str) -> Conversation:
    """One user message."""
    shown = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Conversation((Message(Role.USER, shown),))


BY_MODE: Final = {
    "text": asked("hello the world"),
    "vision": asked(PICTURE, "what?"),
    "speech": asked(SOUND, "say it"),
    "vision+speech": asked(PICTURE, SOUND),
}
HELLO: Final = BY_MODE["text"]


Start = Callable[[EngineOptions], Engine]


class Gate:
    """Stands before `Model.forward`: notes each call and lets it through when it is told to."""

    def __init__(self, forward: Callable[..., torch.Tensor]) -> None:
        self.calls: list[list[str | None]] = []  # the adapters of each call
        self._forward = forward
        self._asked = threading.Semaphore(0)
        self._permits = threading.Semaphore(0)
        self._is_open = False

    def __call__(self, embeddings: Any, cache: Any, rows: Any, adapters: Any) -> torch.Tensor:
        self.calls.append(list(adapters))
        self._asked.release()
        if not self._is_open:
            assert self._permits.acquire(timeout=WAIT_S), "the gate was never opened"
        return self._forward(embeddings, cache, rows, adapters)

    def wait_for_call(self) -> None:
        """Until the next call stands before the gate."""
        assert self._asked.acquire(timeout=WAIT_S), "the model was not asked"

    def pass_calls(self, num: int) -> None:
        """Let so many calls through, and wait until the next stands before the gate."""
        for _ in range(num):
            self._permits.release()
            self.wait_for_call()

    def open(self) -> None:
        """Let everything through from now on."""
        self._is_open = True
        self._permits.release()


Turns = list[list[int]]


def recorder(turns: Turns, varied: bool) -> type[Sampler]:
    """A sampler that notes the tokens of every turn, one list a turn, and may vary them."""

    class Recorder(Sampler):
        def __init__(self, options: SamplingOptions) -> None:
            super().__init__(options)
            self._ids: list[int] = []
            turns.append(self._ids)

        def next_token(self, logits: torch.Tensor) -> int:
            shown = without(logits, self._ids) if varied else logits
            self._ids.append(super().next_token(shown))
            return self._ids[-1]

    return Recorder


def scripted(token_ids: Sequence[int], then: int) -> type[Sampler]:
    """A sampler that plays given tokens in every turn, and one more for ever after."""

    class Scripted(Sampler):
        def __init__(self, options: SamplingOptions) -> None:
            super().__init__(options)
            self._rest = iter(token_ids)

        def next_token(self, logits: torch.Tensor) -> int:
            return next(self._rest, then)

    return Scripted


def without(logits: torch.Tensor, token_ids: list[int]) -> torch.Tensor:
    """Logits under which no token comes twice; random weights love to repeat themselves."""
    return logits.index_fill(0, torch.tensor(token_ids, dtype=torch.int64), -torch.inf)


Script = Callable[[Sequence[int]], None]


def events_of(turn: Turn) -> list[Event]:
    """All of a turn's events; fails where it hangs."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: list(turn.events())).result(timeout=WAIT_S)


def finished(turn: Turn) -> TurnFinished:
    """The last event of a turn that was answered."""
    last = events_of(turn)[-1]
    assert isinstance(last, TurnFinished), last
    return last


def failed(turn: Turn) -> TurnFailed:
    """The last event of a turn that could not be answered: one sentence."""
    last = events_of(turn)[-1]
    assert isinstance(last, TurnFailed), last
    assert "\n" not in last.message
    assert last.message.endswith(".")
    return last


def answer(engine: Engine, conversation: Conversation, options: SamplingOptions = SHORT) -> str:
    """A turn's whole reply."""
    return finished(engine.submit(conversation, options)).text


def reference_ids(
    reference: Reference, processor: Processor, conversation: Conversation, varied: bool
) -> list[int]:
    """Tokens by transformers, every one from a fresh run over the whole sequence."""
    inputs = processor.inputs(conversation)
    stops = {processor.tokenizer.control_id(name) for name in ("<|end|>", "<|endoftext|>")}
    ids: list[int] = []
    while len(ids) < SHORT.max_new_tokens and not stops & set(ids):
        logits = reference.logits(inputs)[-1]
        ids.append(int((without(logits, ids) if varied else logits).argmax()))
        inputs = replace(inputs, token_ids=torch.cat((inputs.token_ids, torch.tensor(ids[-1:]))))
    return ids


def text_of_length(processor: Processor, num_tokens: int, extra: str = "") -> Conversation:
    """A conversation that takes exactly so many tokens."""
    num_template = processor.inputs(asked("")).num_tokens
    letters = "abcdfgjk" * num_tokens  # no two neighbours merge
    conversation = asked(extra + letters[: num_tokens - num_template - len(extra)])
    assert processor.inputs(conversation).num_tokens == num_tokens
    return conversation


def fail_once(
    monkeypatch: pytest.MonkeyPatch, model: Model, method: str, error: Exception, at: int = 0
) -> None:
    """Make one call of a method of the model raise, the first unless another is given."""
    real, calls = getattr(model, method), iter(range(10**6))

    def call(*args: Any) -> Any:
        if next(calls) == at:
            raise error
        return real(*args)

    monkeypatch.setattr(model, method, call)
