"""Many turns of every route, coming and going as they like: each says what it says alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, get_args

import pytest
import torch

from app.samples import load_samples
from core.assistant import Assistant, open_assistant
from core.config import KvCacheDtype, ModelOptions
from core.engine import EngineOptions
from core.events import TextDelta, TurnFinished
from core.hub import BUNDLED_FOLDER
from core.messages import Conversation, Message, Role, TextPart
from core.model import Model
from core.processor import Processor
from core.router import route
from core.sampling_options import SamplingOptions
from core.turn import Turn
from tests.core.engine.harness import (
    HELLO,
    OPTIONS,
    SHORT,
    Gate,
    Start,
    asked,
    finished,
    text_of_length,
)

SAMPLES: Final = BUNDLED_FOLDER.parent / "samples"
NUM_TURNS: Final = 64
CANCELLED_SHARE: Final = 0.2
Request = tuple[Conversation, SamplingOptions]


# Sums of many numbers end a little elsewhere when there are more rows. In int8 that little can be
# what a key or a value needs to be rounded to the next level.
MOST_APART: Final[dict[KvCacheDtype, float]] = {"auto": 1e-3, "int8": 5e-2}


@pytest.fixture(params=get_args(KvCacheDtype))
def kv_cache(request: pytest.FixtureRequest) -> KvCacheDtype:
    """What keys and values are kept in."""
    kept: KvCacheDtype = request.param
    return kept


@pytest.fixture
def bundled(
    bundled_folder: Path, kv_cache: KvCacheDtype
) -> Iterator[Callable[[EngineOptions], Assistant]]:
    """Opens the bundled model; in float32, where the number of rows does not change a token."""
    opened: list[Assistant] = []

    def start(options: EngineOptions) -> Assistant:
        exact = ModelOptions(device="cpu", dtype="float32", kv_cache=kv_cache)
        opened.append(open_assistant(None, exact, engine_options=options))
        return opened[-1]

    yield start
    for assistant in opened:
        assistant.close()


def requests() -> list[Request]:
    """Every sample, some of them with a turn before or another sampling, and long questions."""
    first = [Conversation((Message(Role.USER, sample.parts),)) for sample in load_samples(SAMPLES)]
    later = [
        Conversation(
            (
                *conversation.messages,
                Message(Role.ASSISTANT, (TextPart("A triangle has 3 sides."),)),
                Message(Role.USER, (TextPart("What is 4 plus 5?"),)),
            )
        )
        for conversation in first[::2]
    ]
    long = [asked("What is 1 plus 1? " * num) for num in (40, 90)]
    varied = SamplingOptions(24, temperature=0.8, top_p=0.9)
    return [
        *((conversation, SamplingOptions(32)) for conversation in (*first, *later, *long)),
        *((conversation, replace(varied, seed=i)) for i, conversation in enumerate(first)),
    ]


def test_random_turns_side_by_side_say_what_each_says_alone(
    bundled: Callable[[EngineOptions], Assistant],
) -> None:
    kinds = requests()
    assert len({route(conversation).label for conversation, _ in kinds}) == 4
    assistant = bundled(EngineOptions(num_kept_rows=0, drafts=False))
    alone = [finished(assistant.submit(*kind)).text for kind in kinds]
    assistant = bundled(EngineOptions(max_queue=NUM_TURNS, prefill_chunk_tokens=48))
    rng = random.Random(0)
    chosen = [rng.randrange(len(kinds)) for _ in range(NUM_TURNS)]
    turns: list[Turn] = []
    cancelled: set[int] = set()
    for number, kind in enumerate(chosen):
        turns.append(assistant.submit(*kinds[kind]))
        if rng.random() < CANCELLED_SHARE:
            cancelled.add(number)
            if rng.random() < 0.6:  # some before they began, some in the middle
                _wait_for_words(turns[number])
            turns[number].cancel()
        elif rng.random() < 0.3:
            _wait_for_words(turns[rng.randrange(len(turns))])
    replies = [finished(turn) for turn in turns]
    for number, (reply, kind) in enumerate(zip(replies, chosen, strict=True)):
        if reply.finish_reason == "cancelled":
            assert number in cancelled
            assert alone[kind].startswith(reply.text)
        else:
            assert reply.text == alone[kind]
    assert len(cancelled) > 4
    assert sum(reply.finish_reason == "cancelled" for reply in replies) > 0
    assert sum(reply.stats.num_reused_tokens > 0 for reply in replies) > NUM_TURNS // 4


def test_logits_side_by_side_are_those_of_a_row_alone(
    bundled: Callable[[EngineOptions], Assistant],
    kv_cache: KvCacheDtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[torch.Tensor] = []
    forward = Model.forward

    def kept(model: Model, *args: Any, **kwargs: Any) -> torch.Tensor:
        said.append(forward(model, *args, **kwargs).clone())
        return said[-1]

    monkeypatch.setattr(Model, "forward", kept)
    assistant = bundled(EngineOptions(num_kept_rows=0, drafts=False))
    sample = next(it for it in load_samples(SAMPLES) if it.title == "Describe a picture")
    request = Conversation((Message(Role.USER, sample.parts),)), SamplingOptions(32)
    finished(assistant.submit(*request))
    alone = [logits for logits in said if len(logits) == 1]
    said.clear()
    for turn in [assistant.submit(*request) for _ in range(4)]:
        finished(turn)
    side_by_side = torch.cat([logits for logits in said if len(logits) > 1])
    assert len(alone) > 8
    for logits in alone[1:]:  # the first ends the prompt, which is read alone
        apart = (side_by_side - logits).abs().amax(1)
        assert float(apart.min()) < MOST_APART[kv_cache]
        # Another step's are far away: it is this one's that were found.
        assert float(apart.median()) > 100 * MOST_APART[kv_cache]


def _wait_for_words(turn: Turn) -> None:
    """Until the turn has said something, or is over."""
    for event in turn.events():
        if isinstance(event, TextDelta | TurnFinished):
            return


def test_a_long_prompt_holds_rows_that_decode_up_for_one_chunk_at_a_time(
    start: Start, model: Model, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_chunks = 5
    long = text_of_length(processor, num_chunks * OPTIONS.prefill_chunk_tokens)
    fed: list[tuple[int, int]] = []  # rows and tokens of each call
    forward = model.forward

    def note(embeddings: torch.Tensor, *others: Any) -> torch.Tensor:
        fed.append((embeddings.shape[0], embeddings.shape[1]))
        return forward(embeddings, *others)

    gate = Gate(note)
    monkeypatch.setattr(model, "forward", gate)
    engine = start(OPTIONS)
    talking = engine.submit(HELLO, SamplingOptions(max_new_tokens=30))
    gate.wait_for_call()
    reading = engine.submit(long, SHORT)
    gate.open()
    finished(talking), finished(reading)
    chunk = (1, OPTIONS.prefill_chunk_tokens)
    chunks = [number for number, call in enumerate(fed) if call == chunk]
    assert len(chunks) >= num_chunks
    long_ones = chunks[-num_chunks:]
    between = [fed[a + 1 : b] for a, b in pairwise(long_ones)]
    assert between == [[(1, 1)]] * (num_chunks - 1), "one token of the other row a chunk"
