"""The small world in words: every exchange well formed and true, and the splits apart.

Answers are worked out again from the question's words; the calendar is the standard library's.
"""

from __future__ import annotations

import calendar
import operator
import random
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.training import facts
from core.training.dialogues import typed
from core.training.world import (
    MAKERS,
    UNKNOWN_ANSWER,
    Exchange,
    Split,
    is_held_out,
    sample_exchange,
    words_of,
)

NUM_EACH = 400
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty"
).split()
SIDES = {"triangle": 3, "square": 4, "rectangle": 4, "pentagon": 5, "hexagon": 6, "octagon": 8}
LEGS = {"bird": 2, "duck": 2, "hen": 2, "spider": 8, "ant": 6, "bee": 6, "snake": 0, "fish": 0}
DAYS = list(calendar.day_name)
MONTHS = list(calendar.month_name)[1:]


@cache
def exchanges(skill: str) -> tuple[Exchange, ...]:
    """Many exchanges of one skill, of no particular split."""
    rng = random.Random(f"test-{skill}")
    made = [maker(rng) for maker, _ in MAKERS for _ in range(NUM_EACH)]
    return tuple(exchange for exchange in made if exchange.skill == skill)


@cache
def sampled(split: Split) -> tuple[Exchange, ...]:
    """Many exchanges of a split."""
    rng = random.Random(f"test-{split}")
    return tuple(sample_exchange(rng, split) for _ in range(6000))


def numbers_in(sentence: str) -> list[int]:
    """The numbers of a sentence up to twenty, digits or words, in order."""
    words = words_of(sentence).split()
    return [
        int(word) if word.isdigit() else ONES.index(word)
        for word in words
        if word.isdigit() or word in ONES
    ]


def named_in(sentence: str, names: list[str]) -> str:
    """The one name that a sentence holds as a word."""
    (name,) = [name for name in names if re.search(rf"\b{name}\b", sentence, re.IGNORECASE)]
    return name


def true_shapes(exchange: Exchange) -> str:
    shape = named_in(exchange.question, list(facts.SHAPE_SIDES))
    part = named_in(exchange.question, ["sides", "corners"])
    article = "An" if shape == "octagon" else "A"
    return f"{article} {shape} has {SIDES.get(shape) or 'no'} {part}."


def true_animals(exchange: Exchange) -> str:
    animal = named_in(exchange.question, list(facts.ANIMAL_LEGS | facts.ANIMAL_SOUNDS))
    article = "An" if animal == "ant" else "A"
    if "legs" not in exchange.question:
        return f"{article} {animal} {facts.ANIMAL_SOUNDS[animal]}."
    return f"{article} {animal} has {LEGS.get(animal, 4) or 'no'} legs."


def true_colours(exchange: Exchange) -> str:
    thing = named_in(exchange.question, list(facts.THING_COLOURS))
    return f"{thing[0].upper()}{thing[1:]} is {facts.THING_COLOURS[thing]}."


def true_opposites(exchange: Exchange) -> str:
    word = words_of(exchange.question).split()[-1]
    (pair,) = [pair for pair in facts.OPPOSITES if word in pair]
    return f"The opposite of {word} is {pair[1 - pair.index(word)]}."


def true_capitals(exchange: Exchange) -> str:
    cities = {city: country for country, city in facts.CAPITALS.items()}
    known = [*(f"{city}" for city in cities), *facts.CAPITALS]
    name = max((n for n in known if re.search(rf"\b{n}\b", exchange.question)), key=len)
    if name in cities:
        return f"{name} is the capital of {cities[name]}."
    return f"The capital of {name} is {facts.CAPITALS[name]}."


def true_calendar(exchange: Exchange) -> str:
    names = DAYS if exchange.skill == "days" else MONTHS
    name = named_in(exchange.question, names)
    index = names.index(name)
    for word, step in (("after", 1), ("before", -1)):
        if word in exchange.question:
            return f"{names[(index + step) % len(names)]} comes {word} {name}."
    return f"{name} has {calendar.monthrange(2023, index + 1)[1]} days."


def true_arithmetic(exchange: Exchange) -> str:
    signs = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}
    sign = named_in(exchange.question, list(signs))
    left, right = numbers_in(exchange.question)
    return f"{left} {sign} {right} is {signs[sign](left, right)}."


def true_comparing(exchange: Exchange) -> str:
    word = named_in(exchange.question, ["larger", "smaller"])
    first, second = sorted(numbers_in(exchange.question), reverse=word == "larger")
    return f"{first} is {word} than {second}."


def true_counting(exchange: Exchange) -> str:
    numbers = numbers_in(exchange.question)
    first, last = numbers if len(numbers) == 2 else (1, numbers[0])
    return ", ".join(map(str, range(first, last + 1)))


def true_spelling(exchange: Exchange) -> str:
    word = named_in(exchange.question.replace("the word", ""), list(facts.WORDS))
    return f"{word[0].upper()}{word[1:]} is spelled {' '.join(word)}."


ORACLES: dict[str, Callable[[Exchange], str]] = {
    "shapes": true_shapes,
    "animals": true_animals,
    "colours": true_colours,
    "opposites": true_opposites,
    "capitals": true_capitals,
    "days": true_calendar,
    "months": true_calendar,
    "arithmetic": true_arithmetic,
    "comparing": true_comparing,
    "counting": true_counting,
    "spelling": true_spelling,
    "unknown": lambda _: UNKNOWN_ANSWER,
}
SKILLS = (*ORACLES, "small talk")


