"""What people and the model say: roles, parts, messages, conversations. Pure values.

Media travel as the bytes of the file that was attached; `core/processor.py` decodes them.
Leaves out: routing (router.py), templates (prompt.py), storage (app/).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Detail = Literal["low", "auto", "high"]


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


@dataclass(frozen=True)
class TextPart:
    """Plain text. Control tokens inside it are text, never control tokens."""

    text: str


@dataclass(frozen=True)
class ImagePart:
    """A picture file.

    Args:
        data: the file's bytes (PNG, JPEG, WEBP or GIF).
        name: what the person called it, used in error messages only.
        detail: how many crops to spend on it: "low" one, "auto" and "high" as the model allows.
    """

    data: bytes
    name: str = "picture"
    detail: Detail = "auto"


@dataclass(frozen=True)
class AudioPart:
    """A sound file.

    Args:
        data: the file's bytes (WAV, FLAC, OGG or MP3; any rate, one to eight channels).
        name: what the person called it, used in error messages only.
    """

    data: bytes
    name: str = "sound"


Part = TextPart | ImagePart | AudioPart


@dataclass(frozen=True)
class Message:
    """One message: a role and its parts, in the order in which they were given."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The message's text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True)
class Conversation:
    """Messages in order, and the functions the model may call (a JSON list, as text)."""

    messages: tuple[Message, ...]
    tools: str | None = None

    def followed_by(self, message: Message) -> Conversation:
        """The same conversation with one message more."""
        return Conversation((*self.messages, message), self.tools)
