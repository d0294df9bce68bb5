"""German: cases, endings, weak nouns, the verb in second place and its rest at the end."""

from __future__ import annotations

import pytest

from core.training import grammar_frames as frames
from core.training.grammar import Clause, entries
from core.training.grammar_german import Case, clause, phrase, place
from core.training.lexicon_words import MANNER_LINES, OFTEN_LINES, TIME_LINES
from tests.training import adjective, phrase_of, verb

# By the English words: nominative, accusative, dative; a plural after a number stands in no dative.
PHRASES = {
    "the man": ("der Mann", "den Mann", "dem Mann"),
    "the woman": ("die Frau", "die Frau", "der Frau"),
    "the child": ("das Kind", "das Kind", "dem Kind"),
    "a man": ("ein Mann", "einen Mann", "einem Mann"),
    "a woman": ("eine Frau", "eine Frau", "einer Frau"),
    "a child": ("ein Kind", "ein Kind", "einem Kind"),
    "my dog": ("mein Hund", "meinen Hund", "meinem Hund"),
    "my cat": ("meine Katze", "meine Katze", "meiner Katze"),
    "the small man": ("der kleine Mann", "den kleinen Mann", "dem kleinen Mann"),
    "the small woman": ("die kleine Frau", "die kleine Frau", "der kleinen Frau"),
    "the small child": ("das kleine Kind", "das kleine Kind", "dem kleinen Kind"),
    "a small man": ("ein kleiner Mann", "einen kleinen Mann", "einem kleinen Mann"),
    "a small woman": ("eine kleine Frau", "eine kleine Frau", "einer kleinen Frau"),
    "a small child": ("ein kleines Kind", "ein kleines Kind", "einem kleinen Kind"),
    "the boy": ("der Junge", "den Jungen", "dem Jungen"),
    "a tired boy": ("ein müder Junge", "einen müden Jungen", "einem müden Jungen"),
    "the farmer": ("der Bauer", "den Bauern", "dem Bauern"),
}
PLURALS = {
    "the 0 apple": ("die Äpfel", "die Äpfel"),
    "the 0 red apple": ("die roten Äpfel", "die roten Äpfel"),
    "my 0 red apple": ("meine roten Äpfel", "meine roten Äpfel"),
    "2 apple": ("zwei Äpfel", "zwei Äpfel"),
    "2 red apple": ("zwei rote Äpfel", "zwei rote Äpfel"),
    "3 tired boy": ("drei müde Jungen", "drei müde Jungen"),
}


@pytest.mark.parametrize("case", ["nominative", "accusative", "dative"])
@pytest.mark.parametrize("words", PHRASES)
def test_articles_adjectives_and_weak_nouns_take_the_endings_of_their_case(
    words: str, case: Case
) -> None:
    index = ("nominative", "accusative", "dative").index(case)
    assert phrase(phrase_of(words), case) == PHRASES[words][index]


@pytest.mark.parametrize("words", PLURALS)
def test_plurals_are_the_same_as_subject_and_as_object(words: str) -> None:
    expected = PLURALS[words]
    assert phrase(phrase_of(words), "nominative") == expected[0]
    assert phrase(phrase_of(words), "accusative") == expected[1]


@pytest.mark.parametrize(
    ("preposition", "words", "said"),
    [
        ("in", "the garden", "im Garten"),
        ("in", "the house", "im Haus"),
        ("in", "the kitchen", "in der Küche"),
        ("on", "the table", "auf dem Tisch"),
        ("on", "the bench", "auf der Bank"),
        ("under", "the bed", "unter dem Bett"),
        ("behind", "the wall", "hinter der Mauer"),
        ("in front of", "the lake", "vor dem See"),
        ("next to", "the car", "neben dem Auto"),
    ],
)
def test_places_stand_in_the_dative(preposition: str, words: str, said: str) -> None:
    assert place(preposition, phrase_of(words)) == said


TODAY, MONDAY = (
    next(entry for entry in entries(TIME_LINES) if entry[0] == name)
    for name in ("today", "on Monday")
)
OFTEN, SLOWLY = entries(OFTEN_LINES)[0], entries(MANNER_LINES)[3]
APPLE, BOY = phrase_of("the red apple"), phrase_of("the boy")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Clause("I", verb("eat"), APPLE), "ich esse den roten Apfel"),
        (Clause("you", verb("eat"), APPLE), "du isst den roten Apfel"),
        (Clause("he", verb("read"), phrase_of("a letter")), "er liest einen Brief"),
        (Clause("we", verb("eat"), APPLE), "wir essen den roten Apfel"),
        (Clause(phrase_of("the 0 boy"), verb("sleep")), "die Jungen schlafen"),
        (Clause(BOY, verb("see"), BOY), "der Junge sieht den Jungen"),
        # The verb comes second, whatever comes first.
        (Clause("I", verb("sleep"), time=TODAY), "heute schlafe ich"),
        (Clause(BOY, verb("buy"), APPLE, time=MONDAY), "am Montag kauft der Junge den roten Apfel"),
        # What does not agree with the subject comes last.
        (Clause(BOY, verb("eat"), APPLE, "past"), "der Junge hat den roten Apfel gegessen"),
        (
            Clause("I", verb("buy"), APPLE, "past", time=TODAY),
            "heute habe ich den roten Apfel gekauft",
        ),
        (Clause("they", verb("buy"), APPLE, modal="want"), "sie wollen den roten Apfel kaufen"),
        (Clause(BOY, verb("buy"), APPLE, modal="can"), "der Junge kann den roten Apfel kaufen"),
        (Clause("I", verb("eat"), APPLE, is_negated=True), "ich esse den roten Apfel nicht"),
        (Clause("you", verb("eat"), APPLE, is_question=True), "isst du den roten Apfel"),
        (Clause(BOY, verb("eat"), APPLE, is_question=True), "isst der Junge den roten Apfel"),
        (Clause("she", verb("sleep"), often=OFTEN), "sie schläft oft"),
        (Clause("she", verb("sleep"), manner=SLOWLY), "sie schläft langsam"),
        (Clause("I", verb("sleep"), place=("in", phrase_of("the house"))), "ich schlafe im Haus"),
    ],
)
def test_clauses_put_the_verb_second_and_its_rest_last(said: Clause, words: str) -> None:
    assert clause(said) == words


GERMAN = 1  # its place among what a frame says


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (frames.is_so(phrase_of("the boy"), adjective("tired")), "der Junge ist müde"),
        (frames.is_so(phrase_of("the 0 soup"), adjective("hot")), "die Suppen sind heiß"),
        (
            frames.is_at(phrase_of("the cat"), "under", phrase_of("the table")),
            "die Katze ist unter dem Tisch",
        ),
        (
            frames.there_is(phrase_of("2 small dog"), "in", phrase_of("the garden")),
            "im Garten sind zwei kleine Hunde",
        ),
        (
            frames.there_is(phrase_of("a boy"), "in front of", phrase_of("the church")),
            "vor der Kirche ist ein Junge",
        ),
        (frames.would_like(phrase_of("a ball")), "ich hätte gern einen Ball, bitte"),
        (frames.where_is(phrase_of("my 0 shoe")), "wo sind meine Schuhe"),
        (
            frames.clauses(Clause("I", frames.HAVE, phrase_of("a red hat"))),
            "ich habe einen roten Hut",
        ),
    ],
)
def test_being_wishing_and_asking_where(said: frames.Said, words: str) -> None:
    assert said[GERMAN] == words
