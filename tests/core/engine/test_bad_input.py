"""Bad input is one sentence, and the next turn works."""

from __future__ import annotations

import pytest

from core.engine import Engine
from core.messages import AudioPart, ImagePart
from core.model import Model
from core.processor import Processor
from tests.core.engine.harness import (
    BY_MODE,
    HELLO,
    PICTURE,
    SHORT,
    answer,
    asked,
    failed,
    text_of_length,
)
from tests.tiny_checkpoint import ROPE_MAX


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
