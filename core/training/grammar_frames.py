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
from core.training.grammar import Adjective, Clause, Phrase, Verb
from core.training.lexicon_words import PASSING

Said = tuple[str, str, str, str, str]  # English, then LANGUAGES; without capital and mark


def is_so(np: Phrase, adjective: Adjective) -> Said:
    """ "the soup is hot"."""
    plural = np.is_plural
    french_form, spanish_form, italian_form = (
        french.agreeing(forms, np.noun.others[language][0], plural)
        for forms, language in (
            (adjective.french, "French"),
            (adjective.spanish, "Spanish"),
            (adjective.italian, "Italian"),
        )
    )
    ser = ("está", "están") if adjective.english in PASSING else ("es", "son")
    return (
        f"{english.phrase(np)} {'are' if plural else 'is'} {adjective.english}",
        f"{german.phrase(np, 'nominative')} {'sind' if plural else 'ist'} {adjective.german[0]}",
        french.elided(f"{french.phrase(np)} {'sont' if plural else 'est'} {french_form}"),
        f"{spanish.phrase(np)} {ser[plural]} {spanish_form}",
        f"{italian.phrase(np)} {'sono' if plural else 'è'} {italian_form}",
    )


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
