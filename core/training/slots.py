"""What the decoder will find where: some of a picture's tokens sum up what it shows.

A shape is told by the token of its place, of nine that lie from corner to corner; a word by its
letters, one a token, in reading order. The language model has read both in words: there are no
shapes to be counted twice for it, and no letters to be put in order.
Leaves out: the heads that are asked (slot_heads.py) and the words for them (word_alignment.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from core.training.items import COLOURS, PLACES, SHAPES, SIZES, Scene
from core.training.patch_labels import CHARACTERS, NUM_PATCHES

SIDE: Final = NUM_PATCHES // 2  # tokens along a side of the view: two by two patches are pooled
NUM_GLOBAL_TOKENS: Final = SIDE * (SIDE + 1)  # of the view: each row ends with a separator
# What a token can tell, each kind with the words for its labels from 1 on; 0 is nothing.
SAID: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "shape": SHAPES,
        "colour": tuple(COLOURS),
        "size": SIZES,
        "place": PLACES,
        "letter": tuple(CHARACTERS),
    }
)


def slots_of(scene: Scene, mask: np.ndarray) -> np.ndarray:
    """What each token of a picture tells.

    Args:
        scene: what is shown.
        mask: bool, shape (10, 10), as in Pictures.masks: all True for the global view.
    Returns:
        uint8, shape (num_kinds, 5, 5), in the order of SAID; padding tells nothing.
    """
    num_rows, num_columns = int(mask[::2, 0].sum()), int(mask[0, ::2].sum())
    slots = np.zeros((len(SAID), SIDE, SIDE), np.uint8)
    for item in scene.items:
        row, column = _third(item.row, num_rows), _third(item.column, num_columns)
        told = (item.shape, item.colour, item.size, PLACES[item.place])
        for kind, (words, word) in enumerate(zip(SAID.values(), told, strict=False)):
            slots[kind, row, column] = words.index(word) + 1
    for number, letter in enumerate(scene.word):
        slots[-1, number // num_columns, number % num_columns] = CHARACTERS.index(letter) + 1
    return slots


def global_token(place: int) -> int:
    """Which of the global view's tokens tells of a place, an index into PLACES."""
    row, column = divmod(place, 3)
    return _third(row, SIDE) * (SIDE + 1) + _third(column, SIDE)


def _third(number: int, num: int) -> int:
    """The first, the middle or the last of so many: 0, 2 and 4 of 5; 0, 2 and 3 of 4."""
    return (number * (num - 1) + 1) // 2
