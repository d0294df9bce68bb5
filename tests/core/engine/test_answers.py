"""The tokens of every route are those of transformers with the right adapter."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from core.engine import Engine
from core.events import RouteSelected, TextDelta, TurnFinished
from core.model import Model
from core.processor import Processor
from core.router import route
from core.sampling_options import SamplingOptions
from tests.core.engine.harness import (
    BY_MODE,
    HELLO,
    OPTIONS,
    SHORT,
    SOUND,
    WAIT_S,
    Gate,
    Script,
    Start,
    Turns,
    answer,
    asked,
    events_of,
    finished,
    reference_ids,
    text_of_length,
)
from tests.core.reference import Reference
from tests.tiny_checkpoint import ROPE_SWITCH


@pytest.mark.parametrize("label", list(BY_MODE))
def test_greedy_tokens_are_those_of_transformers_with_the_right_adapter(
    label: str, engine: Engine, processor: Processor, reference: Reference, sampled: Turns
) -> None:
    reply = answer(engine, BY_MODE[label])
    expected = reference_ids(reference, processor, BY_MODE[label], varied=False)
    assert sampled == [expected]
    # The reply is cut off by its length, perhaps within a character.
    assert reply == processor.tokenizer.decode(expected).rstrip("\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("label", list(BY_MODE))
def test_every_step_of_a_reply_is_that_of_transformers_with_the_right_adapter(
    label: str, engine: Engine, processor: Processor, reference: Reference, varied: Turns
) -> None:
    reply = answer(engine, BY_MODE[label])
    expected = reference_ids(reference, processor, BY_MODE[label], varied=True)
    assert varied == [expected]
    assert len(expected) > 4, "a reply this short would hide a mistake"
    # The reply is cut off by its length, perhaps within a character.
    assert reply == processor.tokenizer.decode(expected).rstrip("\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("label", list(BY_MODE))
def test_a_turn_tells_its_route_then_text_then_its_end(
    label: str, engine: Engine, processor: Processor, script: Script
) -> None:
    script([*processor.tokenizer.encode_text("Hi!")])
    conversation = BY_MODE[label]
    first, *middle, last = events_of(engine.submit(conversation, SHORT))
    assert first == RouteSelected(route(conversation))
    assert isinstance(last, TurnFinished)
    deltas = [event.text for event in middle if isinstance(event, TextDelta)]
    assert len(deltas) == len(middle) > 0
    assert all(deltas)
    assert "".join(deltas) == last.text


def test_turns_of_every_route_side_by_side_answer_as_alone(
    start: Start, model: Model, varied: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversations = [*BY_MODE.values(), asked("hello"), asked(SOUND)]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    gate = Gate(model.forward)
    monkeypatch.setattr(model, "forward", gate)
    together = start(replace(OPTIONS, max_queue=9))
    turns = [together.submit(conversation, SHORT) for conversation in conversations]
    gate.open()
    assert [finished(turn).text for turn in turns] == alone
    assert any(len(set(adapters)) == 3 for adapters in gate.calls), "all routes in one step"
    assert len(varied) == 2 * len(conversations)


def test_callers_of_many_threads_share_the_engine(start: Start) -> None:
    engine = start(replace(OPTIONS, max_queue=12))
    alone = answer(engine, HELLO)
    with ThreadPoolExecutor(6) as pool:
        replies = [pool.submit(answer, engine, HELLO) for _ in range(12)]
        assert {reply.result(timeout=WAIT_S) for reply in replies} == {alone}


def test_a_seed_gives_the_same_reply_and_another_seed_another(engine: Engine) -> None:
    def reply(seed: int) -> str:
        return answer(engine, HELLO, SamplingOptions(20, temperature=1.5, seed=seed))

    assert reply(1) == reply(1) != reply(2)


@pytest.mark.parametrize("num_prompt_tokens", range(ROPE_SWITCH - 3, ROPE_SWITCH + 2))
def test_crossing_the_rope_switch_gives_the_tokens_of_a_fresh_run(
    num_prompt_tokens: int,
    engine: Engine,
    processor: Processor,
    reference: Reference,
    varied: Turns,
) -> None:
    conversation = text_of_length(processor, num_prompt_tokens)
    finished(engine.submit(conversation, SHORT))
    expected = reference_ids(reference, processor, conversation, varied=True)
    assert varied == [expected]
    assert num_prompt_tokens + len(expected) > ROPE_SWITCH + 1


@pytest.mark.usefixtures("varied")
def test_a_row_that_crosses_the_rope_switch_leaves_the_others_as_they_were(
    start: Start, processor: Processor
) -> None:
    crossing = [text_of_length(processor, ROPE_SWITCH - 3, extra) for extra in ("x", "y")]
    conversations = [HELLO, *crossing]
    alone = [answer(start(OPTIONS), conversation) for conversation in conversations]
    engine = start(OPTIONS)
    turns = [engine.submit(conversation, SHORT) for conversation in conversations]
    assert [finished(turn).text for turn in turns] == alone
