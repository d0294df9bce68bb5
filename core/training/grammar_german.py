"""German: cases, adjective endings, the verb in second place and its rest at the end."""

from __future__ import annotations

from typing import Final, Literal

from core.training.grammar import Clause, Phrase, entries
from core.training.lexicon_words import NUMBER_LINES

Case = Literal["nominative", "accusative", "dative"]
THE: Final = {
    "nominative": {"m": "der", "f": "die", "n": "das", "pl": "die"},
    "accusative": {"m": "den", "f": "die", "n": "das", "pl": "die"},
    "dative": {"m": "dem", "f": "der", "n": "dem", "pl": "den"},
}
# Endings of "ein" and "mein".
A: Final = {
    "nominative": {"m": "", "f": "e", "n": "", "pl": "e"},
    "accusative": {"m": "en", "f": "e", "n": "", "pl": "e"},
    "dative": {"m": "em", "f": "er", "n": "em", "pl": "en"},
}
WEAK: Final = {
    "nominative": {"m": "e", "f": "e", "n": "e", "pl": "en"},
    "accusative": {"m": "en", "f": "e", "n": "e", "pl": "en"},
    "dative": {"m": "en", "f": "en", "n": "en", "pl": "en"},
}
MIXED: Final = {
    "nominative": {"m": "er", "f": "e", "n": "es", "pl": "en"},
    "accusative": {"m": "en", "f": "e", "n": "es", "pl": "en"},
    "dative": {"m": "en", "f": "en", "n": "en", "pl": "en"},
}
STRONG_PLURAL: Final = "e"  # nominative and accusative, after a number
PRONOUNS: Final = {"I": "ich", "you": "du", "he": "er", "she": "sie", "we": "wir", "they": "sie"}
HAVE: Final = ("habe", "hast", "hat", "haben", "haben")
MODALS: Final = {
    "want": ("will", "willst", "will", "wollen", "wollen"),
    "can": ("kann", "kannst", "kann", "können", "können"),
}
PREPOSITIONS: Final = {
    "in": "in",
    "on": "auf",
    "under": "unter",
    "behind": "hinter",
    "in front of": "vor",
    "next to": "neben",
}
POSITION: Final = 1  # of German in the lexicon's entries


def phrase(np: Phrase, case: Case) -> str:
    """ "den roten Apfel"."""
    gender, singular, plural = np.noun.others["German"]
    key = "pl" if np.is_plural else gender
    nominative, _, oblique = singular.partition("/")
    noun = plural if np.is_plural else (nominative if case == "nominative" else oblique or singular)
    match np.determiner:
        case "the":
            first, ending = THE[case][key], WEAK[case][key]
        case "number":
            first, ending = entries(NUMBER_LINES)[np.number - 2][POSITION], STRONG_PLURAL
        case "a" | "my":
            stem = "ein" if np.determiner == "a" else "mein"
            first, ending = stem + A[case][key], MIXED[case][key]
    adjective = [np.adjective.german[1] + ending] if np.adjective else []
    return " ".join([first, *adjective, noun])


def place(preposition: str, np: Phrase) -> str:
    """ "im Garten"."""
    words = f"{PREPOSITIONS[preposition]} {phrase(np, 'dative')}"
    return words.replace("in dem ", "im ", 1) if words.startswith("in dem ") else words


def clause(said: Clause) -> str:
    """The words of a clause in order, without its mark."""
    subject = (
        PRONOUNS[said.subject]
        if isinstance(said.subject, str)
        else phrase(said.subject, "nominative")
    )
    infinitive, *present, participle = said.verb.german
    forms = (*present, infinitive, infinitive)
    if said.modal:
        finite, rest = MODALS[said.modal][said.form], [infinitive]
    elif said.tense == "past":
        finite, rest = HAVE[said.form], [participle]
    else:
        finite, rest = forms[said.form], []
    often = [said.often[POSITION]] if said.often else []
    middle = [phrase(said.object, "accusative")] if said.object else []
    middle += ["nicht"] if said.is_negated else []
    middle += [said.manner[POSITION]] if said.manner else []
    middle += [place(*said.place)] if said.place else []
    if said.is_question:
        return " ".join([finite, subject, *middle, *rest])
    if said.time:
        return " ".join([said.time[POSITION], finite, subject, *often, *middle, *rest])
    return " ".join([subject, finite, *often, *middle, *rest])
