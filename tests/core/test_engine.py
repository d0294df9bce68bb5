"""The engine on a tiny random checkpoint: what it answers, in which order, and what it survives.

Tokens are held against transformers with the right adapter. Where a test must look into the
middle of a turn, a gate lets the model's calls through one by one, so nothing depends on time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final

import pytest
import torch

from core import engine as engine_module
from core import row as row_module
from core.engine import Engine, EngineOptions
from core.errors import EngineClosedError, QueueFullError
from core.events import Event, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.model import Model
from core.processor import Processor
from core.router import route
from core.sampler import Sampler
from core.sampling_options import SamplingOptions
from core.tokenizer import Tokenizer
from core.turn import Turn
from tests import media
from tests.core.reference import Reference
from tests.tiny_checkpoint import ROPE_MAX, ROPE_SWITCH
from tests.tiny_tokenizer import tiny_tokenizer_json

WAIT_S: Final = 120.0  # a test that hangs fails; none is expected to come near
PICTURE: Final = ImagePart(media.picture_file(media.picture(40, 30)), "holiday.png")
SOUND: Final = AudioPart(media.sound_file(media.tone(0.3)), "greeting.wav")
OPTIONS: Final = EngineOptions(max_rows=3, max_queue=4, prefill_chunk_tokens=16)
SHORT: Final = SamplingOptions(max_new_tokens=8)


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


Start = Callable[[EngineOptions], Engine]


@pytest.fixture
def engine(start: Start) -> Engine:
    return start(OPTIONS)


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


@pytest.fixture
def gate(model: Model, monkeypatch: pytest.MonkeyPatch, start: Start) -> Iterator[Gate]:
    """`start` comes before it, so that the gate is open when engines are closed."""
    gate = Gate(model.forward)
    monkeypatch.setattr(model, "forward", gate)
    yield gate
    gate.open()


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


def without(logits: torch.Tensor, token_ids: list[int]) -> torch.Tensor:
    """Logits under which no token comes twice; random weights love to repeat themselves."""
    return logits.index_fill(0, torch.tensor(token_ids, dtype=torch.int64), -torch.inf)


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


Script = Callable[[Sequence[int]], None]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, processor: Processor) -> Script:
    """Makes every turn sample given tokens, and the letter a for ever after."""
    (letter,) = processor.tokenizer.encode_text("a")

    def play(token_ids: Sequence[int]) -> None:
        class Scripted(Sampler):
            def __init__(self, options: SamplingOptions) -> None:
                super().__init__(options)
                self._rest = iter(token_ids)

            def next_token(self, logits: torch.Tensor) -> int:
                return next(self._rest, letter)

        monkeypatch.setattr(row_module, "Sampler", Scripted)

    return play


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


# ------------------------------------------------------------------------------- answers


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


# ------------------------------------------------------------------------------ the end


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


# ---------------------------------------------------------------------- queue and cancel


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


# ---------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(b"not a picture", "holiday.png"),
        ImagePart(PICTURE.data[:60], "half.png"),
        AudioPart(b"not a sound", "greeting.wav"),
        AudioPart(b"", "empty.wav"),
    ],
)
def test_a_bad_file_is_named_and_the_next_turn_works(
    part: ImagePart | AudioPart, engine: Engine
) -> None:
    before = answer(engine, HELLO)
    failure = failed(engine.submit(asked("look", PICTURE, part), SHORT))
    assert failure.is_bad_input
    assert failure.message.startswith(f"{part.name}: The ")
    assert answer(engine, HELLO) == before


@pytest.mark.parametrize("num_tokens", [ROPE_MAX, ROPE_MAX + 77])
def test_a_conversation_beyond_the_context_is_told_both_numbers_and_the_next_works(
    num_tokens: int, engine: Engine, processor: Processor
) -> None:
    before = answer(engine, HELLO)
    failure = failed(engine.submit(text_of_length(processor, num_tokens), SHORT))
    assert failure.is_bad_input
    assert failure.message == (
        f"The conversation takes {num_tokens} tokens or more, and the model's context holds "
        f"{ROPE_MAX}: start a new chat, or shorten the text or the media."
    )
    assert answer(engine, HELLO) == before


def test_media_without_their_adapter_are_bad_input_and_text_works(
    engine: Engine, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answer(engine, HELLO)
    monkeypatch.setattr(model, "adapters", {})
    failure = failed(engine.submit(BY_MODE["vision"], SHORT))
    assert failure.is_bad_input
    assert failure.message.startswith("This model has no vision adapter: ")
    assert answer(engine, HELLO) == before


# ------------------------------------------------------------------------------ failures

NO_MEMORY: Final = "There is not enough memory for this turn: "
OUR_FAULT: Final = "The assistant failed on this turn: "


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
@pytest.mark.parametrize(
    ("method", "at"), [("embed", 0), ("new_kv_cache", 0), ("forward", 0), ("forward", 3)]
)
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


# --------------------------------------------------------------------------- cache, close


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
