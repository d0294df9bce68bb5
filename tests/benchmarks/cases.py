"""What the benchmark asks: one turn of every route, of a length that does not hang on the model.

Pictures and sounds are drawn and played by the code; what is answered does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from tests import media

PICTURE_PX: Final = 448
SPEECH_S: Final = 10.0
NUM_REPLY_TOKENS: Final = 32


@dataclass(frozen=True)
class Case:
    """One turn.

    Args:
        name: what the table calls it.
        conversation: what is asked.
    """

    name: str
    conversation: Conversation


def said(*parts: Part) -> Message:
    """A person's message."""
    return Message(Role.USER, parts)


def reply(text: str) -> Message:
    """An earlier answer."""
    return Message(Role.ASSISTANT, (TextPart(text),))


def picture() -> ImagePart:
    """A picture of one crop and its global view, for the full-size model."""
    return ImagePart(media.picture_file(media.picture(PICTURE_PX, PICTURE_PX)), "shapes.png")


def sound(seconds: float = SPEECH_S) -> AudioPart:
    """Noise as loud as a voice: an encoder takes as long for it."""
    samples = media.noise(round(seconds * media.RATE_HZ), peak=0.1)
    return AudioPart(media.sound_file(samples), "question.wav")


def cases() -> tuple[Case, ...]:
    """A turn of each route."""
    question = TextPart("Count from 1 to 20.")
    return (
        Case("text", Conversation((said(question),))),
        Case(f"{SPEECH_S:.0f} s of speech", Conversation((said(sound()),))),
        Case(f"{PICTURE_PX} px picture", Conversation((said(picture(), question),))),
        Case("picture + speech", Conversation((said(picture(), sound()),))),
    )


def long_text(num_words: int) -> Conversation:
    """A prompt whose words are few and come again and again."""
    words = "one two three four five six seven eight nine ten".split()
    text = " ".join(words[i * i % len(words)] for i in range(num_words))
    return Conversation((said(TextPart(text)),))
