"""Sentences that each language builds in its own way: being, being there, wishing, asking where.

Leaves out: clauses with a verb of the lexicon (the grammar of each language).
"""

from __future__ import annotations

from typing import Final

from core.training import grammar_english as english
from core.training import grammar_french as french
from core.training import grammar_german as german
from core.training import grammar_italian as italian
from core.training import grammar_spanish as spanish
from core.training.grammar import FORM_OF_PERSON, Adjective, Clause, Phrase, Verb
from core.training.lexicon_words import PASSING

Said = tuple[str, str, str, str, str]  # English, then LANGUAGES; without capital and mark
# Forms of "to be" for each of FORM_OF_PERSON's persons.
AM: Final = ("am", "are", "is", "are", "are")
BIN: Final = ("bin", "bist", "ist", "sind", "sind")
SUIS: Final = ("suis", "es", "est", "sommes", "sont")
SOY: Final = ("soy", "eres", "es", "somos", "son")
ESTOY: Final = ("estoy", "estás", "está", "estamos", "están")
SONO: Final = ("sono", "sei", "è", "siamo", "sono")
# Who is hungry has hunger.
HUNGER: Final = ("faim", "hambre", "fame")


def is_so(np: Phrase, adjective: Adjective) -> Said:
    """ "the soup is hot"."""
    subjects = (
        english.phrase(np),
        german.phrase(np, "nominative"),
        french.phrase(np),
        spanish.phrase(np),
        italian.phrase(np),
    )
    genders = [np.noun.others[language][0] for language in ("French", "Spanish", "Italian")]
    return _being(subjects, 4 if np.is_plural else 2, genders, adjective)


def person_is_so(person: str, adjective: Adjective, is_negated: bool = False) -> Said:
    """ "she is not tired"; who may be a man or a woman is said to be a man.

    Args:
        person: one of PERSONS.
    """
    pronouns = (german.PRONOUNS, french.PRONOUNS, spanish.PRONOUNS, italian.PRONOUNS)
    subjects = (person, *(words[person] for words in pronouns))
    genders = ["f" if person == "she" else "m"] * 3
    return _being(subjects, FORM_OF_PERSON[person], genders, adjective, is_negated)


def _being(
    subjects: tuple[str, ...],
    form: int,
    genders: list[str],
    adjective: Adjective,
    is_negated: bool = False,
) -> Said:
    """Whoever it is in five languages, and how they are.

    Args:
        form: which of a verb's present forms.
        genders: of the French, the Spanish and the Italian subject.
    """
    in_english, in_german, in_french, in_spanish, in_italian = subjects
    predicates = [
        french.agreeing(forms, gender, form >= FORM_OF_PERSON["we"])
        for forms, gender in zip(
            (adjective.french, adjective.spanish, adjective.italian), genders, strict=True
        )
    ]
    suis, soy, sono = SUIS[form], (ESTOY if adjective.english in PASSING else SOY)[form], SONO[form]
    if adjective.english == "hungry":
        predicates = list(HUNGER)
        suis, soy, sono = HAVE.french[1 + form], HAVE.spanish[1 + form], HAVE.italian[1 + form]
    said = (
        [in_english, AM[form], *(["not"] if is_negated else []), adjective.english],
        [in_german, BIN[form], *(["nicht"] if is_negated else []), adjective.german[0]],
        [in_french, *(["ne", suis, "pas"] if is_negated else [suis]), predicates[0]],
        [in_spanish, *(["no"] if is_negated else []), soy, predicates[1]],
        [in_italian, *(["non"] if is_negated else []), sono, predicates[2]],
    )
    first, second, third, fourth, fifth = (" ".join(filter(None, words)) for words in said)
    return first, second, french.elided(third), fourth, fifth


def is_at(np: Phrase, preposition: str, where: Phrase) -> Said:
    """ "the cat is under the table"."""
    plural = np.is_plural
    return (
        f"{english.phrase(np)} {'are' if plural else 'is'} {preposition} {english.phrase(where)}",
        f"{german.phrase(np, 'nominative')} {'sind' if plural else 'ist'} "
        f"{german.place(preposition, where)}",
        french.elided(
            f"{french.phrase(np)} {'sont' if plural else 'est'} {french.place(preposition, where)}"
        ),
        spanish.contracted(
            f"{spanish.phrase(np)} {'están' if plural else 'está'} "
            f"{spanish.place(preposition, where)}"
        ),
        f"{italian.phrase(np)} {'sono' if plural else 'è'} {italian.place(preposition, where)}",
    )


def there_is(np: Phrase, preposition: str, where: Phrase) -> Said:
    """ "there are two dogs in the garden"."""
    plural = np.is_plural
    return (
        f"there {'are' if plural else 'is'} {english.phrase(np)} {preposition} "
        f"{english.phrase(where)}",
        f"{german.place(preposition, where)} {'sind' if plural else 'ist'} "
        f"{german.phrase(np, 'nominative')}",
        french.elided(f"il y a {french.phrase(np)} {french.place(preposition, where)}"),
        spanish.contracted(f"hay {spanish.phrase(np)} {spanish.place(preposition, where)}"),
        ("ci sono " if plural else "c'è ")
        + f"{italian.phrase(np)} {italian.place(preposition, where)}",
    )


def would_like(np: Phrase) -> Said:
    """ "I would like three apples, please"."""
    return (
        f"I would like {english.phrase(np)}, please",
        f"ich hätte gern {german.phrase(np, 'accusative')}, bitte",
        french.elided(f"je voudrais {french.phrase(np)}, s'il vous plaît"),
        f"quisiera {spanish.phrase(np)}, por favor",
        f"vorrei {italian.phrase(np)}, per favore",
    )


def where_is(np: Phrase) -> Said:
    """ "where is the red book"; a question."""
    plural = np.is_plural
    return (
        f"where {'are' if plural else 'is'} {english.phrase(np)}",
        f"wo {'sind' if plural else 'ist'} {german.phrase(np, 'nominative')}",
        french.elided(f"où {'sont' if plural else 'est'} {french.phrase(np)}"),
        f"dónde {'están' if plural else 'está'} {spanish.phrase(np)}",
        ("dove sono " if plural else "dov'è ") + italian.phrase(np),
    )


HAVE: Final = Verb(
    ("have", "has", "had"),
    ("haben", "habe", "hast", "hat", "gehabt"),
    ("avoir", "ai", "as", "a", "avons", "ont", "eu"),
    tuple("tener tengo tienes tiene tenemos tienen tuve tuviste tuvo tuvimos tuvieron".split()),
    ("avere", "ho", "hai", "ha", "abbiamo", "hanno", "avuto"),
    (),
)


def clauses(said: Clause) -> Said:
    """A clause in all five languages."""
    return (
        english.clause(said),
        german.clause(said),
        french.clause(said),
        spanish.clause(said),
        italian.clause(said),
    )
