"""Messages to token ids, by the model card's template; control tokens in people's text stay text.

    <|system|>...<|end|><|user|><|image_1|><|audio_1|>...<|end|><|assistant|>

A prompt is first a list of segments, which `prompt_text` shows as people read it and
`encode_prompt` turns into ids. Leaves out: media themselves (processor.py).
Source: the chat template and prompts on the model card of microsoft/Phi-4-multimodal-instruct.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from core.messages import AudioPart, Conversation, ImagePart, Message, Role, TextPart
from core.tokenizer import Tokenizer

END: Final = "<|end|>"
END_OF_TEXT: Final = "<|endoftext|>"
ASSISTANT: Final = "<|assistant|>"
TOOLS_OPEN: Final = "<|tool|>"
TOOLS_CLOSE: Final = "<|/tool|>"
TOOLS_SYSTEM_PROMPT: Final = "You are a helpful assistant with some tools."


@dataclass(frozen=True)
class Control:
    """A control token, by name."""

    name: str


@dataclass(frozen=True)
class PlainText:
    """Somebody's text; nothing in it is a control token."""

    text: str


@dataclass(frozen=True)
class Media:
    """Where a picture or a sound goes; `number` counts its kind from 1."""

    kind: str
    number: int


Segment = Control | PlainText | Media


def prompt_segments(conversation: Conversation) -> list[Segment]:
    """The whole prompt, up to and with the token that asks for a reply."""
    return [*_joined_texts(_history(conversation)), Control(ASSISTANT)]


def _history(conversation: Conversation) -> Iterator[Segment]:
    messages = conversation.messages
    tools = conversation.tools
    if tools and not any(message.role is Role.SYSTEM for message in messages):
        messages = (Message(Role.SYSTEM, (TextPart(TOOLS_SYSTEM_PROMPT),)), *messages)
    counts = {"image": 0, "audio": 0}
    for message in messages:
        yield Control(f"<|{message.role.value}|>")
        yield from _parts(message, counts)
        if tools and message.role is Role.SYSTEM:
            yield from (Control(TOOLS_OPEN), PlainText(tools), Control(TOOLS_CLOSE))
            tools = None
        yield Control(END)


def _joined_texts(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Neighbouring texts as one: a token may reach over the border between two parts."""
    for is_text, group in groupby(segments, lambda segment: isinstance(segment, PlainText)):
        if is_text:
            yield PlainText("".join(text.text for text in group if isinstance(text, PlainText)))
        else:
            yield from group


def _parts(message: Message, counts: dict[str, int]) -> Iterator[Segment]:
    for part in message.parts:
        match part:
            case TextPart(text):
                yield PlainText(text)
            case ImagePart() | AudioPart():
                kind = "image" if isinstance(part, ImagePart) else "audio"
                counts[kind] += 1
                yield Media(kind, counts[kind])


def prompt_text(segments: Sequence[Segment]) -> str:
    """The prompt as the model card writes it. For people: encode segments, never this text."""
    names = {Control: lambda s: s.name, PlainText: lambda s: s.text}
    return "".join(
        f"<|{segment.kind}_{segment.number}|>"
        if isinstance(segment, Media)
        else names[type(segment)](segment)
        for segment in segments
    )


def encode_prompt(
    segments: Sequence[Segment],
    tokenizer: Tokenizer,
    placeholder_ids: Mapping[str, int],
    num_media_tokens: Mapping[str, Sequence[int]],
) -> list[int]:
    """Token ids of a prompt.

    Args:
        segments: from `prompt_segments`.
        tokenizer: the checkpoint's.
        placeholder_ids: the token that stands for an embedding, for "image" and for "audio".
        num_media_tokens: how many placeholders each picture and each sound takes, in order.
    Returns:
        The ids; placeholders occur exactly as often as `num_media_tokens` says.
    """
    ids: list[int] = []
    for segment in segments:
        match segment:
            case Control(name):
                ids.append(tokenizer.control_id(name))
            case PlainText(text):
                ids.extend(tokenizer.encode_text(text, after=ids[-1] if ids else None))
            case Media(kind, number):
                ids.extend([placeholder_ids[kind]] * num_media_tokens[kind][number - 1])
    for kind, placeholder_id in placeholder_ids.items():
        assert ids.count(placeholder_id) == sum(num_media_tokens[kind]), f"{kind} tokens differ"
    return ids
