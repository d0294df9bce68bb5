"""Italian: articles by the sound that follows, melted prepositions, family without article."""

from __future__ import annotations

import pytest

from core.training import grammar_frames as frames
from core.training.grammar import Clause, entries
from core.training.grammar_italian import a, clause, phrase, place, the
from core.training.lexicon_words import MANNER_LINES, OFTEN_LINES, PAST_LINES
from tests.training import adjective, phrase_of, verb


@pytest.mark.parametrize(
    ("word", "gender", "one", "several", "indefinite"),
    [
        ("cane", "m", "il ", "i ", "un "),
        ("specchio", "m", "lo ", "gli ", "uno "),
        ("zio", "m", "lo ", "gli ", "uno "),
        ("gnomo", "m", "lo ", "gli ", "uno "),
        ("psicologo", "m", "lo ", "gli ", "uno "),
        ("yogurt", "m", "lo ", "gli ", "uno "),
        ("sale", "m", "il ", "i ", "un "),
        ("albero", "m", "l'", "gli ", "un "),
        ("hotel", "m", "l'", "gli ", "un "),
        ("arancia", "f", "l'", "le ", "un'"),
        ("scuola", "f", "la ", "le ", "una "),
        ("zuppa", "f", "la ", "le ", "una "),
    ],
)
def test_articles_suit_the_sound_that_follows(
    word: str, gender: str, one: str, several: str, indefinite: str
) -> None:
    assert the(word, gender, is_plural=False) == one
    assert the(word, gender, is_plural=True) == several
    assert a(word, gender) == indefinite


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("the man", "l'uomo"),
        ("the 0 man", "gli uomini"),
        ("a man", "un uomo"),
        ("the mirror", "lo specchio"),
        ("a mirror", "uno specchio"),
        ("the 0 mirror", "gli specchi"),
        ("the sugar", "lo zucchero"),
        ("a orange", "un'arancia"),
        ("the red apple", "la mela rossa"),
        ("the 0 white shirt", "le camicie bianche"),
        ("2 blue shoe", "due scarpe blu"),
        ("3 large dog", "tre cani grandi"),
        ("the 0 tired woman", "le donne stanche"),
        # "bello" comes first and changes as the article does.
        ("a beautiful dog", "un bel cane"),
        ("the beautiful man", "il bell'uomo"),
        ("the 0 beautiful man", "i begli uomini"),
        ("the beautiful mirror", "il bello specchio"),
        ("the 0 beautiful dog", "i bei cani"),
        ("a beautiful apple", "una bella mela"),
        ("my beautiful orange", "la mia bell'arancia"),
        ("2 beautiful cup", "due belle tazze"),
        # An article, but not with one's family.
        ("my dog", "il mio cane"),
        ("my cup", "la mia tazza"),
        ("my 0 dog", "i miei cani"),
        ("my 0 cup", "le mie tazze"),
        ("my mirror", "il mio specchio"),
        ("my mother", "mia madre"),
        ("my uncle", "mio zio"),
        ("my 0 sister", "le mie sorelle"),
    ],
)
def test_phrases_agree_with_their_noun(words: str, said: str) -> None:
    assert phrase(phrase_of(words)) == said


@pytest.mark.parametrize(
    ("preposition", "words", "said"),
    [
        ("in", "the garden", "nel giardino"),
        ("in", "the house", "nella casa"),
        ("in", "the hotel", "nell'hotel"),
        ("in", "the 0 garden", "nei giardini"),
        ("in", "the 0 office", "negli uffici"),
        ("in", "the 0 house", "nelle case"),
        ("on", "the table", "sul tavolo"),
        ("on", "the chair", "sulla sedia"),
        ("on", "the tree", "sull'albero"),
        ("on", "the mirror", "sullo specchio"),
        ("on", "the 0 tree", "sugli alberi"),
        ("under", "the bed", "sotto il letto"),
        ("behind", "the church", "dietro la chiesa"),
        ("in front of", "the castle", "davanti al castello"),
        ("in front of", "the hospital", "davanti all'ospedale"),
        ("in front of", "the school", "davanti alla scuola"),
        ("next to", "the bridge", "accanto al ponte"),
        ("next to", "the mirror", "accanto allo specchio"),
    ],
)
def test_prepositions_melt_into_the_article(preposition: str, words: str, said: str) -> None:
    assert place(preposition, phrase_of(words)) == said


YESTERDAY, OFTEN, HERE = (entries(table)[0] for table in (PAST_LINES, OFTEN_LINES, MANNER_LINES))
APPLE, MAN = phrase_of("the red apple"), phrase_of("the man")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Clause("I", verb("eat"), APPLE), "mangio la mela rossa"),
        (Clause("you", verb("eat"), APPLE), "mangi la mela rossa"),
        (Clause("he", verb("eat"), APPLE), "lui mangia la mela rossa"),
        (Clause("she", verb("eat"), APPLE), "lei mangia la mela rossa"),
        (Clause("they", verb("look for"), APPLE), "cercano la mela rossa"),
        (Clause("I", verb("eat"), APPLE, is_negated=True), "non mangio la mela rossa"),
        (
            Clause(MAN, verb("eat"), APPLE, is_negated=True),
            "l'uomo non mangia la mela rossa",
        ),
        (
            Clause("we", verb("eat"), APPLE, "past", time=YESTERDAY),
            "ieri abbiamo mangiato la mela rossa",
        ),
        (Clause("I", verb("eat"), APPLE, modal="want"), "voglio mangiare la mela rossa"),
        (Clause(MAN, verb("eat"), APPLE, modal="can"), "l'uomo può mangiare la mela rossa"),
        (Clause("you", verb("eat"), APPLE, is_question=True), "mangi la mela rossa"),
        (Clause("she", verb("sleep"), often=OFTEN), "lei dorme spesso"),
        (Clause("they", verb("sleep"), manner=HERE), "dormono qui"),
        (Clause("I", verb("sleep"), place=("in", phrase_of("the hotel"))), "dormo nell'hotel"),
    ],
)
def test_clauses_leave_out_the_subjects_that_the_verb_says(said: Clause, words: str) -> None:
    assert clause(said) == words


ITALIAN = 4  # its place among what a frame says


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (frames.is_so(phrase_of("the 0 shoe"), adjective("dirty")), "le scarpe sono sporche"),
        (frames.is_so(phrase_of("my brother"), adjective("strong")), "mio fratello è forte"),
        (
            frames.is_at(phrase_of("the cat"), "in", phrase_of("the office")),
            "il gatto è nell'ufficio",
        ),
        (
            frames.there_is(phrase_of("a bird"), "on", phrase_of("the table")),
            "c'è un uccello sul tavolo",
        ),
        (
            frames.there_is(phrase_of("2 mirror"), "next to", phrase_of("the bed")),
            "ci sono due specchi accanto al letto",
        ),
        (frames.would_like(phrase_of("a orange")), "vorrei un'arancia, per favore"),
        (frames.where_is(phrase_of("the man")), "dov'è l'uomo"),
        (frames.where_is(phrase_of("my 0 shoe")), "dove sono le mie scarpe"),
        (frames.clauses(Clause("they", frames.HAVE, phrase_of("a dog"))), "hanno un cane"),
    ],
)
def test_being_wishing_and_asking_where(said: frames.Said, words: str) -> None:
    assert said[ITALIAN] == words
