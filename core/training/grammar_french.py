"""French: elision, contractions, adjectives before or after the noun, "ne ... pas"."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from core.training.grammar import Clause, Phrase, entries
from core.training.lexicon_words import NUMBER_LINES

PRONOUNS: Final = {"I": "je", "you": "tu", "he": "il", "she": "elle", "we": "nous", "they": "ils"}
HAVE: Final = ("ai", "as", "a", "avons", "ont")
MODALS: Final = {
    "want": ("veux", "veux", "veut", "voulons", "veulent"),
    "can": ("peux", "peux", "peut", "pouvons", "peuvent"),
}
PREPOSITIONS: Final = {
    "in": "dans",
    "on": "sur",
    "under": "sous",
    "behind": "derrière",
    "in front of": "devant",
    "next to": "à côté de",
}
POSITION: Final = 2  # of French in the lexicon's entries


def begins_with_vowel(word: str) -> bool:
    """Whether a word makes the one before it lose its vowel; every h of the lexicon is mute."""
    return unicodedata.normalize("NFD", word)[0].lower() in "aeiouhœ"


def elided(sentence: str) -> str:
    """ "le arbre" becomes "l'arbre", "je ai" "j'ai", "ne achète" "n'achète"."""
    words = sentence.split(" ")
    for index in range(len(words) - 1):
        if re.fullmatch(r"(?i)(le|la|je|ne|que|de)", words[index]) and begins_with_vowel(
            words[index + 1]
        ):
            words[index] = words[index][:-1] + "'"
    joined = re.sub(r"' ", "'", " ".join(words))
    return joined.replace(" de le ", " du ")


def agreeing(forms: tuple[str, ...], gender: str, is_plural: bool) -> str:
    """The form of an adjective; also used for Spanish and Italian."""
    return forms[2 * is_plural + (gender != "m")]


def phrase(np: Phrase) -> str:
    """ "la pomme rouge", before elision."""
    gender, singular, plural = np.noun.others["French"]
    noun = plural if np.is_plural else singular
    words = [noun]
    if np.adjective:
        adjective = agreeing(np.adjective.french, gender, np.is_plural)
        if adjective == "beau" and begins_with_vowel(noun):
            adjective = "bel"
        words = [adjective, noun] if np.adjective.is_before_french_noun else [noun, adjective]
    match np.determiner:
        case "the":
            first = "les" if np.is_plural else "le" if gender == "m" else "la"
        case "a":
            first = "un" if gender == "m" else "une"
        case "number":
            first = entries(NUMBER_LINES)[np.number - 2][POSITION]
        case "my":
            is_mon = gender == "m" or begins_with_vowel(words[0])
            first = "mes" if np.is_plural else "mon" if is_mon else "ma"
    return " ".join([first, *words])


def place(preposition: str, np: Phrase) -> str:
    """ "à côté du pont", before elision."""
    return f"{PREPOSITIONS[preposition]} {phrase(np)}"


def clause(said: Clause) -> str:
    """The words of a clause in order, without its mark."""
    subject = PRONOUNS[said.subject] if isinstance(said.subject, str) else phrase(said.subject)
    infinitive, *present, participle = said.verb.french
    if said.modal:
        finite, rest = MODALS[said.modal][said.form], [infinitive]
    elif said.tense == "past":
        finite, rest = HAVE[said.form], [participle]
    else:
        finite, rest = present[said.form], []
    verb = ["ne", finite, "pas", *rest] if said.is_negated else [finite, *rest]
    after = [said.often[POSITION]] if said.often else []
    after += [phrase(said.object)] if said.object else []
    after += [said.manner[POSITION]] if said.manner else []
    after += [place(*said.place)] if said.place else []
    words = [subject, *verb, *after]
    if said.is_question:
        words = ["est-ce que", *words]
    if said.time:
        words = [f"{said.time[POSITION]},", *words]
    return elided(" ".join(words))
