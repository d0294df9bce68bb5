"""One question of the small world and its one true answer; which questions training never sees.

A question is a template with its slots filled; about one in ten surface forms is held out by a
hash of its words, so that evaluation asks what was never seen. Leaves out: what is asked
(numbers.py, knowledge.py, small_talk.py, scenes.py).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from core.training.facts import number_in_words

Split = Literal["train", "held_out"]

HELD_OUT_SHARE: Final = 10  # one surface form in so many
DIGITS_SHARE: Final = 0.7  # of typed questions write numbers as digits
WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*'?")


Places = tuple[tuple[int, int], ...]  # numbers of pictures as shown, and of places in each
# Where to look for what is not shown: the first token of all. What is named one by one is looked
# for there too: with one shape left it gets a half of a look, with two a third, and so tells how
# many.
NOWHERE: Final = (-1, 0)


class Look(NamedTuple):
    """Where a part of an answer is read from.

    Args:
        end: the part goes up to this character of the answer.
        at: places are numbered as in items.PLACES.
        words: in lower case; it is read from them too, wherever the question has them, and where
            the answer has said them last: as often as they are here.
    """

    end: int
    at: Places
    words: tuple[str, ...] = ()


class Told(NamedTuple):
    """Where a question tells in words what is in a place of a picture.

    Args:
        place: the number of the picture, and of a place in it, as in Look.
        start, end: characters of the question.
    """

    place: tuple[int, int]
    start: int
    end: int


def look_throughout(said: str, at: Places, words: tuple[str, ...] = ()) -> tuple[Look, ...]:
    """The look of a whole answer, if there is one."""
    return (Look(len(said), at, words),) if at or words else ()


Answer = tuple[str, tuple[Look, ...]]  # what is said, and where it is read from


class Clause(NamedTuple):
    """A part of an answer that tells one thing, and where that is read from."""

    said: str
    at: Places


def concluded(one: Clause, other: Clause, verdict: str = "", words: tuple[str, ...] = ()) -> Answer:
    """An answer that tells two things first, and then what follows; and its looks.

    A verdict that came first would have to be found before anything was said.
    Source: Wei et al., "Chain-of-thought prompting" (arXiv 2201.11903).

    Args:
        words: that the verdict is read from.
    """
    first = capitalised(one.said)
    both = f"{first} and {other.said}"
    answer = f"{both}, so {verdict}." if verdict else f"{both}."
    looks = Look(len(first), one.at), Look(len(both), other.at)
    return answer, (*looks, Look(len(answer), (), words)) if words else looks


def listed(
    opening: str, clauses: Sequence[Clause], verdict: str = "", words: tuple[str, ...] = ()
) -> Answer:
    """A sentence that names all that is found, and then what follows; and its looks.

    Each thing is read from its own place. What stands between them, and before and behind them, is
    read from all that is yet to be named and from where nothing is, so that the share of a look
    that is left for that tells whether one more is to be named. Commas would ask for more: whether
    that is the last.

    Args:
        clauses: at least one.
        words: that the verdict is read from.
    """
    said, looks = capitalised(opening), []
    for number, clause in enumerate(clauses):
        left = clauses[number:]
        said += " and" if number else ""
        looks.append(Look(len(said), (*(at for each in left for at in each.at), NOWHERE)))
        said += f" {clause.said}"
        looks.append(Look(len(said), clause.at))
    said += ", so" if verdict else "."
    looks.append(Look(len(said), (NOWHERE,)))
    said = f"{said} {verdict}." if verdict else said
    if words:
        looks.append(Look(len(said), (), words))
    return said, tuple(looks)


def one_after_another(*sentences: Answer) -> Answer:
    """Several sentences as one answer."""
    answer, looks = "", []
    for said, its_looks in sentences:
        before = f"{answer} " if answer else ""
        looks += [look._replace(end=len(before) + look.end) for look in its_looks]
        answer = before + said
        if its_looks and its_looks[-1].end < len(said):
            looks.append(Look(len(answer), ()))
    return answer, tuple(looks)


@dataclass(frozen=True)
class Exchange:
    """One question and its answer.

    Args:
        skill: which part of the world it tests.
        question: as it is typed; numbers may be digits.
        spoken: as it is said; numbers are words, and so is everything else.
        answer: the one right reply.
        is_closed: one of a short list of sayings, which nothing can generalise to: always
            trained, never asked in evaluation.
        looks: where the answer is read from, part by part; what is behind them, from nowhere.
        told: where what is looked at is told in words; that may have been in an earlier question.
    """

    skill: str
    question: str
    spoken: str
    answer: str
    is_closed: bool = False
    looks: tuple[Look, ...] = ()
    told: tuple[Told, ...] = ()

    def belongs_to(self, split: Split) -> bool:
        """Whether training or evaluation may use it.

        The spoken form decides; a typed form that is held out by itself belongs to neither.
        """
        if self.is_closed:
            return split == "train"
        spoken_is_held_out = is_held_out(self.spoken)
        if split == "held_out":
            return spoken_is_held_out
        return not (spoken_is_held_out or is_held_out(self.question))


def worded(
    rng: random.Random, skill: str, wordings: Sequence[str], answer: Answer, **slots: str
) -> Exchange:
    """One question about what is seen, in one of its wordings.

    Args:
        slots: of the wording.
    """
    question, (said, looks) = capitalised(rng.choice(wordings).format(**slots)), answer
    return Exchange(skill, question, as_heard(question), said, looks=looks)


def in_short(said: str, at: Places = (), words: tuple[str, ...] = ()) -> Answer:
    """A whole answer that is read from the same places and words throughout."""
    answer = f"{capitalised(said)}."
    return answer, look_throughout(answer, at, words)


def words_of(sentence: str) -> str:
    """A sentence's lower-case words and digits, without punctuation."""
    return " ".join(WORD.findall(sentence.lower()))


def is_held_out(question: str) -> bool:
    """True for the questions that training never sees, whatever their case and punctuation."""
    digest = hashlib.sha256(words_of(question).encode()).digest()
    return digest[0] % HELD_OUT_SHARE == 0


def as_heard(sentence: str) -> str:
    """The sentence in the spelling of all transcripts: nobody hears how "colour" is spelled."""
    return re.sub(r"\bcolor\b", "colour", sentence)


def capitalised(sentence: str) -> str:
    """The sentence with its first letter large."""
    return sentence[:1].upper() + sentence[1:]


def asked(
    rng: random.Random,
    skill: str,
    templates: tuple[str, ...],
    answer: str,
    is_closed: bool = False,
    **slots: str | int,
) -> Exchange:
    """One of the templates with its slots filled; numbers are said as words."""
    template = rng.choice(templates)
    in_words = {
        key: number_in_words(value) if isinstance(value, int) else value
        for key, value in slots.items()
    }
    spoken = as_heard(capitalised(template.format(**in_words)))
    typed = capitalised(template.format(**slots)) if rng.random() < DIGITS_SHARE else spoken
    return Exchange(skill, typed, spoken, answer, is_closed)
