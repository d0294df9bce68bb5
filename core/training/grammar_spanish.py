"""Spanish: articles, "al" and "del", the personal "a", subjects left out."""

from __future__ import annotations

import re
from typing import Final

from core.training.grammar import Clause, Phrase, entries
from core.training.grammar_french import agreeing
from core.training.lexicon_words import NUMBER_LINES

PRONOUNS: Final = {"I": "", "you": "", "he": "él", "she": "ella", "we": "", "they": ""}
MODALS: Final = {
    "want": ("quiero", "quieres", "quiere", "queremos", "quieren"),
    "can": ("puedo", "puedes", "puede", "podemos", "pueden"),
}
PREPOSITIONS: Final = {
    "in": "en",
    "on": "sobre",
    "under": "debajo de",
    "behind": "detrás de",
    "in front of": "delante de",
    "next to": "al lado de",
}
NUM_PRESENT: Final = 5
POSITION: Final = 3  # of Spanish in the lexicon's entries


def contracted(sentence: str) -> str:
    """ "a el" becomes "al", "de el" "del"."""
    return re.sub(r"\bde el\b", "del", re.sub(r"\ba el\b", "al", sentence))


def phrase(np: Phrase) -> str:
    """ "la manzana roja"."""
    gender, singular, plural = np.noun.others["Spanish"]
    is_masculine = gender == "m"
    has_masculine_article = is_masculine or (gender == "f*" and not np.is_plural)
    noun = plural if np.is_plural else singular
    match np.determiner:
        case "the" if np.is_plural:
            first = "los" if is_masculine else "las"
        case "the":
            first = "el" if has_masculine_article else "la"
        case "a":
            first = "un" if has_masculine_article else "una"
        case "number":
            first = entries(NUMBER_LINES)[np.number - 2][POSITION]
        case "my":
            first = "mis" if np.is_plural else "mi"
    adjective = [agreeing(np.adjective.spanish, gender, np.is_plural)] if np.adjective else []
    return " ".join([first, noun, *adjective])


def place(preposition: str, np: Phrase) -> str:
    """ "al lado del puente", before contraction."""
    return f"{PREPOSITIONS[preposition]} {phrase(np)}"


def object_phrase(np: Phrase, infinitive: str) -> str:
    """What is done to whom: people take "a", and so do animals one knows or loves.

    Counting them takes none: "contar a" is to tell. Before contraction.
    """
    is_definite = np.determiner in ("the", "my")
    is_known = np.noun.kind != "animal" or is_definite or infinitive == "amar"
    takes_a = np.noun.is_alive and is_known and infinitive != "contar"
    return f"a {phrase(np)}" if takes_a else phrase(np)


def clause(said: Clause) -> str:
    """The words of a clause in order, without its mark."""
    subject = PRONOUNS[said.subject] if isinstance(said.subject, str) else phrase(said.subject)
    infinitive, *forms = said.verb.spanish
    if said.modal:
        verb = [MODALS[said.modal][said.form], infinitive]
    else:
        verb = [forms[said.form + NUM_PRESENT * (said.tense == "past")]]
    verb = ["no", *verb] if said.is_negated else verb
    after = [said.often[POSITION]] if said.often else []
    after += [object_phrase(said.object, infinitive)] if said.object else []
    after += [said.manner[POSITION]] if said.manner else []
    after += [place(*said.place)] if said.place else []
    words = [*verb, subject, *after] if said.is_question else [subject, *verb, *after]
    if said.time:
        words = [said.time[POSITION], *words]
    return contracted(" ".join(word for word in words if word))
