"""The small world in words: questions about it, and their one true answer.

A question is a template with its slots filled; about one in ten surface forms is held out from
training by a hash of its words, so that evaluation asks what was never seen.
Leaves out: pictures (scenes.py) and voices (speech.py).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from core.training import facts
from core.training.facts import number_in_words, with_article

Split = Literal["train", "held_out"]

KNOWN: Final = "shapes, colours, numbers, animals, days, months, opposites and capitals"
UNKNOWN_ANSWER: Final = f"I don't know that. I know {KNOWN}."
HELD_OUT_SHARE: Final = 10  # one surface form in so many


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    Args:
        skill: which part of the world it tests.
        question: as it is typed; numbers may be digits.
        spoken: as it is said; numbers are words, and so is everything else.
        answer: the one right reply.
    """

    skill: str
    question: str
    spoken: str
    answer: str


def words_of(sentence: str) -> str:
    """A sentence's lower-case words and digits, without punctuation."""
    return " ".join(re.findall(r"[a-z0-9'é]+", sentence.lower()))


def is_held_out(question: str) -> bool:
    """True for the questions that training never sees, whatever their case and punctuation."""
    digest = hashlib.sha256(words_of(question).encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def capitalised(sentence: str) -> str:
    """The sentence with its first letter large."""
    return sentence[:1].upper() + sentence[1:]


def _exchange(
    rng: random.Random, skill: str, templates: tuple[str, ...], answer: str, **slots: str | int
) -> Exchange:
    template = rng.choice(templates)
    in_words = {
        key: number_in_words(value) if isinstance(value, int) else value
        for key, value in slots.items()
    }
    spoken = capitalised(template.format(**in_words))
    typed = capitalised(template.format(**slots)) if rng.random() < 0.7 else spoken
    return Exchange(skill, typed, spoken, answer)


def _sides(rng: random.Random) -> Exchange:
    shape, num_sides = rng.choice(list(facts.SHAPE_SIDES.items()))
    part = rng.choice(("sides", "corners"))
    count = num_sides if num_sides else "no"
    return _exchange(
        rng,
        "shapes",
        (
            "how many {part} does {a_shape} have?",
            "how many {part} are there in {a_shape}?",
            "tell me how many {part} {a_shape} has.",
            "how many {part} has {a_shape}?",
            "what is the number of {part} of {a_shape}?",
        ),
        f"{capitalised(with_article(shape))} has {count} {part}.",
        part=part,
        a_shape=with_article(shape),
    )


def _legs(rng: random.Random) -> Exchange:
    animal, num_legs = rng.choice(list(facts.ANIMAL_LEGS.items()))
    return _exchange(
        rng,
        "animals",
        (
            "how many legs does {animal} have?",
            "how many legs has {animal}?",
            "tell me how many legs {animal} has.",
            "what is the number of legs of {animal}?",
        ),
        f"{capitalised(with_article(animal))} has {num_legs or 'no'} legs.",
        animal=with_article(animal),
    )


def _sound(rng: random.Random) -> Exchange:
    animal, verb = rng.choice(list(facts.ANIMAL_SOUNDS.items()))
    return _exchange(
        rng,
        "animals",
        (
            "what sound does {animal} make?",
            "what does {animal} say?",
            "which sound does {animal} make?",
            "tell me what {animal} says.",
        ),
        f"{capitalised(with_article(animal))} {verb}.",
        animal=with_article(animal),
    )


def _thing_colour(rng: random.Random) -> Exchange:
    thing, colour = rng.choice(list(facts.THING_COLOURS.items()))
    return _exchange(
        rng,
        "colours",
        (
            "what colour is {thing}?",
            "which colour is {thing}?",
            "what color is {thing}?",
            "tell me the colour of {thing}.",
            "what is the colour of {thing}?",
        ),
        f"{capitalised(thing)} is {colour}.",
        thing=thing,
    )


def _opposite(rng: random.Random) -> Exchange:
    word, other = rng.sample(rng.choice(facts.OPPOSITES), 2)
    return _exchange(
        rng,
        "opposites",
        (
            "what is the opposite of {word}?",
            "tell me the opposite of {word}.",
            "which word is the opposite of {word}?",
            "what's the opposite of {word}?",
        ),
        f"The opposite of {word} is {other}.",
        word=word,
    )


def _capital(rng: random.Random) -> Exchange:
    country, city = rng.choice(list(facts.CAPITALS.items()))
    if rng.random() < 0.3:
        return _exchange(
            rng,
            "capitals",
            (
                "{city} is the capital of which country?",
                "of which country is {city} the capital?",
                "which country has the capital {city}?",
            ),
            f"{city} is the capital of {country}.",
            city=city,
        )
    return _exchange(
        rng,
        "capitals",
        (
            "what is the capital of {country}?",
            "which city is the capital of {country}?",
            "tell me the capital of {country}.",
            "what's the capital of {country}?",
            "name the capital of {country}.",
        ),
        f"The capital of {country} is {city}.",
        country=country,
    )


def _next_in(rng: random.Random, skill: str, unit: str, names: tuple[str, ...]) -> Exchange:
    index = rng.randrange(len(names))
    direction = rng.choice((1, -1))
    word = "after" if direction == 1 else "before"
    answer = names[(index + direction) % len(names)]
    return _exchange(
        rng,
        skill,
        (
            "which {unit} comes {word} {name}?",
            "what {unit} comes {word} {name}?",
            "what is the {unit} {word} {name}?",
            "tell me the {unit} {word} {name}.",
        ),
        f"{answer} comes {word} {names[index]}.",
        unit=unit,
        word=word,
        name=names[index],
    )


def _calendar(rng: random.Random) -> Exchange:
    if rng.random() < 0.45:
        return _next_in(rng, "days", "day", facts.DAYS)
    if rng.random() < 0.7:
        return _next_in(rng, "months", "month", tuple(facts.MONTHS))
    month, num_days = rng.choice(list(facts.MONTHS.items()))
    return _exchange(
        rng,
        "months",
        ("how many days does {month} have?", "how many days has {month}?"),
        f"{month} has {num_days} days.",
        month=month,
    )


def _sum(rng: random.Random) -> Exchange:
    left, right = rng.randint(0, 10), rng.randint(0, 10)
    return _arithmetic(rng, left, "plus", right, left + right)


def _difference(rng: random.Random) -> Exchange:
    result, right = rng.randint(0, 10), rng.randint(0, 10)
    return _arithmetic(rng, result + right, "minus", right, result)


def _product(rng: random.Random) -> Exchange:
    left, right = rng.randint(0, 10), rng.randint(0, 10)
    return _arithmetic(rng, left, "times", right, left * right)


def _arithmetic(rng: random.Random, left: int, sign: str, right: int, result: int) -> Exchange:
    return _exchange(
        rng,
        "arithmetic",
        (
            "what is {left} {sign} {right}?",
            "how much is {left} {sign} {right}?",
            "{left} {sign} {right}",
            "tell me what {left} {sign} {right} is.",
            "what's {left} {sign} {right}?",
        ),
        f"{left} {sign} {right} is {result}.",
        left=left,
        sign=sign,
        right=right,
    )


def _compare(rng: random.Random) -> Exchange:
    left, right = rng.sample(range(21), 2)
    word = rng.choice(("larger", "smaller"))
    first = max(left, right) if word == "larger" else min(left, right)
    second = left + right - first
    return _exchange(
        rng,
        "comparing",
        (
            "which is {word}, {left} or {right}?",
            "which number is {word}, {left} or {right}?",
            "what is {word}, {left} or {right}?",
        ),
        f"{first} is {word} than {second}.",
        word=word,
        left=left,
        right=right,
    )


def _count(rng: random.Random) -> Exchange:
    first = 1 if rng.random() < 0.5 else rng.randint(1, 9)
    last = rng.randint(first + 1, min(first + 11, 20))
    templates: tuple[str, ...] = (
        "count from {first} to {last}.",
        "please count from {first} to {last}.",
    )
    if first == 1:
        templates = ("count to {last}.", "please count to {last}.", *templates)
    answer = ", ".join(str(number) for number in range(first, last + 1))
    return _exchange(rng, "counting", templates, answer, first=first, last=last)


def _spell(rng: random.Random) -> Exchange:
    word = rng.choice(facts.WORDS)
    return _exchange(
        rng,
        "spelling",
        (
            "how do you spell {word}?",
            "spell the word {word}.",
            "please spell {word}.",
            "how is {word} spelled?",
        ),
        f"{capitalised(word)} is spelled {' '.join(word)}.",
        word=word,
    )


_SMALL_TALK: Final = (
    ("hello.|hi.|hello there.|good morning.|hey.", "Hello! What would you like to know?"),
    ("how are you?|how do you do?", "I am well, thank you. What would you like to know?"),
    ("thank you.|thanks.|thank you very much.", "You are welcome."),
    ("goodbye.|bye.|see you later.", "Goodbye!"),
    (
        "who are you?|what is your name?|what are you?|what's your name?|tell me who you are.",
        "I am Triad, a small assistant that reads, sees and hears.",
    ),
    (
        "what do you know?|what can you do?|help.|what can I ask you?|how can you help me?",
        f"I know {KNOWN}. Show me a picture or speak to me.",
    ),
    ("how many days are there in a week?|how many days has a week?", "A week has 7 days."),
    ("how many months are there in a year?|how many months has a year?", "A year has 12 months."),
)


def _small_talk(rng: random.Random) -> Exchange:
    questions, answer = rng.choice(_SMALL_TALK)
    return _exchange(rng, "small talk", tuple(questions.split("|")), answer)


def _unknown(rng: random.Random) -> Exchange:
    return _exchange(
        rng,
        "unknown",
        (
            "what is the capital of {country}?",
            "who was {person}?",
            "when was {person} born?",
            "tell me about {person}.",
            "what did {person} do?",
            "how does {thing} work?",
            "what is {thing}?",
            "explain {thing} to me.",
            "who invented {thing}?",
            "write a poem about {thing}.",
            "how many people live in {country}?",
            "where is {country}?",
            "what language do they speak in {country}?",
            "how much does {thing} cost?",
            "what is the weather like in {country}?",
            "is {thing} better than {thing2}?",
            "what is the price of {thing}?",
            "why do people like {thing}?",
        ),
        UNKNOWN_ANSWER,
        country=rng.choice(facts.UNKNOWN_COUNTRIES),
        person=rng.choice(facts.UNKNOWN_PEOPLE),
        thing=rng.choice(facts.UNKNOWN_THINGS),
        thing2=rng.choice(facts.UNKNOWN_THINGS),
    )


# Each skill's maker, and how often it is asked for.
MAKERS: Final[tuple[tuple[Callable[[random.Random], Exchange], int], ...]] = (
    (_sides, 3),
    (_legs, 2),
    (_sound, 2),
    (_thing_colour, 3),
    (_opposite, 3),
    (_capital, 4),
    (_calendar, 4),
    (_sum, 4),
    (_difference, 4),
    (_product, 4),
    (_compare, 3),
    (_count, 2),
    (_spell, 3),
    (_small_talk, 2),
    (_unknown, 3),
)


def sample_exchange(rng: random.Random, split: Split) -> Exchange:
    """One question of the split, about anything in the world."""
    makers, weights = zip(*MAKERS, strict=True)
    while True:
        exchange: Exchange = rng.choices(makers, weights)[0](rng)
        # The spoken form decides; a typed form that is held out by itself belongs to neither.
        spoken_is_held_out = is_held_out(exchange.spoken)
        if split == "held_out" and spoken_is_held_out:
            return exchange
        if split == "train" and not (spoken_is_held_out or is_held_out(exchange.question)):
            return exchange
