"""Sentences to translate: splits apart, every word in use, the same in five languages."""

from __future__ import annotations

import random
import re
from collections import Counter
from functools import cache

import pytest

from core.training import grammar_english as english
from core.training.exchange import Split, is_held_out, words_of
from core.training.grammar import Clause, Language, Phrase, adjectives, entries, nouns, verbs
from core.training.lexicon_words import (
    MANNER_LINES,
    NUMBER_LINES,
    OFTEN_LINES,
    PAST_LINES,
    TIME_LINES,
)
from core.training.translation import (
    LANGUAGES,
    Translation,
    _adjective,
    _object,
    content_words,
    sample_translation,
)
from tests import training

NUM = 20_000
MARKS: dict[Language, tuple[str, str]] = {
    "German": ("", "?"),
    "French": ("", " ?"),
    "Spanish": ("¿", "?"),
    "Italian": ("", "?"),
}


@cache
def sampled(split: Split, num: int = NUM) -> tuple[Translation, ...]:
    """Many sentences of a split."""
    rng = random.Random(f"test-{split}")
    return tuple(sample_translation(rng, split) for _ in range(num))


@cache
def base_forms() -> dict[str, str]:
    """Any English form of the lexicon, and the word that it is a form of."""
    found = {form: noun.english[0] for noun in nouns() for form in noun.english}
    found |= {item.english: item.english for item in adjectives()}
    for verb in verbs():
        base = verb.english[0].split()[0]
        found |= {form.split()[0]: base for form in verb.english}
    for lines in (NUMBER_LINES, TIME_LINES, PAST_LINES, OFTEN_LINES, MANNER_LINES):
        found |= {word: word for entry in entries(lines) for word in entry[0].split()[-1:]}
    return found


def counts() -> Counter[str]:
    """How many of the sentences say each content word."""
    found = Counter[str]()
    for translation in sampled("train"):
        words = [words_of(translation.english), translation.english.rstrip(".?")]
        spoken = {word for sentence in words for word in sentence.split()}
        found.update({base_forms()[word] for word in spoken if word in base_forms()})
    return found


def test_at_least_250_content_words_are_really_said_and_none_is_missing() -> None:
    said = set(counts())
    assert len(said & content_words()) >= 250
    assert said >= content_words()


def test_every_content_word_is_said_once_in_600_sentences_or_more_often() -> None:
    num = counts()
    rare = {word: num[word] for word in content_words() if num[word] < NUM / 600}
    assert not rare


def test_no_sentence_is_in_both_splits() -> None:
    trained = {words_of(t.english) for t in sampled("train")}
    held_out = {words_of(t.english) for t in sampled("held_out", 4000)}
    assert not trained & held_out
    assert all(is_held_out(sentence) for sentence in held_out)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_of_a_held_out_sentence_is_trained(language: Language) -> None:
    trained = {t.by_language[language] for t in sampled("train")}
    leaked = [t for t in sampled("held_out", 4000) if t.by_language[language] in trained]
    assert len(leaked) < 0.01 * 4000  # where two English sentences are one in another language


def test_sentences_hardly_ever_repeat() -> None:
    sentences = {t.english for t in sampled("train")}
    assert len(sentences) > 0.8 * NUM


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_is_capitalised_and_marked_as_its_language_does(language: Language) -> None:
    begin, end = MARKS[language]
    for translation in sampled("train"):
        said = translation.by_language[language]
        if translation.english.endswith("?"):
            assert said.startswith(begin)
            assert said.endswith(end)
            said = said.removeprefix(begin).removesuffix(end)
        else:
            assert said.endswith(".")
            said = said.removesuffix(".")
        assert said[0].isupper()
        assert re.fullmatch(r"[^\W\d_]+(?:(?:, |[ '-])[^\W\d_]+)*", said), said


def test_english_sentences_are_capitalised_and_plain() -> None:
    for translation in sampled("train"):
        assert re.fullmatch(r"[A-Z][A-Za-z]*(,? [A-Za-z]+)*[.?]", translation.english)


def test_every_sentence_is_said_in_every_language() -> None:
    for translation in sampled("train", 500):
        assert tuple(translation.by_language) == LANGUAGES
        assert len(set(translation.by_language.values())) == len(LANGUAGES)


