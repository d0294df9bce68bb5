"""French: elision, contraction, adjectives before or after the noun, "ne ... pas"."""

from __future__ import annotations

import pytest

from core.training import grammar_frames as frames
from core.training.grammar import Clause, entries
from core.training.grammar_french import begins_with_vowel, clause, elided, phrase, place
from core.training.lexicon_words import MANNER_LINES, OFTEN_LINES, PAST_LINES, TIME_LINES
from tests.training import adjective, phrase_of, verb


@pytest.mark.parametrize("word", ["arbre", "école", "hôtel", "œuf", "Été", "île"])
def test_accents_and_a_mute_h_are_vowels_too(word: str) -> None:
    assert begins_with_vowel(word)


@pytest.mark.parametrize("word", ["chat", "yaourt", "roi", "ça"])
def test_consonants_are_no_vowels(word: str) -> None:
    assert not begins_with_vowel(word)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("le arbre", "l'arbre"),
        ("la école", "l'école"),
        ("le homme", "l'homme"),
        ("la grande école", "la grande école"),
        ("je ai", "j'ai"),
        ("Je aime", "J'aime"),
        ("je ne ouvre pas", "je n'ouvre pas"),
        ("je ne vois pas", "je ne vois pas"),
        ("à côté de le pont", "à côté du pont"),
        ("à côté de la tour", "à côté de la tour"),
        ("à côté de le hôpital", "à côté de l'hôpital"),
        ("les arbres", "les arbres"),
        ("une pomme de terre", "une pomme de terre"),
        ("est-ce que tu ouvres", "est-ce que tu ouvres"),
    ],
)
def test_short_words_lose_their_vowel_before_another(words: str, said: str) -> None:
    assert elided(words) == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("the man", "l'homme"),
        ("the woman", "la femme"),
        ("the king", "le roi"),
        ("the 0 child", "les enfants"),
        ("a pear", "une poire"),
        # Few adjectives come before their noun.
        ("the small dog", "le petit chien"),
        ("a small house", "une petite maison"),
        ("the 0 large tree", "les grands arbres"),
        ("the young man", "le jeune homme"),
        ("a good soup", "une bonne soupe"),
        ("the beautiful dog", "le beau chien"),
        ("the beautiful man", "le bel homme"),
        ("my beautiful tree", "mon bel arbre"),
        ("the 0 beautiful tree", "les beaux arbres"),
        ("a beautiful clock", "une belle horloge"),
        ("7 brown key", "sept clés marron"),
        ("a long letter", "une longue lettre"),
        ("the red apple", "la pomme rouge"),
        ("the white man", "l'homme blanc"),
        ("2 white house", "deux maisons blanches"),
        ("3 happy man", "trois hommes heureux"),
        ("the 0 fresh pear", "les poires fraîches"),
        ("the cheap lamp", "la lampe bon marché"),
        # "mon" where "ma" would meet a vowel.
        ("my dog", "mon chien"),
        ("my frog", "ma grenouille"),
        ("my plate", "mon assiette"),
        ("my scarf", "mon écharpe"),
        ("my small plate", "ma petite assiette"),
        ("my 0 plate", "mes assiettes"),
        ("my aunt", "ma tante"),
        ("my uncle", "mon oncle"),
    ],
)
def test_phrases_agree_and_keep_their_order(words: str, said: str) -> None:
    assert elided(phrase(phrase_of(words))) == said


@pytest.mark.parametrize(
    ("preposition", "words", "said"),
    [
        ("in", "the garden", "dans le jardin"),
        ("in", "the school", "dans l'école"),
        ("on", "the table", "sur la table"),
        ("next to", "the bridge", "à côté du pont"),
        ("next to", "the tree", "à côté de l'arbre"),
        ("next to", "the church", "à côté de l'église"),
        ("next to", "the tower", "à côté de la tour"),
    ],
)
def test_places_contract_de_and_le(preposition: str, words: str, said: str) -> None:
    assert elided(place(preposition, phrase_of(words))) == said


YESTERDAY, SUMMER = (
    next(entry for entry in entries(lines) if entry[0] == name)
    for lines, name in ((PAST_LINES, "yesterday"), (TIME_LINES, "in summer"))
)
OFTEN, MUCH = entries(OFTEN_LINES)[0], entries(MANNER_LINES)[5]
APPLE, MAN = phrase_of("the red apple"), phrase_of("the man")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Clause("I", verb("eat"), APPLE), "je mange la pomme rouge"),
        (Clause("I", verb("buy"), APPLE), "j'achète la pomme rouge"),
        (Clause("we", verb("eat"), APPLE), "nous mangeons la pomme rouge"),
        (Clause(MAN, verb("open"), phrase_of("a door")), "l'homme ouvre une porte"),
        (Clause("I", verb("open"), APPLE, is_negated=True), "je n'ouvre pas la pomme rouge"),
        (Clause("they", verb("eat"), APPLE, is_negated=True), "ils ne mangent pas la pomme rouge"),
        (Clause("I", verb("eat"), APPLE, "past"), "j'ai mangé la pomme rouge"),
        (
            Clause("I", verb("eat"), APPLE, "past", time=YESTERDAY),
            "hier, j'ai mangé la pomme rouge",
        ),
        (Clause("she", verb("sleep"), time=SUMMER), "en été, elle dort"),
        (Clause("you", verb("buy"), APPLE, modal="want"), "tu veux acheter la pomme rouge"),
        (Clause("they", verb("buy"), APPLE, modal="can"), "ils peuvent acheter la pomme rouge"),
        (
            Clause("you", verb("eat"), APPLE, is_question=True),
            "est-ce que tu manges la pomme rouge",
        ),
        (
            Clause(MAN, verb("eat"), APPLE, is_question=True),
            "est-ce que l'homme mange la pomme rouge",
        ),
        (Clause("he", verb("sleep"), often=OFTEN), "il dort souvent"),
        (Clause("he", verb("work"), manner=MUCH), "il travaille beaucoup"),
        (
            Clause("I", verb("wait"), place=("in", phrase_of("the hotel"))),
            "j'attends dans l'hôtel",
        ),
    ],
)
def test_clauses_elide_negate_and_ask(said: Clause, words: str) -> None:
    assert clause(said) == words


FRENCH = 2  # its place among what a frame says


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (frames.is_so(phrase_of("the 0 pear"), adjective("cold")), "les poires sont froides"),
        (frames.is_so(phrase_of("my sister"), adjective("happy")), "ma sœur est heureuse"),
        (
            frames.is_at(phrase_of("the bird"), "next to", phrase_of("the bridge")),
            "l'oiseau est à côté du pont",
        ),
        (
            frames.there_is(phrase_of("2 sick dog"), "in front of", phrase_of("the church")),
            "il y a deux chiens malades devant l'église",
        ),
        (frames.would_like(phrase_of("a apple")), "je voudrais une pomme, s'il vous plaît"),
        (frames.where_is(phrase_of("the clock")), "où est l'horloge"),
        (frames.clauses(Clause("I", frames.HAVE, phrase_of("a hat"))), "j'ai un chapeau"),
        (frames.clauses(Clause("they", frames.HAVE, phrase_of("a hat"))), "ils ont un chapeau"),
    ],
)
def test_being_wishing_and_asking_where(said: frames.Said, words: str) -> None:
    assert said[FRENCH] == words
