"""Which adapter and which audio projector a conversation needs.

The mode belongs to the whole conversation that is fed to the model, not to its last message:
keys and values come from adapted projections, so one picture anywhere routes everything.
Source: the mixture of LoRAs of the Phi-4-Multimodal report (arXiv 2503.01743, section 2.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from core.messages import AudioPart, Conversation, ImagePart

AdapterName = Literal["vision", "speech"]
AudioProjector = Literal["speech", "vision"]


class InputMode(IntEnum):
    """The checkpoint's number for a combination of modalities."""

    LANGUAGE = 0
    VISION = 1
    SPEECH = 2
    VISION_SPEECH = 3


@dataclass(frozen=True)
class Route:
    """What a mode activates.

    Args:
        mode: the input mode.
        adapter: the LoRA applied to every decoder linear, or None for the bare base model.
        audio_projector: which projector takes sound into the decoder, or None without sound.
    """

    mode: InputMode
    adapter: AdapterName | None
    audio_projector: AudioProjector | None

    @property
    def label(self) -> str:
        """The route as people see it: text, vision, speech or vision+speech."""
        return LABELS[self.mode]


LABELS: Final = {
    InputMode.LANGUAGE: "text",
    InputMode.VISION: "vision",
    InputMode.SPEECH: "speech",
    InputMode.VISION_SPEECH: "vision+speech",
}

ROUTES: Final = {
    InputMode.LANGUAGE: Route(InputMode.LANGUAGE, None, None),
    InputMode.VISION: Route(InputMode.VISION, "vision", None),
    InputMode.SPEECH: Route(InputMode.SPEECH, "speech", "speech"),
    InputMode.VISION_SPEECH: Route(InputMode.VISION_SPEECH, "vision", "vision"),
}


def input_mode(conversation: Conversation) -> InputMode:
    """The mode of everything said so far."""
    parts = [part for message in conversation.messages for part in message.parts]
    has_picture = any(isinstance(part, ImagePart) for part in parts)
    has_sound = any(isinstance(part, AudioPart) for part in parts)
    return InputMode(int(has_picture) + 2 * int(has_sound))


def route(conversation: Conversation) -> Route:
    """The route of everything said so far."""
    return ROUTES[input_mode(conversation)]
