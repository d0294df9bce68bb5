"""Sentences as the speech projector says them, made of words alone: hearing before any sound.

The projector turns a frame that says a token into the token's own embedding, and all others into
the middle of all embeddings (heard_words.py). A base model that knows only typed text cannot read
that: most of such a row is middle. So its own stage has it read sentences that are spread like
that, in lower case and without marks, as sounds are.
Leaves out: what is asked about them (dialogues.py) and what stands in a row (pointed.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from core.tokenizer import Tokenizer
from core.training.exchange import words_of
from core.training.heard_in_reply import WordFrames
from core.training.pointed import CLEARNESS, NOISE, Pointed

# About as a trained projector says clips that it never met: frames of 80 ms.
SILENCE: Final = (2, 11)  # frames before the first token, and behind the last
RUNS: Final = ((1, 2, 3), (70, 25, 5))  # frames that say one token, and how often
GAPS: Final = ((0, 1, 2, 3, 4, 5, 7), (20, 27, 22, 14, 8, 5, 4))  # from a token to the next


@dataclass(frozen=True)
class AsHeard:
    """A sentence that stands in a row as if it had been heard.

    Args:
        text: as it is written.
        seed: decides how it is spread.
    """

    text: str
    seed: int


class Spread(NamedTuple):
    """A sentence as frames.

    Args:
        frames: each points at one token or at none.
        words: which frames say each of the words.
    """

    frames: tuple[Pointed, ...]
    words: WordFrames


@lru_cache(maxsize=16)  # a row asks for its own several times
def spread(sentence: AsHeard, tokenizer: Tokenizer) -> Spread:
    """Lay a sentence out in frames."""
    rng = random.Random(sentence.seed)
    said: list[int | None] = [None] * rng.randint(*SILENCE)  # by each frame
    words = []
    for number, word in enumerate(words_of(sentence.text).split()):
        places: list[int] = []
        for token in tokenizer.encode_text(f" {word}"):
            least = 1 if said[-1] == token else 0  # else the two would be one
            gap = rng.choices(*GAPS)[0] if number or places else 0
            said += [None] * max(least, gap)
            run = rng.choices(*RUNS)[0]
            places += range(len(said), len(said) + run)
            said += [token] * run
        words.append(tuple(places))
    said += [None] * rng.randint(*SILENCE)
    noise = rng.uniform(0, NOISE)
    frames = (
        Pointed(() if token is None else (token,), rng.uniform(*CLEARNESS), noise) for token in said
    )
    return Spread(tuple(frames), tuple(words))