def test_every_skill_has_an_oracle_or_is_small_talk() -> None:
    rng = random.Random(0)
    assert {maker(rng).skill for maker, _ in MAKERS for _ in range(40)} == set(SKILLS)


@pytest.mark.parametrize("skill", ORACLES)
def test_every_answer_is_true(skill: str) -> None:
    assert len(exchanges(skill)) >= 50
    for exchange in exchanges(skill):
        assert exchange.answer == ORACLES[skill](exchange), exchange


@pytest.mark.parametrize("skill", SKILLS)
def test_every_question_is_a_sentence(skill: str) -> None:
    for exchange in exchanges(skill):
        for question in (exchange.question, exchange.spoken):
            assert re.match(r"[A-Z0-9]", question), question
            is_bare_sum = re.fullmatch(r"[\w ]+ (plus|minus|times) [\w ]+", question)
            assert question.endswith(("?", ".")) or is_bare_sum, question
            assert not re.search(r"[{}]|  | [?.,]", question), question


@pytest.mark.parametrize("skill", SKILLS)
def test_every_answer_is_a_sentence_or_a_row_of_numbers(skill: str) -> None:
    for exchange in exchanges(skill):
        if skill == "counting":
            assert re.fullmatch(r"\d+(, \d+)+", exchange.answer)
        else:
            assert re.fullmatch(r"[A-Z0-9][^{}]*[^ ][.!?]", exchange.answer), exchange
        assert "  " not in exchange.answer


@pytest.mark.parametrize("skill", SKILLS)
def test_articles_suit_their_nouns(skill: str) -> None:
    for exchange in exchanges(skill):
        for sentence in (exchange.question, exchange.spoken, exchange.answer):
            if skill == "spelling":  # its answers hold single letters
                sentence = exchange.question
            for article, noun in re.findall(r"\b([Aa]n?) (\w+)", sentence):
                begins_with_vowel = noun[0] in "aeiou"
                assert (article.lower() == "an") == begins_with_vowel, sentence


@pytest.mark.parametrize("skill", SKILLS)
def test_spoken_questions_hold_no_digits_and_say_what_is_typed(skill: str) -> None:
    for exchange in exchanges(skill):
        assert not re.search(r"\d", exchange.spoken)
        in_words = re.sub(r"\d+", lambda m: ONES[int(m[0])], exchange.question)
        assert words_of(in_words) == words_of(exchange.spoken)


def test_a_question_has_one_answer_however_it_is_reached() -> None:
    answers: dict[str, set[str]] = defaultdict(set)
    for exchange in (*sampled("train"), *sampled("held_out")):
        answers[words_of(exchange.question)].add(exchange.answer)
        answers[words_of(exchange.spoken)].add(exchange.answer)
    assert not [question for question, replies in answers.items() if len(replies) > 1]


def test_what_the_world_does_not_know_is_no_part_of_it() -> None:
    assert not set(facts.UNKNOWN_COUNTRIES) & set(facts.CAPITALS)
    assert not set(facts.UNKNOWN_THINGS) & set(facts.THING_COLOURS)
    things = {thing.split()[-1] for thing in facts.UNKNOWN_THINGS}
    assert not things & {*facts.SHAPE_SIDES, *facts.ANIMAL_LEGS, *facts.ANIMAL_SOUNDS}


def test_a_word_has_one_opposite() -> None:
    words = [word for pair in facts.OPPOSITES for word in pair]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("form", ["question", "spoken"])
def test_no_surface_form_is_in_both_splits(form: str) -> None:
    trained = {words_of(e.question) for e in sampled("train")}
    trained |= {words_of(e.spoken) for e in sampled("train")}
    held_out = {words_of(getattr(e, form)) for e in sampled("held_out")}
    assert not held_out & trained


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_both_splits_have_every_skill(split: Split) -> None:
    assert {exchange.skill for exchange in sampled(split)} == set(SKILLS)


def test_about_one_surface_form_in_ten_is_held_out() -> None:
    forms = {words_of(e.spoken) for skill in SKILLS for e in exchanges(skill)}
    share = sum(map(is_held_out, forms)) / len(forms)
    assert 0.07 < share < 0.13


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["lower", "upper", "title", "rstrip"]))
def test_case_and_last_mark_do_not_move_a_question_between_splits(seed: int, how: str) -> None:
    rng = random.Random(seed)
    question = sample_exchange(rng, "train").question
    altered = question.rstrip("?.") if how == "rstrip" else getattr(question, how)()
    assert is_held_out(altered) == is_held_out(question)
    assert is_held_out(typed(rng, question)) == is_held_out(question)


@pytest.mark.parametrize("number", range(101))
def test_a_number_in_words_is_the_number(number: int) -> None:
    tens = ["", "", *"twenty thirty forty fifty sixty seventy eighty ninety one_hundred".split()]
    words = facts.number_in_words(number).replace("one hundred", "one_hundred").split()
    value = sum(10 * tens.index(word) if word in tens else ONES.index(word) for word in words)
    assert value == number
