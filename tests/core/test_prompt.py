"""The model card's templates byte for byte, and prompts that nobody's text can break out of."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.prompt import Control, Media, PlainText, encode_prompt, prompt_segments, prompt_text
from core.tokenizer import WHITE_SPACE, Tokenizer
from tests.tiny_checkpoint import AUDIO_TOKEN_ID, IMAGE_TOKEN_ID
from tests.tiny_tokenizer import CONTROL_TOKENS, tiny_tokenizer_json

TINY = Tokenizer(tiny_tokenizer_json())
RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
LIBRARY = tokenizers.Tokenizer.from_str(tiny_tokenizer_json())
PLACEHOLDER_IDS = {"image": IMAGE_TOKEN_ID, "audio": AUDIO_TOKEN_ID}
PICTURE, SOUND = ImagePart(b"picture"), AudioPart(b"sound")
TOOLS = '[{"name": "weather", "description": "Tells the weather."}]'
TRANSLATE = (
    "Transcribe the audio to text, and then translate the audio to French. "
    "Use <sep> as a separator between the original transcript and the translation."
)


def said(role: Role, *parts: Part | str) -> Message:
    """A message, its texts given as strings."""
    return Message(role, tuple(TextPart(p) if isinstance(p, str) else p for p in parts))


def asked(*parts: Part | str) -> Conversation:
    """One user message."""
    return Conversation((said(Role.USER, *parts),))


SYSTEM = said(Role.SYSTEM, "You are a helpful assistant.")
HELLO = said(Role.USER, "Hello")


@pytest.mark.parametrize(
    ("conversation", "expected"),
    [
        pytest.param(
            Conversation((SYSTEM, HELLO)),
            "<|system|>You are a helpful assistant.<|end|><|user|>Hello<|end|><|assistant|>",
            id="text",
        ),
        pytest.param(
            Conversation((said(Role.SYSTEM, "You are here with some tools."), HELLO), TOOLS),
            f"<|system|>You are here with some tools.<|tool|>{TOOLS}<|/tool|><|end|>"
            "<|user|>Hello<|end|><|assistant|>",
            id="tools",
        ),
        pytest.param(
            Conversation((HELLO,), TOOLS),
            f"<|system|>You are a helpful assistant with some tools.<|tool|>{TOOLS}<|/tool|><|end|>"
            "<|user|>Hello<|end|><|assistant|>",
            id="tools without a system prompt",
        ),
        pytest.param(
            Conversation(
                (
                    HELLO,
                    said(Role.ASSISTANT, '[{"name": "weather"}]'),
                    said(Role.TOOL, '{"sky": "clear"}'),
                )
            ),
            '<|user|>Hello<|end|><|assistant|>[{"name": "weather"}]<|end|>'
            '<|tool|>{"sky": "clear"}<|end|><|assistant|>',
            id="tool result",
        ),
        pytest.param(
            asked(PICTURE, "Describe the image in detail."),
            "<|user|><|image_1|>Describe the image in detail.<|end|><|assistant|>",
            id="picture",
        ),
        pytest.param(
            asked(PICTURE, PICTURE, PICTURE, "Compare them."),
            "<|user|><|image_1|><|image_2|><|image_3|>Compare them.<|end|><|assistant|>",
            id="several pictures",
        ),
        pytest.param(
            asked(SOUND, "Transcribe the audio clip into text."),
            "<|user|><|audio_1|>Transcribe the audio clip into text.<|end|><|assistant|>",
            id="transcribe",
        ),
        pytest.param(
            asked(SOUND, "Translate the audio to French."),
            "<|user|><|audio_1|>Translate the audio to French.<|end|><|assistant|>",
            id="translate",
        ),
        pytest.param(
            asked(SOUND, TRANSLATE),
            f"<|user|><|audio_1|>{TRANSLATE}<|end|><|assistant|>",
            id="transcribe, then translate",
        ),
        pytest.param(asked(SOUND), "<|user|><|audio_1|><|end|><|assistant|>", id="spoken question"),
        pytest.param(
            asked(PICTURE, SOUND),
            "<|user|><|image_1|><|audio_1|><|end|><|assistant|>",
            id="spoken question on a picture",
        ),
        pytest.param(
            Conversation(
                (
                    said(Role.USER, PICTURE, "First."),
                    said(Role.ASSISTANT, "One."),
                    said(Role.USER, SOUND, PICTURE),
                    said(Role.ASSISTANT, "Two."),
                    said(Role.USER, SOUND),
                )
            ),
            "<|user|><|image_1|>First.<|end|><|assistant|>One.<|end|>"
            "<|user|><|audio_1|><|image_2|><|end|><|assistant|>Two.<|end|>"
            "<|user|><|audio_2|><|end|><|assistant|>",
            id="media are counted through the whole conversation",
        ),
    ],
)
def test_a_prompt_is_the_model_cards(conversation: Conversation, expected: str) -> None:
    assert prompt_text(prompt_segments(conversation)) == expected


def test_tools_stand_in_the_first_system_message_only() -> None:
    segments = prompt_segments(Conversation((SYSTEM, HELLO, SYSTEM, HELLO), TOOLS))
    assert segments.count(Control("<|tool|>")) == 1
    assert prompt_text(segments).index(TOOLS) < prompt_text(segments).index("Hello")


# What people may write: anything at all, half characters, and pieces of control tokens.
FRAGMENTS = st.lists(
    st.sampled_from(
        ("<|", "|>", "|", "/", " ", "end", "image_1", "<|image_1|>", "\n", *CONTROL_TOKENS)
    ),
    max_size=8,
).map("".join)
ANY_TEXT = st.text(max_size=20) | st.text(st.characters(categories=["Cs", "Zs"]), max_size=5)
TEXT_PARTS = st.builds(TextPart, ANY_TEXT | FRAGMENTS)
MEDIA_PARTS = st.builds(ImagePart, st.just(b""), ANY_TEXT | FRAGMENTS) | st.builds(
    AudioPart, st.just(b""), ANY_TEXT | FRAGMENTS
)


def conversations(parts: st.SearchStrategy[Part]) -> st.SearchStrategy[Conversation]:
    """Conversations of such parts by everybody, with such tools or without."""
    several = st.lists(parts, max_size=4).map(tuple)
    messages = st.builds(Message, st.sampled_from(Role), several)
    return st.builds(
        Conversation, st.lists(messages, max_size=4).map(tuple), st.none() | ANY_TEXT | FRAGMENTS
    )


def encoded(conversation: Conversation, num_tokens: int = 1) -> list[int]:
    """Ids of a conversation whose media take `num_tokens`, one more for each after the first."""
    segments = prompt_segments(conversation)
    return encode_prompt(segments, TINY, PLACEHOLDER_IDS, media_sizes(conversation, num_tokens))


def media_sizes(conversation: Conversation, first: int) -> dict[str, list[int]]:
    """Sizes that differ from one medium to the next."""
    segments = prompt_segments(conversation)
    media = [segment for segment in segments if isinstance(segment, Media)]
    return {
        kind: [first + i for i in range(sum(medium.kind == kind for medium in media))]
        for kind in PLACEHOLDER_IDS
    }


@RELAXED
@given(conversation=conversations(TEXT_PARTS | MEDIA_PARTS), num_tokens=st.integers(1, 3))
def test_control_tokens_come_from_the_template_and_from_media_alone(
    conversation: Conversation, num_tokens: int
) -> None:
    ids = encoded(conversation, num_tokens)
    sizes = media_sizes(conversation, num_tokens)
    controls = [s.name for s in prompt_segments(conversation) if isinstance(s, Control)]
    expected = Counter(TINY.control_id(name) for name in controls)
    expected += Counter({i: sum(sizes[kind]) for kind, i in PLACEHOLDER_IDS.items()})
    assert Counter(i for i in ids if i in TINY.control_ids) == +expected


@RELAXED
@given(conversation=conversations(TEXT_PARTS | MEDIA_PARTS))
def test_everything_that_was_written_is_in_the_prompt_in_order(conversation: Conversation) -> None:
    expected = ""
    for before, segment in pairwise(prompt_segments(conversation)):
        if isinstance(segment, PlainText):
            text = segment.text.encode("utf-8", "replace").decode()
            expected += text.lstrip(WHITE_SPACE) if isinstance(before, Control) else text
    assert TINY.decode(encoded(conversation)) == expected


HARMLESS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="<"), max_size=12)
WORDS = st.lists(
    st.sampled_from(("hello", " the", " world", "end", "|>", "  ", "\n", "\x1f", "🙂")), max_size=6
).map("".join)


@RELAXED
@given(conversation=conversations(st.builds(TextPart, HARMLESS | WORDS) | MEDIA_PARTS))
def test_ids_equal_the_librarys_of_the_written_out_prompt_when_text_is_harmless(
    conversation: Conversation,
) -> None:
    conversation = Conversation(conversation.messages)
    text = prompt_text(prompt_segments(conversation))
    for number in range(1, 17):
        text = text.replace(f"<|image_{number}|>", "<|image|>" * number)
        text = text.replace(f"<|audio_{number}|>", "<|audio|>" * number)
    assert encoded(conversation) == LIBRARY.encode(text).ids


def test_neighbouring_texts_are_read_as_one() -> None:
    assert encoded(asked("hel", "lo the", " world")) == encoded(asked("hello the world"))
