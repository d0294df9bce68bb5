"""Text logits with the adapters attached and without them, and a check that would notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import ModelOptions
from core.hub import BUNDLED_FOLDER
from core.messages import Conversation, Message, Role, TextPart
from core.model import Model
from core.training import bare_base
from core.training.bare_base import num_identical
from tests.tiny_checkpoint import write_tiny_checkpoint

OPTIONS = ModelOptions(device="cpu")
ASKED = tuple(
    Conversation((Message(Role.USER, (TextPart(text),)),))
    for text in ("What is 7 plus 5?", "Hello.", "Translate to German: The cat sleeps here.")
)


def test_the_bundled_model_answers_text_as_its_bare_base_does() -> None:
    assert num_identical(BUNDLED_FOLDER, OPTIONS, ASKED) == len(ASKED)


def test_an_adapter_that_touched_text_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    forward: Callable[..., object] = Model.forward

    def touched(model: Model, embeddings: object, cache: object, rows: object, _: object) -> object:
        active = "speech" if model.adapters else None
        return forward(model, embeddings, cache, rows, [active])

    monkeypatch.setattr(Model, "forward", touched)
    assert num_identical(BUNDLED_FOLDER, OPTIONS, ASKED) == 0


def test_adapters_among_the_weights_cannot_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bare_base, "load_model", pytest.fail)
    assert num_identical(write_tiny_checkpoint(tmp_path, "main"), OPTIONS, ASKED) is None
