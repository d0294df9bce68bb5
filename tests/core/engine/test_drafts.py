"""Drafts change when a reply comes, never what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
import torch

from core import feeding, row
from core.drafting import NUM_DRAFTED
from core.messages import Conversation, Message, Role, TextPart
from core.model import Model
from core.processor import Processor
from core.sampling_options import SamplingOptions
from tests.core.engine.harness import (
    BY_MODE,
    HELLO,
    OPTIONS,
    SHORT,
    Script,
    Start,
    Turns,
    answer,
    failed,
    finished,
    scripted,
    text_of_length,
)
from tests.tiny_checkpoint import ROPE_SWITCH

LONG: Final = SamplingOptions(max_new_tokens=40)
DRAFTING: Final = replace(OPTIONS, drafts=True)
SAID: Final = "the quick brown fox jumps over the lazy dog"


class CheapDrafts:
    """A pass with drafts never takes longer, whatever the clock says."""

    ratio: Final = 1.0

    def add(self, seconds: float, is_drafted: bool) -> None:
        """Nothing to learn."""


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "DraftCost", CheapDrafts)


@pytest.fixture
def passes(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each pass with drafts is fed."""
    noted: list[int] = []
    score = model.score

    def call(embeddings: torch.Tensor, *others: Any) -> torch.Tensor:
        noted.append(embeddings.shape[1])
        return score(embeddings, *others)

    monkeypatch.setattr(model, "score", call)
    return noted


@pytest.mark.parametrize("label", list(BY_MODE))
def test_a_reply_that_repeats_itself_is_the_same_with_drafts(
    label: str, start: Start, sampled: Turns, passes: list[int]
) -> None:
    """Random weights soon say the same again and again."""
    plain = answer(start(OPTIONS), BY_MODE[label], LONG)
    assert not passes
    turn = finished(start(DRAFTING).submit(BY_MODE[label], LONG))
    assert (turn.text, sampled[1]) == (plain, sampled[0])
    assert passes
    assert 0 < turn.stats.num_drafts_taken <= sum(passes) - len(passes)


@pytest.mark.parametrize("prediction", [SAID, SAID.replace("fox", "box"), "nothing of it", "the"])
def test_a_prediction_saves_passes_where_it_is_right(
    prediction: str, start: Start, script: Script, processor: Processor, passes: list[int]
) -> None:
    ids = processor.tokenizer.encode_text(SAID)
    script([*ids, processor.tokenizer.control_id("<|end|>")])
    options = replace(LONG, prediction=prediction)
    turn = finished(start(DRAFTING).submit(HELLO, options))
    assert turn.text == SAID
    assert turn.stats.num_reply_tokens == len(ids)
    if prediction == SAID:
        assert passes[0] == 1 + NUM_DRAFTED
        assert turn.stats.num_drafts_taken > len(ids) // 2
    elif prediction == "nothing of it":
        assert turn.stats.num_drafts_taken == 0


def test_tokens_are_drawn_as_without_drafts(start: Start, passes: list[int]) -> None:
    options = replace(LONG, temperature=0.2, seed=3)
    assert answer(start(DRAFTING), HELLO, options) == answer(start(OPTIONS), HELLO, options)
    assert passes


@pytest.mark.parametrize("num", range(1, 8))
def test_a_limit_is_kept_in_the_middle_of_drafts(
    num: int, start: Start, script: Script, processor: Processor
) -> None:
    ids = processor.tokenizer.encode_text(SAID)
    script(ids)
    options = SamplingOptions(max_new_tokens=num, prediction=SAID)
    turn = finished(start(DRAFTING).submit(HELLO, options))
    assert turn.finish_reason == "length"
    assert turn.stats.num_reply_tokens == num


@pytest.mark.parametrize("num_said", range(1, 9))
def test_a_turn_after_drafts_that_were_cut_off_answers_as_a_fresh_engine(
    num_said: int, start: Start, processor: Processor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fed in vain is not taken for what was said."""
    engine = start(DRAFTING)
    ids = processor.tokenizer.encode_text(SAID)[:num_said]
    said = processor.tokenizer.decode(ids)
    with monkeypatch.context() as played:
        played.setattr(row, "Sampler", scripted(ids, processor.tokenizer.control_id("<|end|>")))
        assert answer(engine, HELLO, replace(LONG, prediction=SAID)) == said
    follow_up = Conversation(
        (
            *HELLO.messages,
            Message(Role.ASSISTANT, (TextPart(said),)),
            Message(Role.USER, (TextPart("and?"),)),
        )
    )
    turn = finished(engine.submit(follow_up, LONG))
    assert turn.text == answer(start(OPTIONS), follow_up, LONG)
    assert turn.stats.num_reused_tokens > 0


@pytest.mark.parametrize("num_prompt_tokens", range(ROPE_SWITCH - 6, ROPE_SWITCH + 1))
def test_drafts_stop_at_the_rope_switch(
    num_prompt_tokens: int, start: Start, processor: Processor, sampled: Turns
) -> None:
    conversation = text_of_length(processor, num_prompt_tokens)
    answer(start(OPTIONS), conversation, LONG)
    answer(start(DRAFTING), conversation, LONG)
    assert sampled[0] == sampled[1]


def test_a_row_that_others_join_and_leave_answers_as_without_drafts(
    start: Start, passes: list[int]
) -> None:
    requests = [
        (conversation, SHORT if number else LONG)
        for number, conversation in enumerate(BY_MODE.values())
    ]
    alone = [answer(start(OPTIONS), *request) for request in requests]
    engine = start(replace(DRAFTING, max_rows=4))
    turns = [engine.submit(*request) for request in requests]
    assert [finished(turn).text for turn in turns] == alone
    assert passes, "the long one was alone in the end"


def test_a_pass_with_drafts_that_fails_ends_its_turn_and_the_next_works(
    start: Start, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, plain = start(DRAFTING), answer(start(OPTIONS), HELLO, LONG)
    with monkeypatch.context() as broken:

        def fail(*_: Any) -> None:
            raise RuntimeError("a kernel failed")

        broken.setattr(model, "score", fail)
        failed(engine.submit(HELLO, LONG))
    assert answer(engine, HELLO, LONG) == plain


def test_no_drafts_where_they_are_not_wanted(start: Start, passes: list[int]) -> None:
    assert answer(start(OPTIONS), HELLO, replace(LONG, prediction=SAID))
    assert not passes