def test_a_sentence_has_one_translation() -> None:
    found: dict[str, set[tuple[str, ...]]] = {}
    for translation in (*sampled("train"), *sampled("held_out", 4000)):
        said = tuple(translation.by_language.values())
        found.setdefault(words_of(translation.english), set()).add(said)
    assert not [sentence for sentence, said in found.items() if len(said) > 1]


@pytest.mark.parametrize(
    ("name", "odd", "usual"),
    [("cook", "cake", "potato"), ("cut", "soup", "cake"), ("touch", "guitar", "lamp")],
)
def test_nothing_is_done_that_needs_a_word_of_its_own(name: str, odd: str, usual: str) -> None:
    rng, done = random.Random("odd"), training.verb(name)
    things = {_object(rng, done).noun.english[0] for _ in range(1500)}
    assert usual in things
    assert odd not in things


def test_people_are_not_called_large_nor_potatoes_sweet() -> None:
    rng = random.Random("odd")
    of_men, of_potatoes, of_pears = (
        {_adjective(rng, training.noun(name)).english for _ in range(400)}
        for name in ("man", "potato", "pear")
    )
    assert "small" in of_men
    assert "large" not in of_men
    assert "sweet" in of_pears - of_potatoes


def test_people_are_spoken_of_as_things_are() -> None:
    said = {translation.english for translation in sampled("train")}
    for wanted in (
        r"I am (not )?tired\.",
        r"She is (not )?\w+\.",
        r"My (mother|father|sister|brother) is (in|on|behind) the \w+\.",
        r"Where is my (small |young |happy )?(mother|father|sister|brother|aunt|uncle)\?",
        r"\w+ loves? my (mother|father|sister|brother|aunt|uncle|grand\w+)\.",
        r"My (car|key|book|coat|dog|cat|hat) is \w+\.",
    ):
        assert any(re.fullmatch(wanted, sentence) for sentence in said), wanted


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_makes_the_same_sentences(split: Split) -> None:
    first, again, other = (
        [sample_translation(random.Random(f"{seed}-{n}"), split) for n in range(30)]
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


# English

MAN, APPLE = (next(n for n in nouns() if n.english[0] == name) for name in ("man", "apple"))
SEE, LOOK = (next(v for v in verbs() if v.english[0].startswith(name)) for name in ("see", "look"))
OLD = next(item for item in adjectives() if item.english == "important")


@pytest.mark.parametrize(
    ("phrase", "words"),
    [
        (Phrase(APPLE, "a"), "an apple"),
        (Phrase(MAN, "a"), "a man"),
        (Phrase(MAN, "a", 1, OLD), "an important man"),
        (Phrase(APPLE, "the", 0), "the apples"),
        (Phrase(MAN, "number", 2), "two men"),
        (Phrase(APPLE, "number", 12), "twelve apples"),
        (Phrase(APPLE, "my"), "my apple"),
    ],
)
def test_english_phrases(phrase: Phrase, words: str) -> None:
    assert english.phrase(phrase) == words


THE_MAN = Phrase(MAN, "the")
ONE = Phrase(APPLE, "the")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Clause("I", SEE, ONE), "I see the apple"),
        (Clause("she", SEE, ONE), "she sees the apple"),
        (Clause("they", LOOK, ONE, "past"), "they looked for the apple"),
        (Clause(THE_MAN, LOOK, ONE, is_negated=True), "the man does not look for the apple"),
        (Clause("we", SEE, ONE, is_negated=True), "we do not see the apple"),
        (Clause("he", SEE, ONE, modal="want"), "he wants to see the apple"),
        (Clause("you", SEE, ONE, modal="want"), "you want to see the apple"),
        (Clause("you", SEE, ONE, modal="can"), "you can see the apple"),
        (Clause("he", SEE, ONE, modal="can", is_negated=True), "he cannot see the apple"),
        (Clause(THE_MAN, SEE, ONE, is_question=True), "does the man see the apple"),
        (Clause("you", LOOK, ONE, is_question=True), "do you look for the apple"),
    ],
)
def test_english_clauses(said: Clause, words: str) -> None:
    assert english.clause(said) == words
