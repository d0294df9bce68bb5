"""Short memory: what the user told a moment ago, and follow-ups that say only what changes.

"My name is Ada." ... "What is my name?"; "What is the capital of France?" "And of Spain?".
Leaves out: how dialogues are mixed (dialogues.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from core.training import facts
from core.training.exchange import Exchange, Split, asked, capitalised
from core.training.facts import with_article
from core.training.knowledge import (
    calendar_unit,
    neighbour_sentence,
    sides_sentence,
)
from core.training.numbers import operands, result_of, result_sentence

Chain = tuple[Exchange, ...]  # what is said first, then what only makes sense after it

TOLD: Final = "memory"
NAME_TOLD: Final = ("my name is {}.", "I am {}.", "I'm {}.", "hello, I am {}.", "call me {}.")
NAME_ASKED: Final = (
    "what is my name?",
    "who am I?",
    "what's my name?",
    "tell me my name.",
    "do you remember my name?",
)
# What is told, the reply to it, what is asked, the reply to that; each with one slot.
_TOLD: Final = (
    (
        ("my favourite colour is {}.", "I like {} best of all colours.", "I love the colour {}."),
        "{} is a nice colour.",
        ("what is my favourite colour?", "which colour do I like?", "which colour do I like best?"),
        "Your favourite colour is {}.",
        tuple(dict.fromkeys(facts.THING_COLOURS.values())),
    ),
    (
        ("I am {} years old.", "I'm {} years old.", "my age is {}."),
        "You are {} years old.",
        ("how old am I?", "what is my age?", "do you remember how old I am?"),
        "You are {} years old.",
        tuple(str(age) for age in range(3, 100)),
    ),
    (
        ("I live in {}.", "my home is in {}.", "my house is in {}."),
        "{} is a fine place.",
        ("where do I live?", "where is my home?", "which city do I live in?"),
        "You live in {}.",
        tuple(facts.CAPITALS.values()),
    ),
    (
        ("I come from {}.", "I am from {}."),
        "{} is a fine country.",
        ("where do I come from?", "which country do I come from?", "where am I from?"),
        "You come from {}.",
        tuple(facts.CAPITALS),
    ),
    (
        ("I have a {}.", "my pet is a {}.", "at home I have a {}."),
        "A {} is a good friend.",
        ("which animal do I have?", "what is my pet?", "what animal do I have at home?"),
        "You have a {}.",
        tuple(name for name in facts.ANIMAL_SOUNDS if name[0] not in "aeiou"),
    ),
)


def told(rng: random.Random) -> Chain:
    """Something about the user, and the question for it."""
    if rng.random() < 0.45:
        name = rng.choice(facts.NAMES)
        first = _said(rng.choice(NAME_TOLD).format(name), f"Nice to meet you, {name}.")
        return first, _said(rng.choice(NAME_ASKED), f"Your name is {name}.", TOLD)
    statements, thanks, questions, reply, values = rng.choice(_TOLD)
    value = rng.choice(values)
    first = _said(rng.choice(statements).format(value), capitalised(thanks.format(value)))
    return first, _said(rng.choice(questions), reply.format(value), TOLD)


def is_told(chain: Chain) -> bool:
    """True where the chain's end asks for what its begin told, so that more may lie between."""
    return chain[-1].skill == TOLD


def _said(question: str, answer: str, skill: str = "follow-up") -> Exchange:
    sentence = capitalised(question)
    return Exchange(skill, sentence, sentence, answer)


def _and(rng: random.Random, what: str, answer: str) -> Exchange:
    """A follow-up about something else; "of Spain" can only follow "and"."""
    wordings = ("and {}?", "what about {}?", "and what about {}?")
    num = 1 if what.startswith("of ") else len(wordings)
    return _said(rng.choice(wordings[:num]).format(what), answer)


def _capitals(rng: random.Random) -> Iterator[Exchange]:
    for index, country in enumerate(rng.sample(tuple(facts.CAPITALS), 3)):
        answer = f"The capital of {country} is {facts.CAPITALS[country]}."
        if index == 0:
            question = rng.choice(("what is the capital of {}?", "name the capital of {}."))
            yield _said(question.format(country), answer)
        else:
            yield _and(rng, rng.choice((country, f"of {country}")), answer)


