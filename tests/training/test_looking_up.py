"""The bundled model finds in a picture what a question names, and says what stands beside it."""

from __future__ import annotations

import random
from functools import cache, partial
from pathlib import Path

import pytest
import torch

from core.hub import BUNDLED_FOLDER
from core.tokenizer import Tokenizer
from core.training.course import Course, shares_right
from core.training.dialogues import Dialogue, picture_turn
from core.training.examples import collate_by_length
from core.training.learner import Learner
from core.training.materials import Materials
from core.training.nf4_base import base_matrices, round_to_nf4
from core.training.scene_list import scene_at
from core.training.scenes import ask_to_look_up
from core.training.start_from import start_from, tokenizer_of
from tests.training import without_compiler

NUM_PICTURES, NUM_ASKED = 120, 3


def nothing(what: str, num_done: int, num_all: int) -> None:
    """Progress that nobody sees."""


def bundled_learner() -> Learner:
    """The bundled model beside its base as it is served."""
    with pytest.MonkeyPatch.context() as patch:
        without_compiler(patch)
        learner = Learner(tokenizer_of(BUNDLED_FOLDER), 0, "cpu")
    start_from(learner, BUNDLED_FOLDER)
    round_to_nf4(base_matrices(learner))
    return learner


@cache
def numbers() -> tuple[int, ...]:
    """Of the first held-out scenes with two shapes or more."""
    several = (n for n in range(1000) if len(scene_at("held_out", n).items) > 1)
    return tuple(number for number, _ in zip(several, range(NUM_PICTURES), strict=False))


@torch.no_grad()
def share_looked_up(learner: Learner, folder: Path) -> float:
    """Of questions that name a shape or a colour: replies whose every token is likeliest."""
    materials = Materials(folder, 0, 0, 1 + max(numbers()), nothing)
    tokenizer = Tokenizer(tokenizer_of(BUNDLED_FOLDER).to_str())
    course = Course(learner, tokenizer, materials)
    encode, rng = course.row_encoder("held_out").encode, random.Random("looked up")
    rows = []
    for number in numbers():
        ask = partial(ask_to_look_up, rng, scene_at("held_out", number))
        rows += [encode(Dialogue((picture_turn(rng, number, ask()),))) for _ in range(NUM_ASKED)]
    batches = collate_by_length(rows, learner.config.pad_token_id, 8)
    hits = []
    for batch in batches:
        pictures = course.picture_encodings("held_out", batch.pictures)
        with learner.autocast():
            embeddings = learner.embed(batch, pictures, None, "speech")
            hits.append(learner.loss_and_hits(batch, embeddings, "vision")[1])
    return shares_right(batches, hits)["exact"]


def test_most_of_what_is_asked_for_is_found(tmp_path: Path) -> None:
    """Without heads that are told where to look, half of these replies were right."""
    assert share_looked_up(bundled_learner(), tmp_path) > 0.7
