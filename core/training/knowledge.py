"""Questions about the facts of the world: shapes, animals, colours, opposites, capitals, dates."""

from __future__ import annotations

import random

from core.training import facts
from core.training.exchange import Exchange, asked, capitalised
from core.training.facts import with_article


def shape_parts(rng: random.Random) -> Exchange:
    """How many sides or corners a shape has, or which shape has so many."""
    part = rng.choice(("sides", "corners"))
    if rng.random() < 0.2:
        shape, count = rng.choice(tuple(facts.SHAPE_BY_SIDES.items()))
        return asked(
            rng,
            "shapes",
            (
                "which shape has {count} {part}?",
                "what shape has {count} {part}?",
                "what has {count} {part}?",
                "tell me a shape that has {count} {part}.",
            ),
            f"{capitalised(with_article(shape))} has {count} {part}.",
            count=count,
            part=part,
        )
    shape, num_sides = rng.choice(tuple(facts.SHAPE_SIDES.items()))
    return asked(
        rng,
        "shapes",
        (
            "how many {part} does {a_shape} have?",
            "how many {part} are there in {a_shape}?",
            "tell me how many {part} {a_shape} has.",
            "how many {part} has {a_shape}?",
            "what is the number of {part} of {a_shape}?",
        ),
        sides_sentence(shape, part, num_sides),
        part=part,
        a_shape=with_article(shape),
    )


def sides_sentence(shape: str, part: str, num: int) -> str:
    """As replies say it: "A circle has no corners."."""
    return f"{capitalised(with_article(shape))} has {num or 'no'} {part}."


