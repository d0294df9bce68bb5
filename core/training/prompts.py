"""The model card's own prompts, so that what works on the bundled model works on the large one.

Source: the prompt formats of microsoft/Phi-4-multimodal-instruct's model card.
"""

from __future__ import annotations

from typing import Final

TRANSCRIBE: Final = "Transcribe the audio clip into text."
DESCRIBE: Final = "Describe the image in detail."
SEPARATOR: Final = "<sep>"


def translate(language: str) -> str:
    """Asks for the translation alone."""
    return f"Translate the audio to {language}."


def transcribe_and_translate(language: str) -> str:
    """Asks for what was said, a separator, and its translation."""
    return (
        f"Transcribe the audio to text, and then translate the audio to {language}. "
        f"Use {SEPARATOR} as a separator between the original transcript and the translation."
    )


def transcribed_and_translated(transcript: str, translation: str) -> str:
    """The reply to `transcribe_and_translate`."""
    return f"{transcript} {SEPARATOR} {translation}"
