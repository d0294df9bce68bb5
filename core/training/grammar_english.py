"""English: noun phrases and clauses."""

from __future__ import annotations

from core.training.grammar import Clause, Phrase, entries
from core.training.lexicon_words import NUMBER_LINES


def phrase(np: Phrase) -> str:
    """ "two small red apples"."""
    noun = np.noun.english[np.is_plural]
    words = [np.adjective.english, noun] if np.adjective else [noun]
    if np.determiner == "number":
        first = entries(NUMBER_LINES)[np.number - 2][0]
    elif np.determiner == "a":
        first = "an" if words[0][0] in "aeiou" else "a"
    else:
        first = np.determiner
    return " ".join([first, *words])


def clause(said: Clause) -> str:
    """The words of a clause in order, without its mark."""
    subject = said.subject if isinstance(said.subject, str) else phrase(said.subject)
    base, third, past = said.verb.english
    is_third = said.form == 2
    object_words = [phrase(said.object)] if said.object else []
    # "look for": the object comes after both words.
    helper = "did" if said.tense == "past" else "does" if is_third else "do"
    if said.modal:
        want = "can" if said.modal == "can" else "wants to" if is_third else "want to"
        middle = [want, base]
        if said.is_negated:
            middle = ["cannot", base] if said.modal == "can" else [helper, "not want to", base]
    elif said.is_negated:
        middle = [helper, "not", base]
    else:
        middle = [past if said.tense == "past" else third if is_third else base]
    often = [said.often[0]] if said.often else []
    manner = [said.manner[0]] if said.manner else []
    where = [f"{said.place[0]} {phrase(said.place[1])}"] if said.place else []
    time = [said.time[0]] if said.time else []
    if said.is_question:
        return " ".join([helper, subject, base, *object_words, *manner, *where])
    return " ".join([*time, subject, *often, *middle, *object_words, *manner, *where])
