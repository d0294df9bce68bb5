"""Spanish: "el agua", "al" and "del", the personal "a", "ser" and "estar", subjects left out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.training import grammar_frames as frames
from core.training.grammar import Clause, Noun, Phrase, entries
from core.training.grammar_spanish import clause, contracted, object_phrase, phrase, place
from core.training.lexicon_words import MANNER_LINES, OFTEN_LINES, PAST_LINES
from tests.training import adjective, noun, phrase_of, verb

# A feminine noun with a stressed "a" that can be counted, which the lexicon's water cannot.
EAGLE = replace(
    noun("bird"),
    english=("eagle", "eagles"),
    others={**noun("bird").others, "Spanish": ("f*", "águila", "águilas")},
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("the man", "el hombre"),
        ("the woman", "la mujer"),
        ("the 0 dog", "los perros"),
        ("the 0 cow", "las vacas"),
        ("a fish", "un pez"),
        ("2 fish", "dos peces"),
        ("my shoe", "mi zapato"),
        ("my 0 shoe", "mis zapatos"),
        ("the red apple", "la manzana roja"),
        ("a small woman", "una mujer pequeña"),
        ("the 0 blue flower", "las flores azules"),
        ("3 young man", "tres hombres jóvenes"),
        ("the brown shoe", "el zapato marrón"),
        ("2 brown shoe", "dos zapatos marrones"),
        ("the water", "el agua"),
        ("the cold water", "el agua fría"),
    ],
)
def test_phrases_agree_with_their_noun(words: str, said: str) -> None:
    assert phrase(phrase_of(words)) == said


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Phrase(EAGLE, "the"), "el águila"),
        (Phrase(EAGLE, "a"), "un águila"),
        (Phrase(EAGLE, "the", 0), "las águilas"),
        (Phrase(EAGLE, "my"), "mi águila"),
        (Phrase(EAGLE, "the", 1, adjective("white")), "el águila blanca"),
        (Phrase(EAGLE, "number", 2, adjective("white")), "dos águilas blancas"),
    ],
)
def test_a_stressed_a_takes_el_in_the_singular_and_stays_feminine(said: Phrase, words: str) -> None:
    assert phrase(said) == words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("a el perro", "al perro"),
        ("al lado de el puente", "al lado del puente"),
        ("detrás de la torre", "detrás de la torre"),
        ("a ella", "a ella"),
        ("veo a él", "veo a él"),
        ("para el perro", "para el perro"),
        ("a los perros de el rey", "a los perros del rey"),
    ],
)
def test_a_and_de_melt_into_el_and_into_nothing_else(words: str, said: str) -> None:
    assert contracted(words) == said


@pytest.mark.parametrize(
    ("preposition", "words", "said"),
    [
        ("in", "the house", "en la casa"),
        ("on", "the table", "sobre la mesa"),
        ("under", "the carpet", "debajo de la alfombra"),
        ("behind", "the castle", "detrás del castillo"),
        ("in front of", "the hotel", "delante del hotel"),
        ("next to", "the bridge", "al lado del puente"),
        ("next to", "the tower", "al lado de la torre"),
    ],
)
def test_places_contract_de_and_el(preposition: str, words: str, said: str) -> None:
    assert contracted(place(preposition, phrase_of(words))) == said


@pytest.mark.parametrize(
    ("infinitive", "words", "said"),
    [
        ("ver", "the man", "al hombre"),
        ("ver", "the woman", "a la mujer"),
        ("ver", "a man", "a un hombre"),
        ("oír", "3 woman", "a tres mujeres"),
        ("ver", "the 0 dog", "a los perros"),
        ("ver", "my cat", "a mi gato"),
        ("ver", "2 dog", "dos perros"),
        ("amar", "2 dog", "a dos perros"),
        ("contar", "the 0 dog", "los perros"),
        ("ver", "the house", "la casa"),
        ("amar", "my red shoe", "mi zapato rojo"),
    ],
)
def test_people_and_animals_that_are_known_take_a(infinitive: str, words: str, said: str) -> None:
    assert contracted(object_phrase(phrase_of(words), infinitive)) == said


YESTERDAY, OFTEN, HERE = (entries(table)[0] for table in (PAST_LINES, OFTEN_LINES, MANNER_LINES))
APPLE, MAN = phrase_of("the red apple"), phrase_of("the man")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Clause("I", verb("eat"), APPLE), "como la manzana roja"),
        (Clause("you", verb("eat"), APPLE), "comes la manzana roja"),
        (Clause("he", verb("eat"), APPLE), "él come la manzana roja"),
        (Clause("she", verb("eat"), APPLE), "ella come la manzana roja"),
        (Clause("we", verb("eat"), APPLE), "comemos la manzana roja"),
        (Clause("they", verb("eat"), APPLE), "comen la manzana roja"),
        (Clause("I", verb("see"), MAN), "veo al hombre"),
        (Clause("I", verb("eat"), APPLE, is_negated=True), "no como la manzana roja"),
        (
            Clause("they", verb("eat"), APPLE, "past", time=YESTERDAY),
            "ayer comieron la manzana roja",
        ),
        (
            Clause(MAN, verb("see"), phrase_of("the dog"), "past", time=YESTERDAY),
            "ayer el hombre vio al perro",
        ),
        (Clause("I", verb("eat"), APPLE, modal="want"), "quiero comer la manzana roja"),
        (Clause(MAN, verb("see"), MAN, modal="can"), "el hombre puede ver al hombre"),
        (Clause("you", verb("eat"), APPLE, is_question=True), "comes la manzana roja"),
        (Clause(MAN, verb("eat"), APPLE, is_question=True), "come el hombre la manzana roja"),
        (Clause("she", verb("sleep"), often=OFTEN), "ella duerme a menudo"),
        (Clause("we", verb("sleep"), manner=HERE), "dormimos aquí"),
        (
            Clause("I", verb("sleep"), place=("in", phrase_of("the garden"))),
            "duermo en el jardín",
        ),
    ],
)
def test_clauses_leave_out_the_subjects_that_the_verb_says(said: Clause, words: str) -> None:
    assert clause(said) == words


SPANISH = 3  # its place among what a frame says


@pytest.mark.parametrize(
    ("said", "words"),
    [
        # "estar" for what may pass, "ser" for what stays.
        (frames.is_so(phrase_of("the soup"), adjective("hot")), "la sopa está caliente"),
        (frames.is_so(phrase_of("the 0 man"), adjective("tired")), "los hombres están cansados"),
        (frames.is_so(phrase_of("the window"), adjective("broken")), "la ventana está rota"),
        (frames.is_so(phrase_of("the house"), adjective("large")), "la casa es grande"),
        (frames.is_so(phrase_of("the 0 king"), adjective("rich")), "los reyes son ricos"),
        (frames.is_so(phrase_of("my aunt"), adjective("young")), "mi tía es joven"),
        (
            frames.is_at(phrase_of("the cat"), "next to", phrase_of("the bed")),
            "el gato está al lado de la cama",
        ),
        (
            frames.is_at(phrase_of("the 0 cup"), "behind", phrase_of("the castle")),
            "las tazas están detrás del castillo",
        ),
        (
            frames.there_is(phrase_of("2 dog"), "next to", phrase_of("the bridge")),
            "hay dos perros al lado del puente",
        ),
        (frames.would_like(phrase_of("a pear")), "quisiera una pera, por favor"),
        (frames.where_is(phrase_of("the 0 key")), "dónde están las llaves"),
        (frames.clauses(Clause("I", frames.HAVE, phrase_of("a dog"))), "tengo un perro"),
    ],
)
def test_being_wishing_and_asking_where(said: frames.Said, words: str) -> None:
    assert said[SPANISH] == words


def test_the_eagle_of_these_tests_is_a_noun_like_others() -> None:
    assert isinstance(EAGLE, Noun)
    assert not EAGLE.is_mass
    assert EAGLE.is_alive
