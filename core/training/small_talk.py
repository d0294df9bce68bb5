"""Greetings, who-are-you, and the plain "I don't know that" for everything outside the world."""

from __future__ import annotations

import random
import re
from functools import cache
from typing import Final

from core.training import facts
from core.training.exchange import Exchange, asked

KNOWN: Final = "shapes, colours, numbers, animals, days, months, opposites and capitals"
UNKNOWN_ANSWER: Final = f"I don't know that. I know {KNOWN}."
NUM_INVENTED_LETTERS: Final = (3, 9)

_SMALL_TALK: Final = (
    ("hello.|hi.|hello there.|good morning.|hey.|good evening.|good afternoon.|hi there.",
     "Hello! What would you like to know?"),
    ("how are you?|how do you do?|how are you today?|are you well?",
     "I am well, thank you. What would you like to know?"),
    ("thank you.|thanks.|thank you very much.|thanks a lot.|great, thank you.",
     "You are welcome."),
    ("goodbye.|bye.|see you later.|good night.|bye bye.", "Goodbye!"),
    ("who are you?|what is your name?|what are you?|what's your name?|tell me who you are.|"
     "are you a robot?|who is this?",
     "I am Triad, a small assistant that reads, sees and hears."),
    ("what do you know?|what can you do?|help.|what can I ask you?|how can you help me?|"
     "can you help me?|what should I ask?",
     f"I know {KNOWN}. Show me a picture or speak to me."),
    ("who made you?|who built you?|where do you come from?|how were you made?",
     "I was trained from nothing by Triad's own recipe."),
    ("can you hear me?|do you hear me?|are you listening?", "Yes, I hear you."),
    ("which languages do you speak?|what languages do you know?|can you translate?",
     "I translate from English to German, French, Spanish and Italian."),
    ("how many days are there in a week?|how many days has a week?|how long is a week?",
     "A week has 7 days."),
    ("how many months are there in a year?|how many months has a year?|how long is a year?",
     "A year has 12 months."),
)  # fmt: skip


def small_talk(rng: random.Random) -> Exchange:
    """One of a short list of sayings."""
    questions, answer = rng.choice(_SMALL_TALK)
    return asked(rng, "small talk", tuple(questions.split("|")), answer, is_closed=True)


_UNKNOWN: Final = (
    "what is the capital of {country}?",
    "how many people live in {country}?",
    "where is {country}?",
    "what language do they speak in {country}?",
    "what is the weather like in {country}?",
    "who is the president of {country}?",
    "how far is it to {country}?",
    "tell me something about {country}.",
    "who was {person}?",
    "when was {person} born?",
    "tell me about {person}.",
    "what did {person} do?",
    "where did {person} live?",
    "is {person} still alive?",
    "how does {thing} work?",
    "what is {thing}?",
    "explain {thing} to me.",
    "who invented {thing}?",
    "write a poem about {thing}.",
    "how much does {thing} cost?",
    "is {thing} better than {thing2}?",
    "what is the price of {thing}?",
    "why do people like {thing}?",
    "where can I buy {thing}?",
    "can you draw {thing}?",
    "tell me a story about {thing}.",
    "how old is {person}?",
    "what time is it in {country}?",
    "what should I cook for {person}?",
    "play {thing} for me.",
    "who won the game between {country} and {country2}?",
    "write a letter to {person}.",
    "what is the news from {country}?",
)

_INVENTED: Final = (
    "what is the meaning of {invented}?",
    "what is {invented}?",
    "who is {invented}?",
    "what colour is {invented}?",
    "how many legs does a {invented} have?",
    "what sound does a {invented} make?",
    "what is the capital of {invented}?",
    "what is the opposite of {invented}?",
    "please {invented} the {invented2}.",
)


def unknown(rng: random.Random) -> Exchange:
    """A question that the world has no answer to."""
    return asked(
        rng,
        "unknown",
        _UNKNOWN,
        UNKNOWN_ANSWER,
        country=rng.choice(facts.UNKNOWN_COUNTRIES),
        country2=rng.choice(facts.UNKNOWN_COUNTRIES),
        person=rng.choice(facts.UNKNOWN_PEOPLE),
        thing=rng.choice(facts.UNKNOWN_THINGS),
        thing2=rng.choice(facts.UNKNOWN_THINGS),
    )


def invented(rng: random.Random) -> Exchange:
    """A question with words that nobody knows; typed only, since nobody could write them down."""
    return asked(
        rng,
        "invented",
        _INVENTED,
        UNKNOWN_ANSWER,
        invented=_invented_word(rng),
        invented2=_invented_word(rng),
    )


def _invented_word(rng: random.Random) -> str:
    """A word that means nothing, but can be said."""
    length = rng.randint(*NUM_INVENTED_LETTERS)
    pairs = ("bcdfghjklmnprstvwz", "aeiou")
    first = rng.randrange(2)
    word = "".join(rng.choice(pairs[(first + i) % 2]) for i in range(length))
    return word if word not in _meaningful() else _invented_word(rng)


@cache
def _meaningful() -> frozenset[str]:
    """Every word that the tables of the world have."""
    sources = (getattr(facts, name) for name in dir(facts) if name.isupper())
    return frozenset(re.findall(r"[a-z]+", " ".join(map(str, sources)).lower()))
