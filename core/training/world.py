"""The small world in words: everything that can be asked without a picture.

Leaves out: what is asked in each part (numbers.py, knowledge.py, small_talk.py), pictures
(scenes.py), voices (speech.py) and translations (translation.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from core.training import knowledge, numbers
from core.training.exchange import Exchange, Split, capitalised, is_held_out, words_of
from core.training.small_talk import UNKNOWN_ANSWER, invented, small_talk, unknown

__all__ = [
    "MAKERS",
    "UNKNOWN_ANSWER",
    "Exchange",
    "Split",
    "capitalised",
    "is_held_out",
    "sample_exchange",
    "sample_spoken",
    "words_of",
]

Makers = tuple[tuple[Callable[[random.Random], Exchange], int], ...]
# Each skill's maker, and how often it is asked for.
MAKERS: Final[Makers] = (
    (knowledge.shape_parts, 3),
    (knowledge.legs, 2),
    (knowledge.animal_sound, 3),
    (knowledge.thing_colour, 3),
    (knowledge.colour_mix, 1),
    (knowledge.opposite, 4),
    (knowledge.capital, 5),
    (knowledge.calendar, 5),
    (knowledge.spelling, 6),
    (numbers.arithmetic, 14),
    (numbers.comparing, 4),
    (numbers.counting, 3),
    (numbers.neighbour, 2),
    (small_talk, 3),
    (unknown, 4),
    (invented, 1),
)


# What takes longest to learn: no list of answers would do, they have to be worked out.
WORKED_OUT: Final[Makers] = (
    (numbers.arithmetic, 15),
    (numbers.comparing, 6),
    (numbers.counting, 3),
    (numbers.neighbour, 1),
    (knowledge.spelling, 6),
)


# What clips to learn from ask more often than people do: words that come nowhere else in the world,
# and questions where a single word that is misheard, or taken for another, spoils all.
LISTENED_TO: Final[Makers] = (
    *MAKERS,
    (unknown, 8),
    (knowledge.spelling, 6),
    (numbers.comparing, 4),
    (knowledge.capital, 2),
)


def sample_spoken(rng: random.Random, split: Split, makers: Makers = MAKERS) -> Exchange:
    """One question of the split that can be said and written down."""
    while True:
        exchange = sample_exchange(rng, split, makers)
        if exchange.skill != "invented":
            return exchange


def sample_exchange(rng: random.Random, split: Split, makers: Makers = MAKERS) -> Exchange:
    """One question of the split, about anything in the world, or about what `makers` ask."""
    kinds, weights = zip(*makers, strict=True)
    while True:
        exchange: Exchange = rng.choices(kinds, weights)[0](rng)
        if exchange.belongs_to(split):
            return exchange
