"""Sentences as the speech projector says them, made of words alone: hearing before any sound.

The projector turns a frame that says a token into the token's own embedding, and all others into
the middle of all embeddings (heard_words.py). A base model that knows only typed text cannot read
that: most of such a row is middle. So its own stage has it read sentences that are spread like
that, in lower case and without marks, as sounds are, each frame only about where its token is.
Leaves out: what is asked about them (dialogues.py) and where they stand in a row (examples.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, NamedTuple

from core.tokenizer import Tokenizer
from core.training.exchange import words_of
from core.training.heard_in_reply import WordFrames

# As the bundled model's projector says held-out clips: frames of 80 ms.
SILENCE: Final = (2, 11)  # frames before the first token, and behind the last
RUNS: Final = ((1, 2, 3), (70, 25, 5))  # frames that say one token, and how often
GAPS: Final = ((0, 1, 2, 3, 4, 5, 7), (20, 27, 22, 14, 8, 5, 4))  # from a token to the next
CLEARNESS: Final = (
    0.5,
    1.3,
)  # how far a frame goes from the middle to what it says; 1: all the way
NOISE: Final = 0.75  # at most: how far away a frame is from there; 1: as embeddings from the middle


@dataclass(frozen=True)
class AsHeard:
    """A sentence that stands in a row as if it had been heard.

    Args:
        text: as it is written.
        seed: decides how it is spread.
    """

    text: str
    seed: int


class Frame(NamedTuple):
    """How a place says what its id says.

    Args:
        clearness: see CLEARNESS.
        noise: in any direction; as NOISE.
    """

    clearness: float
    noise: float


class Spread(NamedTuple):
    """A sentence as frames.

    Args:
        ids: of each frame, the token it says or that of nothing.
        words: which frames say each of the words.
        frames: as many as there are ids.
    """

    ids: tuple[int, ...]
    words: WordFrames
    frames: tuple[Frame, ...]


def spread(sentence: AsHeard, tokenizer: Tokenizer, nothing: int) -> Spread:
    """Lay a sentence out in frames.

    Args:
        nothing: the id that stands for the middle of all embeddings.
    """
    rng = random.Random(sentence.seed)
    ids = [nothing] * rng.randint(*SILENCE)
    words = []
    for number, word in enumerate(words_of(sentence.text).split()):
        places: list[int] = []
        for token in tokenizer.encode_text(f" {word}"):
            least = 1 if ids[-1] == token else 0  # else the two would be one
            gap = rng.choices(*GAPS)[0] if number or places else 0
            ids += [nothing] * max(least, gap)
            run = rng.choices(*RUNS)[0]
            places += range(len(ids), len(ids) + run)
            ids += [token] * run
        words.append(tuple(places))
    ids += [nothing] * rng.randint(*SILENCE)
    noise = rng.uniform(0, NOISE)
    return Spread(
        tuple(ids), tuple(words), tuple(Frame(rng.uniform(*CLEARNESS), noise) for _ in ids)
    )
