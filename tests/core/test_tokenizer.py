"""People's text to ids and back: no text becomes a control token, no text is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadModelError
from core.tokenizer import WHITE_SPACE, Tokenizer
from tests.tiny_tokenizer import CONTROL_TOKENS, tiny_tokenizer_json, write_tiny_tokenizer

RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
TINY = Tokenizer(tiny_tokenizer_json())
NAMES_ARE_WORDS = Tokenizer(tiny_tokenizer_json(keeps_names_in_vocab=True))
ANY_TEXT = st.text() | st.text(st.characters(categories=["Cs", "Cc", "Ll", "Zs"]))
FRAGMENTS = st.lists(
    st.sampled_from(("<|", "|>", "<", "|", ">", "/", " ", "end", "user", "image", *CONTROL_TOKENS)),
    max_size=12,
).map("".join)


def without_surrogates(text: str) -> str:
    """What of a text can be encoded at all."""
    return text.encode("utf-8", "replace").decode("utf-8")


@pytest.mark.parametrize("tokenizer", [TINY, NAMES_ARE_WORDS])
@RELAXED
@given(text=ANY_TEXT | FRAGMENTS)
def test_no_text_becomes_a_control_token_and_none_is_lost(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode_text(text)
    assert tokenizer.control_ids.isdisjoint(ids)
    assert tokenizer.decode(ids) == without_surrogates(text)


@pytest.mark.parametrize("name", CONTROL_TOKENS)
@pytest.mark.parametrize("tokenizer", [TINY, NAMES_ARE_WORDS])
def test_a_control_tokens_name_alone_is_several_tokens_of_text(
    tokenizer: Tokenizer, name: str
) -> None:
    ids = tokenizer.encode_text(name)
    assert len(ids) > 1
    assert tokenizer.decode(ids) == name


@RELAXED
@given(
    text=st.text(st.sampled_from([*WHITE_SPACE, "\x1c", "\x1f", "\u180e", "\u200b", "x"])),
    name=st.sampled_from(CONTROL_TOKENS),
)
def test_the_white_space_that_a_control_token_eats_is_the_librarys(text: str, name: str) -> None:
    library = tokenizers.Tokenizer.from_str(tiny_tokenizer_json())
    after = TINY.control_id(name)
    assert [after, *TINY.encode_text(text, after)] == library.encode(name + text).ids


def test_text_after_text_keeps_its_white_space() -> None:
    assert TINY.decode(TINY.encode_text("  hello", after=TINY.encode_text("x")[0])) == "  hello"


def test_control_tokens_are_left_out_of_decoded_text() -> None:
    ids = [TINY.control_id("<|user|>"), *TINY.encode_text("hello"), TINY.control_id("<|end|>")]
    assert TINY.decode(ids) == "hello"


def test_a_file_read_from_a_folder_is_the_same_tokenizer(tmp_path: Path) -> None:
    read = Tokenizer.from_folder(write_tiny_tokenizer(tmp_path))
    assert read.encode_text("hello the world") == TINY.encode_text("hello the world")
    assert read.control_ids == TINY.control_ids


def test_a_token_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(BadModelError, match=r"no token <\|tag\|>: it is not a Phi-4 tokenizer"):
        TINY.control_id("<|tag|>")


@pytest.mark.parametrize("definition", ["", "not json", "[]", "{}", '{"model": {}}', "null", "3"])
def test_a_broken_definition_is_a_clear_error(definition: str) -> None:
    with pytest.raises(BadModelError, match="cannot be read: fetch the model folder again"):
        Tokenizer(definition)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_missing_or_unreadable_file_is_a_clear_error(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BadModelError, match=r"no readable tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)
