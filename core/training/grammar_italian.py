"""Italian: articles by the sound that follows, prepositions that melt into them."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from core.training.grammar import Clause, Phrase, entries
from core.training.grammar_french import agreeing
from core.training.lexicon_words import NUMBER_LINES

PRONOUNS: Final = {"I": "", "you": "", "he": "lui", "she": "lei", "we": "", "they": ""}
HAVE: Final = ("ho", "hai", "ha", "abbiamo", "hanno")
MODALS: Final = {
    "want": ("voglio", "vuoi", "vuole", "vogliamo", "vogliono"),
    "can": ("posso", "puoi", "può", "possiamo", "possono"),
}
PREPOSITIONS: Final = {
    "in": "in",
    "on": "su",
    "under": "sotto",
    "behind": "dietro",
    "in front of": "davanti a",
    "next to": "accanto a",
}
# A preposition and the definite article: its stem, by which the article's forms follow.
MELTED: Final = {"in": "ne", "su": "su", "a": "a"}
# "bello" before a noun changes as the definite article does.
BEAUTIFUL: Final = {
    "il ": "bel ",
    "lo ": "bello ",
    "la ": "bella ",
    "l'": "bell'",
    "i ": "bei ",
    "gli ": "begli ",
    "le ": "belle ",
}
MINE: Final = {("m", False): "mio", ("f", False): "mia", ("m", True): "miei", ("f", True): "mie"}
POSITION: Final = 4  # of Italian in the lexicon's entries


def begins_with_vowel(word: str) -> bool:
    """Whether an article before the word loses its vowel; every h is silent."""
    return unicodedata.normalize("NFD", word)[0].lower() in "aeiouh"


def begins_hard(word: str) -> bool:
    """Whether a masculine word takes "lo" and "uno": s and a consonant, z, gn, ps, x, y."""
    return re.match(r"s[^aeiou]|z|gn|ps|x|y", word) is not None


def the(word: str, gender: str, is_plural: bool) -> str:
    """The definite article before a word, with its space where it has one."""
    if is_plural:
        if gender == "f":
            return "le "
        return "gli " if begins_with_vowel(word) or begins_hard(word) else "i "
    if begins_with_vowel(word):
        return "l'"
    if gender == "f":
        return "la "
    return "lo " if begins_hard(word) else "il "


def a(word: str, gender: str) -> str:
    """The indefinite article before a word, with its space where it has one."""
    if gender == "f":
        return "un'" if begins_with_vowel(word) else "una "
    return "uno " if begins_hard(word) else "un "


def phrase(np: Phrase) -> str:
    """ "la mela rossa"; only "bello" stands before the noun."""
    gender, singular, plural = np.noun.others["Italian"]
    noun = plural if np.is_plural else singular
    words = noun
    if np.adjective and np.adjective.italian[0] == "bello":
        words = BEAUTIFUL[the(noun, gender, np.is_plural)] + noun
    elif np.adjective:
        words = f"{noun} {agreeing(np.adjective.italian, gender, np.is_plural)}"
    match np.determiner:
        case "the":
            return the(words, gender, np.is_plural) + words
        case "a":
            return a(words, gender) + words
        case "number":
            return f"{entries(NUMBER_LINES)[np.number - 2][POSITION]} {words}"
        case "my":
            mine = f"{MINE[gender, np.is_plural]} {words}"
            # One's own family does without the article, in the singular.
            is_kin = np.noun.kind == "family" and not np.is_plural
            return mine if is_kin else the(mine, gender, np.is_plural) + mine
    raise AssertionError(np.determiner)


def melted(preposition: str, words: str) -> str:
    """ "in" and "il giardino" become "nel giardino"."""
    stem = MELTED[preposition]
    for article, joined in (
        ("il ", "l "),
        ("lo ", "llo "),
        ("la ", "lla "),
        ("l'", "ll'"),
        ("i ", "i "),
        ("gli ", "gli "),
        ("le ", "lle "),
    ):
        if words.startswith(article):
            return stem + joined + words.removeprefix(article)
    return f"{preposition} {words}"


def place(preposition: str, np: Phrase) -> str:
    """ "nel giardino"."""
    *before, last = PREPOSITIONS[preposition].split()
    words = melted(last, phrase(np)) if last in MELTED else f"{last} {phrase(np)}"
    return " ".join([*before, words])


def clause(said: Clause) -> str:
    """The words of a clause in order, without its mark."""
    subject = PRONOUNS[said.subject] if isinstance(said.subject, str) else phrase(said.subject)
    infinitive, *present, participle = said.verb.italian
    if said.modal:
        verb = [MODALS[said.modal][said.form], infinitive]
    elif said.tense == "past":
        verb = [HAVE[said.form], participle]
    else:
        verb = [present[said.form]]
    verb = ["non", *verb] if said.is_negated else verb
    after = [said.often[POSITION]] if said.often else []
    after += [phrase(said.object)] if said.object else []
    after += [said.manner[POSITION]] if said.manner else []
    after += [place(*said.place)] if said.place else []
    words = [said.time[POSITION]] if said.time else []
    return " ".join(word for word in [*words, subject, *verb, *after] if word)
