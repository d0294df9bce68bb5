"""How a reply ends: stop tokens, stop strings, so many tokens, a full context."""

from __future__ import annotations

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
    Script,
    Start,
    events_of,
    finished,
    text_of_length,
)
from tests.tiny_checkpoint import ROPE_MAX


@pytest.mark.parametrize("name", ["<|end|>", "<|endoftext|>"])
def test_a_stop_token_ends_the_reply_and_is_no_part_of_it(
    name: str, engine: Engine, processor: Processor, script: Script
) -> None:
    tokenizer = processor.tokenizer
    script([*tokenizer.encode_text("hello"), tokenizer.control_id(name)])
    last = finished(engine.submit(HELLO, SamplingOptions()))
    assert (last.text, last.finish_reason) == ("hello", "stop")
    assert last.stats.num_reply_tokens == len(tokenizer.encode_text("hello"))


def test_a_stop_token_at_once_is_an_empty_reply(
    engine: Engine, processor: Processor, script: Script
) -> None:
    script([processor.tokenizer.control_id("<|end|>")])
    events = events_of(engine.submit(HELLO, SamplingOptions()))
    assert [type(event) for event in events] == [RouteSelected, TurnFinished]
    last = events[-1]
    assert isinstance(last, TurnFinished)
    assert (last.text, last.finish_reason, last.stats.num_reply_tokens) == ("", "stop", 0)
    assert last.stats.time_to_first_token_ms > 0.0


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        (("lo",), "hel"),
        (("world", "o"), "hell"),
        (("world!",), "hello world"),  # held back, and let go at the end
        (("hello",), ""),
    ],
)
def test_a_stop_string_ends_the_reply_before_it(
    stop: tuple[str, ...],
    text: str,
    engine: Engine,
    processor: Processor,
    script: Script,
) -> None:
    tokenizer = processor.tokenizer
    script([*tokenizer.encode_text("hello world"), tokenizer.control_id("<|end|>")])
    *events, last = events_of(engine.submit(HELLO, SamplingOptions(stop=stop)))
    assert isinstance(last, TurnFinished)
    assert (last.text, last.finish_reason) == (text, "stop")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text


@pytest.mark.parametrize("num", [1, 2, 5])
def test_a_reply_ends_after_so_many_tokens(num: int, engine: Engine, script: Script) -> None:
    script([])
    last = finished(engine.submit(HELLO, SamplingOptions(max_new_tokens=num)))
    assert (last.text, last.finish_reason) == ("a" * num, "length")
    assert last.stats.num_reply_tokens == num


@pytest.mark.parametrize("num_left", [1, 3])
def test_a_full_context_ends_the_reply(
    num_left: int, start: Start, processor: Processor, script: Script
) -> None:
    script([])
    engine = start(replace(OPTIONS, prefill_chunk_tokens=512))
    conversation = text_of_length(processor, ROPE_MAX - num_left)
    last = finished(engine.submit(conversation, SamplingOptions()))
    assert (last.text, last.finish_reason) == ("a" * num_left, "length")


def test_half_a_character_is_never_shown_where_the_reply_is_cut_off(
    engine: Engine, processor: Processor, script: Script
) -> None:
    script([*processor.tokenizer.encode_text("é")[:1]])
    last = finished(engine.submit(HELLO, SamplingOptions(max_new_tokens=1)))
    assert last.finish_reason == "length"
    assert last.text == ""


@pytest.mark.parametrize("label", list(BY_MODE))
def test_the_stages_before_the_first_token_add_up(
    label: str, engine: Engine, processor: Processor, script: Script
) -> None:
    script([])
    stats = finished(engine.submit(BY_MODE[label], SHORT)).stats
    assert stats.num_prompt_tokens == processor.inputs(BY_MODE[label]).num_tokens
    assert stats.num_reply_tokens == SHORT.max_new_tokens
    stages = (stats.queued_ms, stats.inputs_ms, stats.encode_ms, stats.prefill_ms)
    assert all(stage > 0.0 for stage in stages)
    assert sum(stages) == pytest.approx(stats.time_to_first_token_ms)
    assert stats.decode_ms > 0.0
    assert stats.memory_bytes > 2**20


@pytest.mark.parametrize("label", list(BY_MODE))
def test_decoding_reads_the_weights_of_its_route_and_the_keys_so_far(
    label: str, engine: Engine, model: Model, processor: Processor, script: Script
) -> None:
    script([])
    stats = finished(engine.submit(BY_MODE[label], SHORT)).stats
    cache = model.new_kv_cache(1, 0)
    adapter = route(BY_MODE[label]).adapter
    lengths = [stats.num_prompt_tokens + fed for fed in range(stats.num_reply_tokens - 1)]
    weights = model.num_bytes(adapter)
    expected = sum(weights + length * cache.token_bytes for length in lengths)
    assert stats.read_bytes == expected
    assert stats.kv_bytes >= (stats.num_prompt_tokens + SHORT.max_new_tokens) * cache.token_bytes
    assert stats.kv_bytes % cache.token_bytes == 0
    if adapter:
        lora = model.adapters[adapter]
        assert weights > model.num_bytes(None) + lora.rank * model.config.hidden_size
