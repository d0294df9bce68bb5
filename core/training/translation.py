"""Sentences to translate: a small grammar that says the same in five languages.

Plain spoken sentences over some 260 words; what can be done to what follows from the classes of
the lexicon. Leaves out: the lexicon (lexicon_nouns.py, lexicon_words.py) and how a language
declines, conjugates and orders (grammar.py and its like).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from core.training import grammar_frames as frames
from core.training.exchange import Split, capitalised, is_held_out
from core.training.grammar import (
    LANGUAGES,
    PERSONS,
    Adjective,
    Clause,
    Determiner,
    Language,
    Modal,
    Noun,
    Phrase,
    Tense,
    Verb,
    adjectives,
    entries,
    nouns,
    verbs,
)
from core.training.lexicon_words import (
    MANNER_LINES,
    NUMBER_LINES,
    OFTEN_LINES,
    PAST_LINES,
    TIME_LINES,
)

__all__ = ["LANGUAGES", "Translation", "content_words", "sample_translation"]

# Which adjectives may describe which nouns.
DESCRIBED_BY: Final[dict[str, tuple[str, ...]]] = {
    "person": ("any", "being", "being", "human"),
    "family": ("being",),
    "animal": ("colour", "any", "being"),
    "food": ("food",),
    "mass food": ("food",),
    "drink": ("food",),
    "clothes": ("colour", "object"),
    "thing": ("colour", "any", "object"),
    "opening": ("colour", "object"),
    "text": ("any", "text", "text"),
    "vehicle": ("colour", "any", "object"),
    "building": ("colour", "any"),
    "landmark": ("any",),
    "furniture": ("colour", "any", "object"),
}
SOUGHT: Final = tuple(kind for kind in DESCRIBED_BY if kind != "person")
OWNED: Final = ("animal", "clothes", "thing", "opening", "text", "vehicle")
INSIDE: Final = ("building",)
# What lies or stands where: preposition, classes of the place.
PLACES: Final = (
    ("in", ("building",)),
    ("in", ("building",)),
    ("on", ("furniture",)),
    ("under", ("furniture",)),
    ("behind", ("building", "landmark", "furniture")),
    ("in front of", ("building", "landmark")),
    ("next to", ("building", "landmark", "furniture", "vehicle")),
)
MOVABLE: Final = ("animal", "food", "clothes", "thing", "text")
# What nobody says, or what other languages have a word of its own for: a cake is baked, a sweet
# potato is no potato, Spanish plays a guitar that it touches, a French "grand" person is great.
ODD: Final = frozenset(
    {("cook", "cake"), ("cut", "soup"), ("touch", "guitar"), ("sweet", "potato")}
)
ODD_OF_PEOPLE: Final = ("large",)


@dataclass(frozen=True)
class Translation:
    """One sentence in five languages.

    Args:
        english: as it is said, with its capital and mark.
        by_language: the same in each of LANGUAGES.
    """

    english: str
    by_language: Mapping[Language, str]


@cache
def _nouns_of(kinds: tuple[str, ...]) -> tuple[Noun, ...]:
    return tuple(noun for noun in nouns() if noun.kind in kinds)


@cache
def _adjectives_for(noun_name: str, kind: str) -> tuple[Adjective, ...]:
    return tuple(
        item
        for wanted in DESCRIBED_BY[kind]
        for item in adjectives()
        if item.kind == wanted
        and (item.english, noun_name) not in ODD
        and not (kind == "person" and item.english in ODD_OF_PEOPLE)
    )


def _adjective(rng: random.Random, noun: Noun) -> Adjective:
    """One that may describe a noun."""
    return rng.choice(_adjectives_for(noun.english[0], noun.kind))


@cache
def _verbs(takes_object: bool) -> tuple[Verb, ...]:
    return tuple(verb for verb in verbs() if bool(verb.objects) == takes_object)


def _phrase(
    rng: random.Random, kinds: tuple[str, ...], determiners: str = "the a number my"
) -> Phrase:
    """A noun of the classes, with one of the determiners, now and then with an adjective."""
    noun = rng.choice(_nouns_of(kinds))
    adjective = _adjective(rng, noun) if rng.random() < 0.45 else None
    wanted = rng.choice(determiners.split())
    determiner: Determiner = "the"
    number = 1
    if noun.kind == "family":
        return Phrase(noun, "my")
    if noun.is_mass:
        return Phrase(noun, "the", 1, adjective)
    match wanted:
        case "a":
            determiner = "a"
        case "number":
            determiner, number = "number", rng.randint(2, len(entries(NUMBER_LINES)) + 1)
        case "my" if noun.kind in OWNED:
            determiner = "my"
        case _:
            number = rng.choice((1, 1, 0))  # 0: the plural, of no particular number
            if noun.english[0] == noun.english[1]:  # nobody could tell "the sheep" from them
                number = 1
    return Phrase(noun, determiner, number, adjective)


def _object(rng: random.Random, verb: Verb, determiners: str = "the a number my") -> Phrase:
    """What somebody does something to; who does it to people does it to the own family too."""
    kinds = (*verb.objects, *(("family",) if "person" in verb.objects else ()))
    while True:
        thing = _phrase(rng, kinds, determiners)
        if (verb.english[0], thing.noun.english[0]) not in ODD:
            return thing


def _subject(rng: random.Random) -> Phrase | str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(PERSONS)
    if kind < 0.45:
        return _phrase(rng, ("family",))
    return _phrase(rng, ("person",), "the the a number")


def _does_something(rng: random.Random) -> frames.Said:
    """Somebody does something to something."""
    verb = rng.choice(_verbs(True))
    thing, kind = _object(rng, verb), rng.random()
    modal: Modal = ""
    tense: Tense = "present"
    time = None
    is_negated = False
    if kind < 0.25:
        time = rng.choice(entries(TIME_LINES))
    elif kind < 0.5:
        tense, time = "past", rng.choice(entries(PAST_LINES))
    elif kind < 0.7:
        modal = rng.choice(("want", "can"))
    elif kind < 0.85:
        is_negated = True
        thing = _object(rng, verb, "the my")
    subject = _subject(rng)
    return frames.clauses(
        Clause(subject, verb, thing, tense, modal, is_negated=is_negated, time=time)
    )


def _does(rng: random.Random) -> frames.Said:
    """Somebody does something by themselves, somewhere or somehow."""
    verb = rng.choice(_verbs(False))
    is_animal = verb.english[0] in ("sleep", "run", "swim", "wait", "play")
    subject = (
        _phrase(rng, ("animal",), "the a number my")
        if is_animal and rng.random() < 0.5
        else _subject(rng)
    )
    kind = rng.random()
    if kind < 0.3:
        where = Phrase(rng.choice(_nouns_of(INSIDE)), "the")
        return frames.clauses(Clause(subject, verb, place=("in", where)))
    if kind < 0.65:
        return frames.clauses(Clause(subject, verb, manner=rng.choice(entries(MANNER_LINES))))
    if kind < 0.75:
        return frames.clauses(Clause(subject, verb, often=rng.choice(entries(OFTEN_LINES))))
    if kind < 0.85 and verb.has_past:
        time = rng.choice(entries(PAST_LINES))
        return frames.clauses(Clause(subject, verb, tense="past", time=time))
    return frames.clauses(Clause(subject, verb, time=rng.choice(entries(TIME_LINES))))


def _place(rng: random.Random) -> tuple[str, Phrase]:
    preposition, kinds = rng.choice(PLACES)
    return preposition, Phrase(rng.choice(_nouns_of(kinds)), "the")


def _is_at(rng: random.Random) -> frames.Said:
    return frames.is_at(_phrase(rng, (*MOVABLE, "person", "family"), "the the my"), *_place(rng))


def _there_is(rng: random.Random) -> frames.Said:
    kinds = tuple(kind for kind in MOVABLE if "mass" not in kind)
    return frames.there_is(_phrase(rng, (*kinds, "person"), "a number"), *_place(rng))


def _is_so(rng: random.Random) -> frames.Said:
    noun = rng.choice(nouns())
    adjective = _adjective(rng, noun)
    if noun.kind == "family" or (noun.kind in OWNED and rng.random() < 0.3):
        return frames.is_so(Phrase(noun, "my"), adjective)
    number = 1 if noun.is_mass else rng.choice((1, 0))
    return frames.is_so(Phrase(noun, "the", number), adjective)


def _person_is_so(rng: random.Random) -> frames.Said:
    adjective = rng.choice(_adjectives_for("", "person"))
    return frames.person_is_so(rng.choice(PERSONS), adjective, is_negated=rng.random() < 0.25)


def _would_like(rng: random.Random) -> frames.Said:
    return frames.would_like(_phrase(rng, ("food", "clothes", "thing", "text"), "a number"))


def _has(rng: random.Random) -> frames.Said:
    thing = _phrase(rng, ("animal", "clothes", "thing", "text", "vehicle"), "a number")
    return frames.clauses(Clause(_subject(rng), frames.HAVE, thing))


def _asks(rng: random.Random) -> frames.Said:
    if rng.random() < 0.5:
        return frames.where_is(_phrase(rng, SOUGHT, "the the my"))
    verb = rng.choice(_verbs(True))
    thing = _object(rng, verb, "the my")
    subject: Phrase | str = "you"
    if rng.random() < 0.4:
        subject = Phrase(rng.choice(_nouns_of(("person",))), "the")
    return frames.clauses(Clause(subject, verb, thing, is_question=True))


# Each frame, how often it is said, and whether it is a question.
FRAMES: Final[tuple[tuple[Callable[[random.Random], frames.Said], int, bool], ...]] = (
    (_does_something, 34, False),
    (_does, 22, False),
    (_is_at, 8, False),
    (_there_is, 8, False),
    (_is_so, 12, False),
    (_person_is_so, 6, False),
    (_would_like, 4, False),
    (_has, 5, False),
    (_asks, 9, True),
)


def sample_translation(rng: random.Random, split: Split) -> Translation:
    """A sentence of the split and its translations."""
    while True:
        translation = _translation(rng)
        if is_held_out(translation.english) == (split == "held_out"):
            return translation


def _translation(rng: random.Random) -> Translation:
    frame, _, is_question = rng.choices(FRAMES, [weight for _, weight, _ in FRAMES])[0]
    english, *others = (capitalised(words) for words in frame(rng))
    if not is_question:
        by_language = {name: f"{words}." for name, words in zip(LANGUAGES, others, strict=True)}
        return Translation(f"{english}.", by_language)
    german, french, spanish, italian = others
    marked = (f"{german}?", f"{french} ?", f"¿{spanish}?", f"{italian}?")
    return Translation(f"{english}?", dict(zip(LANGUAGES, marked, strict=True)))


@cache
def content_words() -> frozenset[str]:
    """Every English word of the lexicon that says something: its base form."""
    found = [noun.english[0] for noun in nouns()]
    found += [item.english for item in adjectives()]
    found += [verb.english[0].split()[0] for verb in verbs()]
    for lines in (NUMBER_LINES, TIME_LINES, PAST_LINES, OFTEN_LINES, MANNER_LINES):
        found += [entry[0].split()[-1] for entry in entries(lines)]
    return frozenset(found)
