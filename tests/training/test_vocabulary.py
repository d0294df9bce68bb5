"""The bundled model's tokenizer: any text comes back, digits stand alone, controls are controls."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.training.exchange import words_of
from core.training.translation import LANGUAGES, sample_translation
from core.training.vocabulary import CONTROL_TOKENS, world_sentences
from core.training.world import sample_exchange
from tests.training import small_raw_tokenizer, small_tokenizer

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None)
@given(TEXTS)
def test_any_text_comes_back(text: str) -> None:
    tokenizer = small_tokenizer()
    assert tokenizer.decode(tokenizer.encode_text(text)) == text


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_every_digit_is_a_token_of_its_own(number: int) -> None:
    tokenizer = small_tokenizer()
    for text in (str(number), f"a{number}b"):
        ids = tokenizer.encode_text(text)
        pieces = [tokenizer.decode([id_]) for id_ in ids]
        assert [piece for piece in pieces if piece.isdigit()] == list(str(number))


@pytest.mark.parametrize("name", CONTROL_TOKENS)
def test_control_tokens_are_there_and_stay_text_when_typed(name: str) -> None:
    tokenizer = small_tokenizer()
    assert small_raw_tokenizer().encode(name).ids == [tokenizer.control_id(name)]
    typed = tokenizer.encode_text(f"say {name} now")
    assert tokenizer.control_id(name) not in typed
    assert tokenizer.decode(typed) == f"say {name} now"


def test_control_tokens_come_behind_all_text_in_phi_4s_order() -> None:
    raw = small_raw_tokenizer()
    ids = [raw.token_to_id(name) for name in CONTROL_TOKENS]
    assert ids == list(range(raw.get_vocab_size() - len(ids), raw.get_vocab_size()))


@pytest.mark.parametrize("name", ["<|user|>", "<|assistant|>", "<|system|>", "<|end|>"])
def test_role_and_end_tokens_eat_the_white_space_after_them(name: str) -> None:
    tokenizer = small_tokenizer()
    after = tokenizer.control_id(name)
    assert tokenizer.encode_text(" \n hello", after=after) == tokenizer.encode_text("hello")
    image = tokenizer.control_id("<|image|>")
    assert tokenizer.encode_text(" hello", after=image) == tokenizer.encode_text(" hello")


def test_the_vocabulary_is_the_same_from_run_to_run() -> None:
    assert list(world_sentences(50, seed=4)) == list(world_sentences(50, seed=4))
    small_raw_tokenizer.cache_clear()
    again = small_raw_tokenizer().to_str()
    small_raw_tokenizer.cache_clear()
    assert again == small_raw_tokenizer().to_str()


def test_what_the_world_says_costs_few_tokens() -> None:
    rng = random.Random(11)
    sentences = [sample_exchange(rng, "held_out").answer for _ in range(200)]
    num_words = sum(len(sentence.split()) for sentence in sentences)
    num_tokens = sum(len(small_tokenizer().encode_text(sentence)) for sentence in sentences)
    assert num_tokens < 2.5 * num_words


def test_other_languages_are_written_in_few_tokens_and_come_back() -> None:
    rng, tokenizer = random.Random(12), small_tokenizer()
    said = [sample_translation(rng, "held_out").by_language for _ in range(100)]
    for language in LANGUAGES:
        sentences = [each[language] for each in said]
        num_words = sum(len(sentence.split()) for sentence in sentences)
        ids = [tokenizer.encode_text(sentence) for sentence in sentences]
        assert sum(map(len, ids)) < 4 * num_words
        assert [tokenizer.decode(row) for row in ids] == sentences


def test_the_vocabulary_never_sees_a_held_out_sentence_of_its_own() -> None:
    sentences = list(world_sentences(300, seed=5))
    assert len(sentences) > 2000
    translated = [sample_translation(random.Random(n), "held_out").english for n in range(200)]
    assert not {words_of(sentence) for sentence in translated} & set(map(words_of, sentences))
