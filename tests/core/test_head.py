"""The two-stage head: the exact head's greedy token for a fraction of the bytes."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from core.assistant import Assistant, open_assistant
from core.config import ModelOptions, Quantization
from core.engine import EngineOptions
from core.events import TextDelta
from core.head import NUM_GROUPED, NUM_RESCORED, ExactHead, TwoStageHead, _likeliest
from core.instructions import can_run_loops
from core.messages import Conversation, Message, Role, TextPart
from core.quantize import Weight, quantize
from core.two_bit_weight import TwoBitWeight

VOCAB, HIDDEN = 8192, 256
TWO_BITS = pytest.param(
    "two bits",
    marks=pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2"),
)
PACKED = [kind for kind in get_args(Quantization) if kind not in ("auto", "none")]


def heads(
    kind: str, dtype: torch.dtype, table: torch.Tensor | None = None
) -> tuple[ExactHead, TwoStageHead, Weight]:
    if table is None:
        table = torch.randn(VOCAB, HIDDEN, generator=torch.Generator().manual_seed(0)) * 0.02
    matrix = table.to(dtype)
    coarse = held_in(kind, matrix)
    return ExactHead(matrix), TwoStageHead(coarse, matrix), coarse


def held_in(kind: str, matrix: torch.Tensor) -> Weight:
    if kind == "two bits":
        return TwoBitWeight(matrix, matrix.dtype)
    (quantization,) = [each for each in PACKED if each == kind]
    return quantize(matrix, quantization, matrix.dtype, "head")


@pytest.mark.parametrize("kind", [*PACKED, TWO_BITS])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_the_greedy_token_is_the_exact_heads(kind: str, dtype: torch.dtype) -> None:
    exact, ours, coarse = heads(kind, dtype)
    generator = torch.Generator().manual_seed(1)
    num_alike, num_alike_coarse, num_steps = 0, 0, 0
    for _ in range(250):
        hidden = torch.randn(20, HIDDEN, generator=generator).to(dtype)
        wanted = exact.logits(hidden)
        # In bfloat16 the best two can be one number: either is right.
        best = wanted.amax(1)
        num_alike += int((wanted.gather(1, greedy(ours.logits(hidden)))[:, 0] == best).sum())
        rough = greedy(coarse.multiply(hidden))
        num_alike_coarse += int((wanted.gather(1, rough)[:, 0] == best).sum())
        num_steps += len(hidden)
    assert num_alike >= 0.999 * num_steps
    if kind in ("nf4", "int4", "two bits"):
        assert num_alike_coarse < 0.9 * num_steps  # it is the second stage that finds it


def greedy(logits: torch.Tensor) -> torch.Tensor:
    """The best token of each row, shape (num_rows, 1)."""
    return logits.argmax(1, keepdim=True)


@torch.inference_mode()
def test_the_likeliest_logits_are_the_exact_heads() -> None:
    exact, ours, _ = heads("nf4", torch.float32)
    hidden = torch.randn(3, HIDDEN)
    logits, wanted = ours.logits(hidden), exact.logits(hidden)
    assert (logits.dtype, logits.shape) == (torch.float32, (3, VOCAB))
    likeliest = wanted.topk(NUM_RESCORED // 4, dim=1).indices
    torch.testing.assert_close(logits.gather(1, likeliest), wanted.gather(1, likeliest))


@torch.inference_mode()
def test_a_vocabulary_smaller_than_what_is_scored_again_is_exact() -> None:
    table = torch.randn(64, 64)[: NUM_RESCORED // 2]
    exact, ours, _ = heads("int8", torch.float32, table)
    hidden = torch.randn(2, 64)
    torch.testing.assert_close(ours.logits(hidden), exact.logits(hidden))


@pytest.mark.parametrize("size", [NUM_GROUPED * 60 + 7, NUM_GROUPED * 60, 40, 25])
@pytest.mark.parametrize("num", [25, 10])
def test_the_largest_scores_are_found(size: int, num: int) -> None:
    scores = torch.randn(3, size, generator=torch.Generator().manual_seed(size)).bfloat16().float()
    found = scores.gather(1, _likeliest(scores, num))
    assert torch.equal(found.sort(1).values, scores.topk(num, dim=1).values.flip(1))
    assert all(len(set(row.tolist())) == num for row in _likeliest(scores, num))


@pytest.mark.parametrize("kind", ["nf4", "int4", TWO_BITS])
def test_the_bundled_model_says_the_same(kind: str) -> None:
    questions = (
        "What is 17 plus 25?",
        "What is the capital of France?",
        "Spell banana.",
        "How many sides does a hexagon have?",
        "What comes after Tuesday?",
        "Translate to German: The cat drinks the milk.",
    )
    assistant = open_assistant(
        None, ModelOptions(device="cpu"), engine_options=EngineOptions(num_kept_rows=0)
    )
    try:
        wanted = [said(assistant, question) for question in questions]
        decoder = assistant._engine._model._decoder
        assert isinstance(decoder.head, ExactHead)
        matrix = decoder.head._matrix
        decoder.head = TwoStageHead(held_in(kind, matrix), matrix)
        assert [said(assistant, question) for question in questions] == wanted
    finally:
        assistant.close()
    assert all(wanted)


def said(assistant: Assistant, question: str) -> str:
    asked = Conversation((Message(Role.USER, (TextPart(question),)),))
    events = assistant.submit(asked).events()
    return "".join(event.text for event in events if isinstance(event, TextDelta))
