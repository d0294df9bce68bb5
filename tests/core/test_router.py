"""Which adapter and projector a conversation takes: the table, and that history counts."""

from __future__ import annotations

import pytest

from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.router import AdapterName, AudioProjector, InputMode, input_mode, route

TEXT, PICTURE, SOUND = TextPart("hello"), ImagePart(b"picture"), AudioPart(b"sound")


def said(*messages: tuple[Part, ...]) -> Conversation:
    """A conversation of user messages."""
    return Conversation(tuple(Message(Role.USER, parts) for parts in messages))


@pytest.mark.parametrize(
    ("parts", "mode", "number", "adapter", "projector", "label"),
    [
        ((TEXT,), InputMode.LANGUAGE, 0, None, None, "text"),
        ((PICTURE,), InputMode.VISION, 1, "vision", None, "vision"),
        ((SOUND,), InputMode.SPEECH, 2, "speech", "speech", "speech"),
        ((PICTURE, SOUND), InputMode.VISION_SPEECH, 3, "vision", "vision", "vision+speech"),
    ],
)
@pytest.mark.parametrize("with_text", [False, True])
def test_each_combination_of_modalities_takes_the_route_of_the_checkpoint(
    parts: tuple[Part, ...],
    mode: InputMode,
    number: int,
    adapter: AdapterName | None,
    projector: AudioProjector | None,
    label: str,
    with_text: bool,
) -> None:
    chosen = route(said((*parts, TEXT) if with_text else parts))
    assert (chosen.mode, chosen.mode.value) == (mode, number)
    assert (chosen.adapter, chosen.audio_projector) == (adapter, projector)
    assert chosen.label == label


@pytest.mark.parametrize(
    ("conversation", "mode"),
    [
        (said((PICTURE,), (TEXT,)), InputMode.VISION),
        (said((SOUND, TEXT), (TEXT,)), InputMode.SPEECH),
        (said((TEXT,), (SOUND,), (TEXT,)), InputMode.SPEECH),
        (said((PICTURE, TEXT), (SOUND,)), InputMode.VISION_SPEECH),
        (said((SOUND,), (PICTURE,)), InputMode.VISION_SPEECH),
        (said((PICTURE,), (PICTURE,)), InputMode.VISION),
        (said((SOUND, SOUND), (SOUND,)), InputMode.SPEECH),
        (said(), InputMode.LANGUAGE),
    ],
)
def test_the_mode_belongs_to_the_whole_conversation_not_to_its_last_message(
    conversation: Conversation, mode: InputMode
) -> None:
    assert input_mode(conversation) is mode


@pytest.mark.parametrize("role", list(Role))
def test_media_count_whoever_sent_them(role: Role) -> None:
    conversation = Conversation((Message(role, (PICTURE,)),)).followed_by(
        Message(Role.USER, (TEXT,))
    )
    assert input_mode(conversation) is InputMode.VISION
