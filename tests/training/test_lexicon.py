"""The words of the translation grammar: whole lines, regular forms, no word twice."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from core.training.grammar import LANGUAGES, Verb, adjectives, entries, nouns, verbs
from core.training.grammar_frames import HAVE
from core.training.lexicon_words import (
    MANNER_LINES,
    NUMBER_LINES,
    OFTEN_LINES,
    PASSING,
    PAST_LINES,
    TIME_LINES,
)
from core.training.translation import DESCRIBED_BY, content_words

LETTERS = r"[a-zA-ZäöüÄÖÜßàâçéèêëîïôùûœáíóúñìò'\- ]+"
GENDERS = {
    "German": {"m", "f", "n"},
    "French": {"m", "f"},
    "Spanish": {"m", "f", "f*"},
    "Italian": {"m", "f"},
}
TABLES = (NUMBER_LINES, TIME_LINES, PAST_LINES, OFTEN_LINES, MANNER_LINES)
every_verb = pytest.mark.parametrize("verb", [*verbs(), HAVE], ids=lambda verb: verb.english[0])


def test_there_are_some_260_words_that_say_something() -> None:
    assert 250 <= len(content_words()) <= 300


def test_every_word_is_made_of_plain_letters() -> None:
    words = [form for noun in nouns() for entry in noun.others.values() for form in entry[1:]]
    words += [form for item in adjectives() for form in (*item.french, *item.spanish)]
    words += [form for item in adjectives() for form in (*item.german, *item.italian)]
    words += [form for verb in verbs() for form in (*verb.french, *verb.spanish, *verb.italian)]
    words += [form for verb in verbs() for form in verb.german]
    words += [form for table in TABLES for row in entries(table) for form in row]
    for word in words:
        assert word == "-" or re.fullmatch(LETTERS, word.replace("/", "")), word


@pytest.mark.parametrize("language", LANGUAGES)
def test_nouns_have_a_gender_and_a_plural_unless_they_cannot_be_counted(language: str) -> None:
    for noun in nouns():
        gender, singular, plural = noun.others[language]
        assert gender in GENDERS[language], noun
        assert singular != "-"
        assert (plural == "-") == noun.is_mass, noun


def test_german_nouns_are_capitalised_and_no_others_are() -> None:
    for noun in nouns():
        for language in LANGUAGES:
            for form in noun.others[language][1:]:
                for word in form.replace("-", " ").split():
                    assert word[0].isupper() == (language == "German"), form


def test_no_noun_or_verb_is_there_twice() -> None:
    names = Counter(noun.english[0] for noun in nouns())
    names += Counter(verb.english[0] for verb in verbs())
    assert {name for name, num in names.items() if num > 1} <= {"cook"}  # who cooks, and cooks
    described = Counter(item.english for item in adjectives())
    assert max(described.values()) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_nouns_are_said_alike(language: str) -> None:
    said = Counter(noun.others[language][1] for noun in nouns())
    assert max(said.values()) == 1, said.most_common(3)


def test_classes_are_those_that_adjectives_and_verbs_speak_of() -> None:
    kinds = {noun.kind for noun in nouns()}
    assert kinds == set(DESCRIBED_BY)
    assert {kind for verb in verbs() for kind in verb.objects} <= kinds
    described = {kind for kinds_of in DESCRIBED_BY.values() for kind in kinds_of}
    assert described == {item.kind for item in adjectives()}
    assert {item.english for item in adjectives()} >= PASSING


def test_adjectives_have_four_forms_and_two_genders_where_the_language_has() -> None:
    for item in adjectives():
        for forms in (item.french, item.spanish, item.italian):
            assert len(forms) == 4, item
        assert len(item.german) == 2


def test_french_adjectives_agree_as_french_ones_do() -> None:
    for item in adjectives():
        masculine, feminine, men, women = item.french
        if " " in masculine or masculine == "marron":  # "bon marché" and a fruit stay as they are
            assert set(item.french) == {masculine}
            continue
        assert feminine[-1] == "e"
        plural = "x" if masculine.endswith("eau") else "s"
        assert men == (masculine if masculine[-1] in "sx" else masculine + plural)
        assert women == f"{feminine}s"


def test_spanish_adjectives_agree_as_spanish_ones_do() -> None:
    for item in adjectives():
        masculine, feminine, men, women = item.spanish
        assert feminine == (f"{masculine[:-1]}a" if masculine[-1] == "o" else masculine)
        if masculine[-1] in "ae" or masculine[-1] == "o":
            assert men == f"{masculine}s"
            assert women == f"{feminine}s"
        else:
            assert men == women
            assert men.endswith("es")


def test_italian_adjectives_agree_as_italian_ones_do() -> None:
    for item in adjectives():
        masculine, feminine, men, women = item.italian
        if masculine[-1] == "o":
            assert feminine == f"{masculine[:-1]}a"
            assert men[-1] == "i"
            assert women[-1] == "e"
        elif masculine[-1] == "e":
            assert feminine == masculine
            assert men == women == f"{masculine[:-1]}i"
        else:
            assert len(set(item.italian)) == 1  # "blu"


@every_verb
def test_english_verbs_follow_their_base(verb: Verb) -> None:
    base, third, past = verb.english
    assert third.split()[0][-1] == "s"
    assert past.split()[1:] == base.split()[1:] == third.split()[1:]


@every_verb
def test_german_persons_have_their_endings(verb: Verb) -> None:
    infinitive, i, you, he, participle = verb.german
    assert infinitive[-1] == "n"
    assert i[-1] == "e"
    assert re.search(r"s?t$", you)
    assert he[-1] == "t"
    assert participle == "-" or re.search(r"(t|en)$", participle)
    assert verb.has_past == (participle != "-")


@every_verb
def test_french_persons_have_their_endings(verb: Verb) -> None:
    infinitive, i, you, he, we, they, participle = verb.french
    assert re.search(r"(er|ir|re|oir)$", infinitive)
    assert re.search(r"[esx]$|^ai$", i)
    assert re.search(r"s$", you)
    assert re.search(r"[etd]$|^a$", he)
    assert re.search(r"ons$", we)
    assert re.search(r"ent$|^ont$", they)
    assert re.search(r"(é|i|u|it|int|ert)$", participle)


@every_verb
def test_spanish_persons_have_their_endings(verb: Verb) -> None:
    infinitive, *present, i, you, he, we, they = verb.spanish
    assert re.search(r"[aeií]r(se)?$", infinitive)
    if infinitive.endswith("se"):
        for forms in (present, (i, you, he, we, they)):
            assert [form.split()[0] for form in forms] == ["me", "te", "se", "nos", "se"]
    for ending, form in zip(("o", "s", "", "mos", "n"), present, strict=True):
        assert form.endswith(ending), form
    assert i[-1] in "éíie"
    assert you.endswith("ste")
    assert he[-1] in "óoe"
    assert we.endswith("mos")
    assert they.endswith("ron")


@every_verb
def test_italian_persons_have_their_endings(verb: Verb) -> None:
    infinitive, i, you, he, we, they, participle = verb.italian
    assert infinitive.endswith("re")
    assert i[-1] == "o"
    assert you[-1] == "i"
    assert he[-1] in "ae"
    assert we.endswith("iamo")
    assert re.search(r"(ono|ano|anno)$", they)
    assert participle.endswith("o")


@pytest.mark.parametrize("table", TABLES)
def test_numbers_and_times_are_said_in_five_languages(table: str) -> None:
    for row in entries(table):
        assert len(row) == 1 + len(LANGUAGES)
        assert all(word.strip() == word != "" for word in row)
    for column in zip(*entries(table), strict=True):
        assert len(set(column)) == len(column)


def test_numbers_go_from_two_to_twelve_in_order() -> None:
    assert [row[0] for row in entries(NUMBER_LINES)][:4] == ["two", "three", "four", "five"]
    assert [row[1] for row in entries(NUMBER_LINES)][-3:] == ["zehn", "elf", "zwölf"]
    assert len(entries(NUMBER_LINES)) == 11
