"""Which words of a reply were heard, and as which word of the clip.

A transcript says every word of a clip in its order; an answer takes up the one or other.
Leaves out: which frames say a word (word_frames.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from core.training.exchange import WORD, words_of
from core.training.facts import number_in_words

WordFrames = tuple[tuple[int, ...], ...]  # of each word of a clip, the frames that say it
MAX_IN_WORDS: Final = 100


class Heard(NamedTuple):
    """One word of a reply.

    Args:
        start, end: its characters.
        words: numbers of the words of the clip that it was heard as; none: it was not.
    """

    start: int
    end: int
    words: tuple[int, ...]


def heard_in(reply: str, spoken: str) -> tuple[Heard, ...]:
    """Each word of a reply, with where it was heard.

    A word that is said twice in a clip is known by its turn in a transcript; elsewhere nobody can
    say which of the two is meant. "31" is heard as "thirty one".
    """
    said = words_of(spoken).split()
    is_transcript = words_of(reply).split()[: len(said)] == said
    found = []
    for number, match in enumerate(WORD.finditer(reply)):
        turn = (number,) if number < len(said) else ()
        words = turn if is_transcript else _places_of(match[0].lower(), said)
        found.append(Heard(match.start(), match.end(), words))
    return tuple(found)


def _places_of(word: str, said: list[str]) -> tuple[int, ...]:
    """Which words of a clip a word is, if it is there once."""
    is_number = word.isdecimal() and int(word) <= MAX_IN_WORDS
    parts = number_in_words(int(word)).split() if is_number else [word]
    found = list(_starts(parts, said))
    return tuple(range(found[0], found[0] + len(parts))) if len(found) == 1 else ()


def _starts(parts: list[str], said: list[str]) -> Iterator[int]:
    return (i for i in range(len(said)) if said[i : i + len(parts)] == parts)