def legs(rng: random.Random) -> Exchange:
    """How many legs an animal has."""
    animal, num_legs = rng.choice(tuple(facts.ANIMAL_LEGS.items()))
    return asked(
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


def animal_sound(rng: random.Random) -> Exchange:
    """What an animal says, or which animal says so."""
    animal, verb = rng.choice(tuple(facts.ANIMAL_SOUNDS.items()))
    sentence = f"{capitalised(with_article(animal))} {verb}."
    if rng.random() < 0.3:
        templates: tuple[str, ...] = (
            "which animal {verb}?",
            "what animal {verb}?",
            "tell me which animal {verb}.",
            "name an animal that {verb}.",
        )
        return asked(rng, "animals", templates, sentence, verb=verb)
    templates = (
        "what sound does {animal} make?",
        "what does {animal} say?",
        "which sound does {animal} make?",
        "tell me what {animal} says.",
    )
    return asked(rng, "animals", templates, sentence, animal=with_article(animal))


def thing_colour(rng: random.Random) -> Exchange:
    """Which colour a thing is."""
    thing, colour = rng.choice(tuple(facts.THING_COLOURS.items()))
    return asked(
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


def colour_mix(rng: random.Random) -> Exchange:
    """What two colours give when they are mixed."""
    pair, mixed = rng.choice(tuple(facts.COLOUR_MIXES.items()))
    first, second = rng.sample(pair, 2)
    return asked(
        rng,
        "colours",
        (
            "what do {first} and {second} make?",
            "what colour do {first} and {second} make?",
            "which colour do you get from {first} and {second}?",
            "mix {first} and {second}.",
            "what do you get if you mix {first} and {second}?",
        ),
        f"{capitalised(first)} and {second} make {mixed}.",
        first=first,
        second=second,
    )


def opposite(rng: random.Random) -> Exchange:
    """The opposite of a word."""
    word, other = rng.sample(rng.choice(facts.OPPOSITES), 2)
    return asked(
        rng,
        "opposites",
        (
            "what is the opposite of {word}?",
            "tell me the opposite of {word}.",
            "which word is the opposite of {word}?",
            "what's the opposite of {word}?",
            "what is the contrary of {word}?",
        ),
        f"The opposite of {word} is {other}.",
        word=word,
    )


def capital(rng: random.Random) -> Exchange:
    """The capital of a country, or the country of a capital."""
    country, city = rng.choice(tuple(facts.CAPITALS.items()))
    if rng.random() < 0.3:
        templates: tuple[str, ...] = (
            "{city} is the capital of which country?",
            "of which country is {city} the capital?",
            "which country has the capital {city}?",
            "in which country is {city}?",
        )
        return asked(rng, "capitals", templates, f"{city} is the capital of {country}.", city=city)
    templates = (
        "what is the capital of {country}?",
        "which city is the capital of {country}?",
        "tell me the capital of {country}.",
        "what's the capital of {country}?",
        "name the capital of {country}.",
    )
    sentence = f"The capital of {country} is {city}."
    return asked(rng, "capitals", templates, sentence, country=country)


def calendar(rng: random.Random) -> Exchange:
    """Neighbours and places of days and months, and how long a month is."""
    kind = rng.random()
    if kind < 0.6:
        unit, names = calendar_unit(rng)
        index, word = rng.randrange(len(names)), rng.choice(("after", "before"))
        templates: tuple[str, ...] = (
            "which {unit} comes {word} {name}?",
            "what {unit} comes {word} {name}?",
            "what is the {unit} {word} {name}?",
            "tell me the {unit} {word} {name}.",
        )
        sentence = neighbour_sentence(names, index, word)
        return asked(rng, f"{unit}s", templates, sentence, unit=unit, word=word, name=names[index])
    if kind < 0.8:
        unit, names = calendar_unit(rng)
        place = rng.randrange(len(names))
        ordinal, name = facts.ORDINALS[place], names[place]
        container = "week" if unit == "day" else "year"
        templates = (
            "what is the {ordinal} {unit} of the {container}?",
            "which {unit} is the {ordinal} of the {container}?",
            "tell me the {ordinal} {unit} of the {container}.",
        )
        sentence = f"The {ordinal} {unit} of the {container} is {name}."
        return asked(
            rng, f"{unit}s", templates, sentence, ordinal=ordinal, unit=unit, container=container
        )
    month, num_days = rng.choice(tuple(facts.MONTHS.items()))
    templates = (
        "how many days does {month} have?",
        "how many days has {month}?",
        "how many days are there in {month}?",
        "tell me how many days {month} has.",
    )
    return asked(rng, "months", templates, f"{month} has {num_days} days.", month=month)


def calendar_unit(rng: random.Random) -> tuple[str, tuple[str, ...]]:
    """Days or months: the unit's name, and its members in order."""
    return ("day", facts.DAYS) if rng.random() < 0.5 else ("month", tuple(facts.MONTHS))


def neighbour_sentence(names: tuple[str, ...], index: int, word: str) -> str:
    """As replies say it: "Tuesday comes after Monday."."""
    step = 1 if word == "after" else -1
    return f"{names[(index + step) % len(names)]} comes {word} {names[index]}."


def spelling(rng: random.Random) -> Exchange:
    """How a word is spelled, how many letters it has, and its first and last one."""
    word, kind = rng.choice(facts.WORDS), rng.random()
    if kind < 0.6:
        templates: tuple[str, ...] = (
            "how do you spell {word}?",
            "spell the word {word}.",
            "please spell {word}.",
            "how is {word} spelled?",
            "can you spell {word}?",
        )
        sentence = f"{capitalised(word)} is spelled {' '.join(word)}."
        return asked(rng, "spelling", templates, sentence, word=word)
    if kind < 0.8:
        templates = (
            "how many letters does {word} have?",
            "how many letters has the word {word}?",
            "how many letters are there in {word}?",
        )
        sentence = f"{capitalised(word)} has {len(word)} letters."
        return asked(rng, "spelling", templates, sentence, word=word)
    place, letter = rng.choice((("first", word[0]), ("last", word[-1])))
    templates = (
        "what is the {place} letter of {word}?",
        "which letter is the {place} one of {word}?",
        "tell me the {place} letter of {word}.",
    )
    sentence = f"The {place} letter of {word} is {letter}."
    return asked(rng, "spelling", templates, sentence, place=place, word=word)
