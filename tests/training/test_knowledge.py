"""Questions about the facts of the world: every answer worked out again from the question.

The calendar is the standard library's; sides and legs are written down here anew.
"""

from __future__ import annotations

import calendar
import random
import re
from collections.abc import Callable

import pytest

from core.training import facts, knowledge
from core.training.exchange import Exchange, words_of
from tests.training import many, named_in, numbers_in

SIDES = {"triangle": 3, "square": 4, "rectangle": 4, "pentagon": 5, "hexagon": 6, "octagon": 8}
FEET = {"bird": 2, "duck": 2, "hen": 2, "owl": 2, "spider": 8, "ant": 6, "bee": 6}
FOOTLESS = ("snake", "fish")
DAYS = list(calendar.day_name)
MONTHS = list(calendar.month_name)[1:]
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
).split()
MIXES = {
    frozenset(("blue", "yellow")): "green",
    frozenset(("red", "yellow")): "orange",
    frozenset(("red", "blue")): "purple",
    frozenset(("red", "white")): "pink",
    frozenset(("black", "white")): "grey",
}


def a(noun: str) -> str:
    """The noun with a capital article, by its sound: no noun of the world begins with "u"."""
    return f"{'An' if noun[0] in 'aeio' else 'A'} {noun}"


def true_shapes(question: str) -> str:
    part = named_in(question, ["sides", "corners"])
    if counts := numbers_in(question):
        (shape,) = [shape for shape, num in SIDES.items() if num == counts[0]]
    else:
        shape = named_in(question, [*SIDES, "circle"])
    return f"{a(shape)} has {SIDES.get(shape) or 'no'} {part}."


def true_legs(question: str) -> str:
    animal = named_in(question, list(facts.ANIMAL_LEGS))
    num = "no" if animal in FOOTLESS else FEET.get(animal, 4)
    return f"{a(animal)} has {num} legs."


def true_sound(question: str) -> str:
    animals = [name for name in facts.ANIMAL_SOUNDS if re.search(rf"\b{name}\b", question)]
    if not animals:
        verb = named_in(question, list(facts.ANIMAL_SOUNDS.values()))
        animals = [name for name, said in facts.ANIMAL_SOUNDS.items() if said == verb]
    (animal,) = animals
    return f"{a(animal)} {facts.ANIMAL_SOUNDS[animal]}."


def true_thing(question: str) -> str:
    thing = named_in(question, list(facts.THING_COLOURS))
    return f"{thing[0].upper()}{thing[1:]} is {facts.THING_COLOURS[thing]}."


def true_mix(question: str) -> str:
    names = [word for word in words_of(question).split() if any(word in pair for pair in MIXES)]
    return f"{names[0].capitalize()} and {names[1]} make {MIXES[frozenset(names)]}."


def true_opposite(question: str) -> str:
    word = words_of(question).split()[-1]
    (pair,) = [pair for pair in facts.OPPOSITES if word in pair]
    return f"The opposite of {word} is {pair[1 - pair.index(word)]}."


def true_capital(question: str) -> str:
    countries = {city: country for country, city in facts.CAPITALS.items()}
    name = named_in(question, [*countries, *facts.CAPITALS])
    if name in countries:
        return f"{name} is the capital of {countries[name]}."
    return f"The capital of {name} is {facts.CAPITALS[name]}."


def true_calendar(question: str) -> str:
    if ordinal := re.search(rf"\b({'|'.join(ORDINALS)})\b", question):
        whole = named_in(question, ["week", "year"])
        unit, names = ("day", DAYS) if whole == "week" else ("month", MONTHS)
        name = names[ORDINALS.index(ordinal[1])]
        return f"The {ordinal[1]} {unit} of the {whole} is {name}."
    name = named_in(question, [*DAYS, *MONTHS])
    names = DAYS if name in DAYS else MONTHS
    index = names.index(name)
    if "days" in question:
        return f"{name} has {calendar.monthrange(2023, index + 1)[1]} days."
    word = named_in(question, ["after", "before"])
    step = 1 if word == "after" else -1
    return f"{names[(index + step) % len(names)]} comes {word} {name}."


def true_spelling(question: str) -> str:
    words = words_of(question).split()
    word = words[-2] if words[-1] in ("spelled", "have") else words[-1]
    if "how many letters" in question.lower():
        return f"{word.capitalize()} has {len(word)} letters."
    if found := re.search(r"\b(first|last)\b", question):
        letter = word[0] if found[1] == "first" else word[-1]
        return f"The {found[1]} letter of {word} is {letter}."
    return f"{word.capitalize()} is spelled {' '.join(word)}."


ORACLES: dict[Callable[[random.Random], Exchange], Callable[[str], str]] = {
    knowledge.shape_parts: true_shapes,
    knowledge.legs: true_legs,
    knowledge.animal_sound: true_sound,
    knowledge.thing_colour: true_thing,
    knowledge.colour_mix: true_mix,
    knowledge.opposite: true_opposite,
    knowledge.capital: true_capital,
    knowledge.calendar: true_calendar,
    knowledge.spelling: true_spelling,
}


@pytest.mark.parametrize("maker", ORACLES, ids=lambda maker: maker.__name__)
def test_every_answer_is_true_of_what_is_typed_and_of_what_is_said(
    maker: Callable[[random.Random], Exchange],
) -> None:
    for exchange in many(maker, 1500):
        assert exchange.answer == ORACLES[maker](exchange.question), exchange
        assert exchange.answer == ORACLES[maker](exchange.spoken), exchange


@pytest.mark.parametrize(
    ("maker", "facts_of", "share"),
    [
        (knowledge.capital, facts.CAPITALS, 1.0),
        (knowledge.legs, facts.ANIMAL_LEGS, 1.0),
        (knowledge.animal_sound, facts.ANIMAL_SOUNDS, 1.0),
        (knowledge.thing_colour, facts.THING_COLOURS, 1.0),
        (knowledge.calendar, facts.MONTHS, 1.0),
        (knowledge.spelling, facts.WORDS, 0.95),
    ],
)
def test_every_fact_is_asked_for(
    maker: Callable[[random.Random], Exchange], facts_of: dict[str, str] | list[str], share: float
) -> None:
    answers = " ".join(exchange.answer.lower() for exchange in many(maker, 1500))
    said = [name for name in facts_of if re.search(rf"\b{name.lower()}\b", answers)]
    assert len(said) >= share * len(facts_of)


def test_the_tables_agree_with_the_standard_library_and_with_each_other() -> None:
    assert list(facts.DAYS) == DAYS
    assert list(facts.MONTHS) == MONTHS
    assert facts.SHAPE_SIDES == {**SIDES, "circle": 0}
    for shape, num in facts.SHAPE_BY_SIDES.items():
        assert [other for other, sides in SIDES.items() if sides == num] == [shape]


def test_what_names_a_fact_names_no_other() -> None:
    for table in (facts.CAPITALS, facts.ANIMAL_SOUNDS):
        assert len(set(table.values())) == len(table)
    words = [word for pair in facts.OPPOSITES for word in pair]
    assert len(words) == len(set(words))
    assert len(facts.WORDS) == len(set(facts.WORDS))


@pytest.mark.parametrize("noun", ["apple", "egg", "iron", "owl", "octagon"])
def test_nouns_that_begin_with_a_vowel_take_an(noun: str) -> None:
    assert facts.with_article(noun) == f"an {noun}"
    assert facts.with_article(f"red {noun}") == f"a red {noun}"
