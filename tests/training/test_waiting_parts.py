"""The parts that wait for the next bundled model: what they know that the bundled one does not."""

from __future__ import annotations

import random
from functools import cache, partial
from pathlib import Path
from typing import Final

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
from core.training.parts import load_parts
from core.training.scene_list import scene_at
from core.training.scenes import ask_to_look_up
from core.training.start_from import start_from, tokenizer_of
from tests.training import without_compiler

WAITING: Final = BUNDLED_FOLDER.with_name("parts")
NUM_PICTURES, NUM_ASKED = 120, 3


def nothing(what: str, num_done: int, num_all: int) -> None:
    """Progress that nobody sees."""


def learner_with(is_waiting: bool) -> Learner:
    """The bundled model beside its base as it is served, or that with the waiting parts."""
    with pytest.MonkeyPatch.context() as patch:
        without_compiler(patch)
        learner = Learner(tokenizer_of(BUNDLED_FOLDER), 0, "cpu")
    start_from(learner, BUNDLED_FOLDER)
    round_to_nf4(base_matrices(learner))
    if is_waiting:
        load_parts(learner, WAITING, with_adapters=True)
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


def test_the_waiting_vision_adapter_finds_what_is_asked_for(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("pictures")
    bundled, waiting = (share_looked_up(learner_with(it), folder) for it in (False, True))
    assert waiting > bundled + 0.1, (bundled, waiting)
