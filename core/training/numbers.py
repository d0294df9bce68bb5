"""Questions about numbers: sums, differences, products, comparing, counting, neighbours."""

from __future__ import annotations

import random
from typing import Final

from core.training.exchange import Exchange, asked

LARGEST: Final = 100  # of sums and of what is taken from
LARGEST_FACTOR: Final = 10
LONGEST_COUNT: Final = 12  # numbers in one count


def arithmetic(rng: random.Random) -> Exchange:
    """A sum, a difference or a product."""
    sign = rng.choices(("plus", "minus", "times"), (4, 4, 3))[0]
    left, right = operands(rng, sign)
    return asked(
        rng,
        "arithmetic",
        (
            "what is {left} {sign} {right}?",
            "how much is {left} {sign} {right}?",
            "{left} {sign} {right}",
            "tell me what {left} {sign} {right} is.",
            "what's {left} {sign} {right}?",
            "can you work out {left} {sign} {right}?",
        ),
        result_sentence(left, sign, right),
        left=left,
        sign=sign,
        right=right,
    )


def operands(rng: random.Random, sign: str) -> tuple[int, int]:
    """Two numbers whose result is from 0 to 100; small ones as often as large ones."""
    if sign == "times":
        return rng.randint(0, LARGEST_FACTOR), rng.randint(0, LARGEST_FACTOR)
    largest = 20 if rng.random() < 0.35 else LARGEST
    total = rng.randint(0, largest)
    part = rng.randint(0, total)
    return (part, total - part) if sign == "plus" else (total, part)


def result_of(left: int, sign: str, right: int) -> int:
    """The result of "plus", "minus" or "times"."""
    return {"plus": left + right, "minus": left - right, "times": left * right}[sign]


def result_sentence(left: int, sign: str, right: int) -> str:
    """As replies say it: "7 plus 5 is 12."."""
    return f"{left} {sign} {right} is {result_of(left, sign, right)}."


def comparing(rng: random.Random) -> Exchange:
    """Which of two numbers is larger or smaller."""
    left, right = rng.sample(range(LARGEST + 1 if rng.random() < 0.7 else 21), 2)
    word = rng.choice(("larger", "smaller"))
    first = max(left, right) if word == "larger" else min(left, right)
    second = left + right - first
    return asked(
        rng,
        "comparing",
        (
            "which is {word}, {left} or {right}?",
            "which number is {word}, {left} or {right}?",
            "what is {word}, {left} or {right}?",
            "tell me which is {word}, {left} or {right}.",
        ),
        f"{first} is {word} than {second}.",
        word=word,
        left=left,
        right=right,
    )


def counting(rng: random.Random) -> Exchange:
    """Count up from one number to another, or down."""
    first = 1 if rng.random() < 0.4 else rng.randint(0, 30)
    last = rng.randint(first + 1, first + LONGEST_COUNT - 1)
    step = 1
    templates: tuple[str, ...] = (
        "count from {first} to {last}.",
        "please count from {first} to {last}.",
        "can you count from {first} to {last}?",
    )
    if first == 1:
        templates = ("count to {last}.", "please count to {last}.", *templates)
    elif rng.random() < 0.3:
        first, last, step = last, first, -1
        templates = ("count down from {first} to {last}.", *templates)
    answer = ", ".join(str(number) for number in range(first, last + step, step))
    return asked(rng, "counting", templates, f"{answer}.", first=first, last=last)


def neighbour(rng: random.Random) -> Exchange:
    """The number before or after another."""
    number = rng.randint(1, LARGEST - 1)
    word = rng.choice(("after", "before"))
    answer = number + 1 if word == "after" else number - 1
    return asked(
        rng,
        "counting",
        (
            "which number comes {word} {number}?",
            "what number comes {word} {number}?",
            "what comes {word} {number}?",
            "tell me the number {word} {number}.",
        ),
        f"{answer} comes {word} {number}.",
        word=word,
        number=number,
    )
