"""Streams of tokens as text: nothing lost, no half characters, no part of a stop string."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.detokenize import REPLACEMENT, TextStream
from core.tokenizer import Tokenizer
from tests.tiny_tokenizer import byte_token_ids, tiny_tokenizer_json

TINY = Tokenizer(tiny_tokenizer_json())
TOKEN_OF = byte_token_ids()
RELAXED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
SPOKEN = st.text(st.sampled_from("a é€🙂🇫🇷👩‍👧\u200b\u0301हि�hello")) | st.text(
    st.characters(exclude_categories=["Cs"])
)


def streamed(token_ids: list[int], stop: tuple[str, ...] = ()) -> tuple[list[str], TextStream]:
    """The deltas of a reply, its end included, and the stream."""
    stream, deltas = TextStream(TINY, stop), []
    for token_id in token_ids:
        deltas.append(stream.push(token_id))
        if stream.is_stopped:
            break
    return [*deltas, stream.finish()], stream


def bytewise(data: bytes) -> list[int]:
    """Every byte its own token."""
    return [TOKEN_OF[byte] for byte in data]


@RELAXED
@given(text=SPOKEN)
def test_deltas_put_together_are_the_text(text: str) -> None:
    deltas, stream = streamed(TINY.encode_text(text))
    assert "".join(deltas) == text == stream.text


@RELAXED
@given(text=SPOKEN)
def test_every_byte_its_own_token_gives_the_same_text(text: str) -> None:
    deltas, _ = streamed(bytewise(text.encode()))
    assert "".join(deltas) == text


@RELAXED
@given(token_ids=st.lists(st.integers(0, 330), max_size=40))
@example(token_ids=bytewise(b"\xe2\x82a\xf0\x9f\xff\xffb\x80"))
@example(token_ids=bytewise(b"\xf0\x9f\x99"))
@example(token_ids=bytewise(b"\xff" * 30))
def test_any_tokens_at_all_decode_to_what_the_tokenizer_says(token_ids: list[int]) -> None:
    deltas, stream = streamed(token_ids)
    assert "".join(deltas) == TINY.decode(token_ids) == stream.text


@RELAXED
@given(text=SPOKEN)
def test_a_character_is_told_when_its_last_byte_is_there_and_no_sooner(text: str) -> None:
    stream, told = TextStream(TINY), ""
    for char in text.replace(REPLACEMENT, ""):
        *first, last = bytewise(char.encode())
        assert all(stream.push(token_id) == "" for token_id in first)
        told += stream.push(last)
        assert told.endswith(char)
    assert REPLACEMENT not in told


def test_a_character_that_never_ends_is_shown_as_broken_at_the_end_only() -> None:
    stream = TextStream(TINY)
    assert [stream.push(token_id) for token_id in bytewise(b"a\xf0\x9f")] == ["a", "", ""]
    assert stream.finish() == REPLACEMENT
    assert stream.text == f"a{REPLACEMENT}"


# ------------------------------------------------------------------------- stop strings

PIECES = st.lists(st.sampled_from(("a", "b", "c", "ab", "hel", "lo", "hello", "🙂")), max_size=10)
STOPS = st.lists(
    st.text(st.sampled_from("abc🙂"), min_size=1, max_size=4)
    | st.sampled_from(("hello", "ell", "lo", "e")),
    min_size=1,
    max_size=3,
).map(tuple)


def before_the_first(text: str, stop: tuple[str, ...]) -> tuple[str, bool]:
    """What is read of a text until some stop string is complete."""
    for end in range(1, len(text) + 1):
        complete = [end - len(s) for s in stop if text[:end].endswith(s)]
        if complete:
            return text[: min(complete)], True
    return text, False


@RELAXED
@given(pieces=PIECES, stop=STOPS)
@example(pieces=["hello"], stop=("hello", "e"))  # one token that completes both
@example(pieces=["a", "a", "a", "b"], stop=("aab",))
@example(pieces=["ab", "ab", "c"], stop=("abc",))
def test_a_reply_ends_before_the_stop_string_wherever_it_falls_over_tokens(
    pieces: list[str], stop: tuple[str, ...]
) -> None:
    token_ids = [i for piece in pieces for i in TINY.encode_text(piece)]
    expected, is_stopped = before_the_first("".join(pieces), stop)
    for ids in (token_ids, TINY.encode_text("".join(pieces))):
        deltas, stream = streamed(ids, stop)
        assert ("".join(deltas), stream.is_stopped) == (expected, is_stopped)
        assert stream.text == expected


@RELAXED
@given(pieces=PIECES, stop=STOPS)
def test_no_delta_takes_back_what_the_stop_string_cuts(
    pieces: list[str], stop: tuple[str, ...]
) -> None:
    expected, _ = before_the_first("".join(pieces), stop)
    stream, told = TextStream(TINY, stop), ""
    for token_id in TINY.encode_text("".join(pieces)):
        told += stream.push(token_id)
        assert expected.startswith(told)
        if stream.is_stopped:
            break


@pytest.mark.parametrize(
    ("stop", "deltas"),
    [
        ((), ["a", "b", "c", "d", ""]),
        (("cd",), ["a", "b", "", "", ""]),
        (("bcx",), ["a", "", "", "bcd", ""]),
        (("dx",), ["a", "b", "c", "", "d"]),
    ],
)
def test_only_what_could_begin_a_stop_string_is_held_back(
    stop: tuple[str, ...], deltas: list[str]
) -> None:
    assert streamed(bytewise(b"abcd"), stop)[0] == deltas


def test_reply_that_was_cut_off_ends_before_its_half_character() -> None:
    stream = TextStream(TINY)
    assert stream.push(bytewise("é".encode())[0]) == ""
    assert stream.finish(is_whole=False) == ""
    assert stream.text == ""
