"""Pictures as the vision projector says them, made of words alone: seeing before any picture.

The projector turns a token that sums up a shape into what the words for it add to the middle of
all embeddings, all at once, one that tells a letter into the letter, and all others into the
middle (word_alignment.py). The base model answers questions about such pictures in its own stage,
where all of it learns; an adapter alone took long to find and to count.
Leaves out: which token tells what (slots.py) and what stands in a row (pointed.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np

from core.tokenizer import Tokenizer
from core.training.exchange import Split
from core.training.pointed import CLEARNESS, NOISE, Pointed
from core.training.scene_list import scene_at
from core.training.slots import SAID, SIDE, slots_of
from core.training.word_alignment import word_ids

# Rows and columns of tokens that show a square, a wide and an upright picture, and how often.
FORMS: Final = (((SIDE, SIDE), (SIDE - 1, SIDE), (SIDE, SIDE - 1)), (5, 4, 1))


@dataclass(frozen=True)
class AsSeen:
    """The picture of a scene that nobody drew.

    Args:
        split, index: of the scene, as in `scene_at`.
        seed: decides its form, and how clearly it is seen.
    """

    split: Split
    index: int
    seed: int


@lru_cache(maxsize=16)  # a row asks for its own several times
def tokens_of(picture: AsSeen, tokenizer: Tokenizer) -> tuple[Pointed, ...]:
    """What each of a picture's tokens points at: the crop's, one more, and the global view's."""
    rng = random.Random(picture.seed)
    num_rows, num_columns = rng.choices(*FORMS)[0]
    noise = rng.uniform(0, NOISE)
    scene = scene_at(picture.split, picture.index)
    said: list[tuple[int, ...]] = []
    for rows, columns in ((num_rows, num_columns), (SIDE, SIDE)):
        mask = np.zeros((2 * SIDE, 2 * SIDE), np.bool_)
        mask[: 2 * rows, : 2 * columns] = True
        slots = slots_of(scene, mask)[:, :rows, :columns]
        if said:
            said.append(())  # between the views
        for row in slots.transpose(1, 2, 0):
            said += [_words_of(labels, tokenizer) for labels in row.tolist()]
            said.append(())  # a row's end
    return tuple(Pointed(ids, rng.uniform(*CLEARNESS), noise) for ids in said)


def _words_of(labels: list[int], tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens of all words that a picture's token tells: one label a kind, as in SAID."""
    told = (words[label - 1] for words, label in zip(SAID.values(), labels, strict=True) if label)
    return tuple(id_ for word in told for id_ in word_ids(tokenizer, word))
