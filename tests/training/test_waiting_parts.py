"""The base language model that waits for adapters of its own: it fits, and moves nothing else."""

from __future__ import annotations

import pytest
import torch

from core.hub import BUNDLED_FOLDER
from core.training.learner import Learner
from core.training.parts import PARTS, load_parts
from core.training.start_from import start_from, tokenizer_of
from tests.training import without_compiler

WAITING = BUNDLED_FOLDER.with_name("parts")


def test_the_waiting_base_takes_the_place_of_the_bundled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_compiler(monkeypatch)
    learner = Learner(tokenizer_of(BUNDLED_FOLDER), 0, "cpu")
    start_from(learner, BUNDLED_FOLDER)
    before = {name: each.detach().clone() for name, each in learner.parameters("").items()}
    assert load_parts(learner, WAITING, with_adapters=True) == {"text"}
    after = learner.parameters("")
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert len(moved) > 30
    assert all(name.startswith(PARTS["text"]) for name in moved)