def _opposites(rng: random.Random) -> Iterator[Exchange]:
    for index, pair in enumerate(rng.sample(facts.OPPOSITES, 3)):
        word, other = rng.sample(pair, 2)
        answer = f"The opposite of {word} is {other}."
        if index == 0:
            yield _said(f"what is the opposite of {word}?", answer)
        else:
            yield _and(rng, rng.choice((word, f"of {word}")), answer)


def _sides(rng: random.Random) -> Iterator[Exchange]:
    part = rng.choice(("sides", "corners"))
    for index, shape in enumerate(rng.sample(tuple(facts.SHAPE_SIDES), 3)):
        answer = sides_sentence(shape, part, facts.SHAPE_SIDES[shape])
        if index == 0:
            yield _said(f"how many {part} does {with_article(shape)} have?", answer)
        else:
            yield _and(rng, with_article(shape), answer)


def _legs(rng: random.Random) -> Iterator[Exchange]:
    for index, animal in enumerate(rng.sample(tuple(facts.ANIMAL_LEGS), 3)):
        name = with_article(animal)
        answer = f"{capitalised(name)} has {facts.ANIMAL_LEGS[animal] or 'no'} legs."
        if index == 0:
            yield _said(f"how many legs does {name} have?", answer)
        else:
            yield _and(rng, name, answer)


def _sounds(rng: random.Random) -> Iterator[Exchange]:
    for index, animal in enumerate(rng.sample(tuple(facts.ANIMAL_SOUNDS), 3)):
        name = with_article(animal)
        answer = f"{capitalised(name)} {facts.ANIMAL_SOUNDS[animal]}."
        if index == 0:
            yield _said(rng.choice(("what does {} say?", "what sound does {} make?")).format(name),
                        answer)  # fmt: skip
        else:
            yield _and(rng, name, answer)


def _things(rng: random.Random) -> Iterator[Exchange]:
    for index, thing in enumerate(rng.sample(tuple(facts.THING_COLOURS), 3)):
        answer = f"{capitalised(thing)} is {facts.THING_COLOURS[thing]}."
        if index == 0:
            yield _said(f"what colour is {thing}?", answer)
        else:
            yield _and(rng, thing, answer)


def _calendar(rng: random.Random) -> Iterator[Exchange]:
    unit, names = calendar_unit(rng)
    word = rng.choice(("after", "before"))
    for position, index in enumerate(rng.sample(range(len(names)), 3)):
        answer = neighbour_sentence(names, index, word)
        if position == 0:
            yield _said(f"which {unit} comes {word} {names[index]}?", answer)
        else:
            yield _and(rng, rng.choice((names[index], f"{word} {names[index]}")), answer)


def _running_total(rng: random.Random) -> Iterator[Exchange]:
    """A sum, and what another step makes of its result."""
    sign = rng.choice(("plus", "minus"))
    left, right = operands(rng, sign)
    yield asked(
        rng,
        "follow-up",
        ("what is {left} {sign} {right}?", "{left} {sign} {right}"),
        result_sentence(left, sign, right),
        left=left,
        sign=sign,
        right=right,
    )
    for _ in range(2):
        left = result_of(left, sign, right)
        sign = rng.choice(("plus", "minus"))
        right = rng.randint(0, left if sign == "minus" else 100 - left)
        yield asked(
            rng,
            "follow-up",
            ("and {sign} {right}?", "{sign} {right}?", "and what about {sign} {right}?"),
            result_sentence(left, sign, right),
            sign=sign,
            right=right,
        )


_FOLLOW_UPS: Final[tuple[Callable[[random.Random], Iterator[Exchange]], ...]] = (
    _capitals,
    _opposites,
    _sides,
    _legs,
    _sounds,
    _things,
    _calendar,
    _running_total,
)


def follow_ups(rng: random.Random) -> Chain:
    """A question, and one or two more that say only what changes."""
    chain = tuple(rng.choice(_FOLLOW_UPS)(rng))
    return chain[: rng.choice((2, 2, 3))]


def sample_chain(rng: random.Random, split: Split) -> Chain:
    """A chain of the split, by all that is asked in it, as Exchange.belongs_to has it.

    A trained one does not begin with a question that is held out by itself.
    """
    while True:
        chain = told(rng) if rng.random() < 0.5 else follow_ups(rng)
        typed = " ".join(exchange.question for exchange in chain)
        spoken = " ".join(exchange.spoken for exchange in chain)
        whole = Exchange("chain", typed, spoken, chain[-1].answer)
        if whole.belongs_to(split) and (split == "held_out" or chain[0].belongs_to("train")):
            return chain
