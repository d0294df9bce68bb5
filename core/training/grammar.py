"""What every language's grammar works on: words, noun phrases and clauses, as values.

Leaves out: how a language says them (grammar_german.py and its like) and which are made
(translation.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from core.training.lexicon_nouns import NOUN_LINES
from core.training.lexicon_words import ADJECTIVE_LINES, VERB_LINES

Language = Literal["German", "French", "Spanish", "Italian"]
LANGUAGES: Final[tuple[Language, ...]] = ("German", "French", "Spanish", "Italian")
Determiner = Literal["the", "a", "my", "number"]
Tense = Literal["present", "past"]
Modal = Literal["", "want", "can"]
# The persons of a clause, in the order of every verb's forms.
PERSONS: Final = ("I", "you", "he", "she", "we", "they")
FORM_OF_PERSON: Final = {"I": 0, "you": 1, "he": 2, "she": 2, "we": 3, "they": 4}


@dataclass(frozen=True)
class Noun:
    """A noun in five languages.

    Args:
        kind: its class in the lexicon.
        english: singular and plural; the plural of a mass noun is "-".
        others: gender, singular and plural by language.
    """

    kind: str
    english: tuple[str, str]
    others: dict[str, tuple[str, str, str]]

    @property
    def is_mass(self) -> bool:
        """True for what cannot be counted."""
        return self.english[1] == "-"

    @property
    def is_alive(self) -> bool:
        """True for people and animals."""
        return self.kind in ("person", "family", "animal")


@dataclass(frozen=True)
class Adjective:
    """An adjective in five languages.

    Args:
        kind: its class in the lexicon.
        english: its one form.
        german: how it stands alone, and its stem before endings.
        french, spanish, italian: masculine, feminine and their plurals.
        is_before_french_noun: "petit" is, "rouge" is not.
    """

    kind: str
    english: str
    german: tuple[str, str]
    french: tuple[str, ...]
    spanish: tuple[str, ...]
    italian: tuple[str, ...]
    is_before_french_noun: bool


@dataclass(frozen=True)
class Verb:
    """A verb in five languages; the forms are those of the lexicon's lines.

    Args:
        english: base, third person, past.
        german, french, italian: infinitive, present forms, participle.
        spanish: infinitive, present forms, past forms.
        objects: classes of noun that it takes, or none.
    """

    english: tuple[str, ...]
    german: tuple[str, ...]
    french: tuple[str, ...]
    spanish: tuple[str, ...]
    italian: tuple[str, ...]
    objects: tuple[str, ...]

    @property
    def has_past(self) -> bool:
        """False where a language would need its other auxiliary."""
        return self.german[-1] != "-"


@dataclass(frozen=True)
class Phrase:
    """A noun with what goes before and beside it.

    Args:
        number: how many, 1 for one or for a plural without number 0.
    """

    noun: Noun
    determiner: Determiner
    number: int = 1
    adjective: Adjective | None = None

    @property
    def is_plural(self) -> bool:
        """True for more than one."""
        return self.number != 1


@dataclass(frozen=True)
class Clause:
    """Who does what, when, how and where.

    Args:
        subject: a phrase, or one of PERSONS.
        verb: what is done; with a modal it is an infinitive.
        object: to what, or None.
        time, often, manner: entries of the lexicon, five forms each, or None.
        place: a preposition's name and where, or None.
    """

    subject: Phrase | str
    verb: Verb
    object: Phrase | None = None
    tense: Tense = "present"
    modal: Modal = ""
    is_negated: bool = False
    is_question: bool = False
    time: tuple[str, ...] | None = None
    often: tuple[str, ...] | None = None
    manner: tuple[str, ...] | None = None
    place: tuple[str, Phrase] | None = None

    @property
    def form(self) -> int:
        """Which of a verb's five present forms it takes."""
        if isinstance(self.subject, str):
            return FORM_OF_PERSON[self.subject]
        return 4 if self.subject.is_plural else 2


def _spaced(word: str) -> str:
    return word.replace("~", " ")


def _rows(lines: str) -> list[list[str]]:
    return [line.strip().split("|") for line in lines.strip().splitlines()]


@cache
def nouns() -> tuple[Noun, ...]:
    """Every noun of the lexicon."""
    found = []
    for kind, lines in NOUN_LINES.items():
        for english, *others in _rows(lines):
            singular, plural = english.split()
            forms = {}
            for language, entry in zip(LANGUAGES, others, strict=True):
                gender, one, many = entry.split()
                forms[str(language)] = (gender, _spaced(one), _spaced(many))
            found.append(Noun(kind, (singular, plural), forms))
    return tuple(found)


@cache
def adjectives() -> tuple[Adjective, ...]:
    """Every adjective of the lexicon."""
    found = []
    for kind, lines in ADJECTIVE_LINES.items():
        for english, german, french, spanish, italian in _rows(lines):
            alone, _, stem = german.partition("/")
            in_french, in_spanish, in_italian = (
                tuple(_spaced(word) for word in entry.lstrip("+").split())
                for entry in (french, spanish, italian)
            )
            found.append(
                Adjective(
                    kind=kind,
                    english=english,
                    german=(alone, stem or alone),
                    french=in_french,
                    spanish=in_spanish,
                    italian=in_italian,
                    is_before_french_noun=french.startswith("+"),
                )
            )
    return tuple(found)


@cache
def verbs() -> tuple[Verb, ...]:
    """Every verb of the lexicon."""
    found = []
    for *languages, objects in _rows(VERB_LINES):
        english, german, french, spanish, italian = (
            tuple(_spaced(word) for word in entry.split()) for entry in languages
        )
        kinds = tuple(kind.replace("-", " ") for kind in objects.split() if kind != "-")
        found.append(Verb(english, german, french, spanish, italian, kinds))
    return tuple(found)


@cache
def entries(lines: str) -> tuple[tuple[str, ...], ...]:
    """A table of numbers or adverbs: English first, then LANGUAGES."""
    return tuple(tuple(row) for row in _rows(lines))
