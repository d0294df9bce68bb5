"""The audio encoder that waits for the next bundled model: it fits, and it reads more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.hub import BUNDLED_FOLDER
from core.training.learner import Learner
from core.training.parts import load_parts
from core.training.record import NAME
from core.training.start_from import start_from, tokenizer_of
from tests.training import without_compiler

WAITING = BUNDLED_FOLDER.with_name("parts")
ENCODER = "model.embed_tokens_extend.audio_embed.encoder."


def last_figures(folder: Path) -> dict[str, float]:
    """Of the audio encoder's stage."""
    records = json.loads((folder / NAME).read_text(encoding="utf-8"))
    figures = [record["figures"] for record in records if record["name"] == "speech_encoder"]
    last: dict[str, float] = figures[-1]
    return last


def test_the_waiting_encoder_takes_the_place_of_the_bundled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_compiler(monkeypatch)
    learner = Learner(tokenizer_of(BUNDLED_FOLDER), 0, "cpu")
    start_from(learner, BUNDLED_FOLDER)
    before = {name: each.detach().clone() for name, each in learner.parameters("").items()}
    assert load_parts(learner, WAITING, with_adapters=True) == {"speech_encoder"}
    after = learner.parameters("")
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith(ENCODER) for name in moved)


def test_the_waiting_encoder_reads_more_of_what_is_held_out() -> None:
    waiting, bundled = last_figures(WAITING), last_figures(BUNDLED_FOLDER)
    assert waiting["token_error_rate"] < bundled["token_error_rate"]
    assert waiting["exact"] > bundled["exact"] + 0.01
