"""What every patch of a drawn picture shows: the labels that the vision encoder learns from first.

Leaves out: drawing (draw.py) and the heads that are asked (patch_heads.py).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from core.training.items import COLOURS, SHAPES, SIZES, Scene

SCENE_PX: Final = 280  # the picture's longer side
VIEW_PX: Final = 140  # what the vision encoder sees of it: one crop
PATCH_PX: Final = 14  # of the view
NUM_PATCHES: Final = VIEW_PX // PATCH_PX  # along a side
CELLS_PER_PATCH: Final = 2  # along a line of text: half patches, 7 px of the view
CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
SHAPE_SHARE: Final = 0.12  # a shape counts where it covers this much of a patch
LETTER_SHARE: Final = 0.2  # a letter, of half a patch

Labels = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def labels_of(scene: Scene, owners: np.ndarray) -> Labels:
    """Shapes, colours, sizes and places of the patches, characters of their halves, as in Drawing.

    Args:
        scene: what is shown.
        owners: uint8, shape (height, width): number of the shape or letter there, from 1; or 0.
    """
    if scene.word:
        return *no_shapes(), char_labels(scene.word, owners)
    covered = _coverage(owners, NUM_PATCHES, NUM_PATCHES, len(scene.items) + 1)
    most = covered[..., 1:].argmax(-1) + 1
    most[covered[..., 1:].max(-1) < SHAPE_SHARE] = 0
    for number in range(1, len(scene.items) + 1):
        if not (most == number).any():  # a small one between four patches: where most of it lies
            most.flat[covered[..., number].argmax()] = number
    by_kind = (
        [SHAPES.index(item.shape) for item in scene.items],
        [list(COLOURS).index(item.colour) for item in scene.items],
        [SIZES.index(item.size) for item in scene.items],
        [item.place for item in scene.items],
    )
    no_text = np.zeros((NUM_PATCHES, NUM_PATCHES * CELLS_PER_PATCH), np.uint8)
    shapes, colours, sizes, places = (
        np.array([0, *(index + 1 for index in it)], np.uint8)[most] for it in by_kind
    )
    return shapes, colours, sizes, places, no_text


def no_shapes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shapes, colours, sizes and places of patches without any."""
    nothing = np.zeros((NUM_PATCHES, NUM_PATCHES), np.uint8)
    return nothing, nothing, nothing, nothing


def char_labels(text: str, owners: np.ndarray) -> np.ndarray:
    """Which character of the text, which has no spaces, each half patch shows."""
    covered = _coverage(owners, NUM_PATCHES, NUM_PATCHES * CELLS_PER_PATCH, len(text) + 1)
    most = covered[..., 1:].argmax(-1) + 1
    most[covered[..., 1:].sum(-1) < LETTER_SHARE] = 0
    labels = [0, *(CHARACTERS.index(letter) + 1 for letter in text.lower())]
    return np.array(labels, np.uint8)[most]


def _coverage(owners: np.ndarray, num_rows: int, num_columns: int, num_owners: int) -> np.ndarray:
    """What share of each cell each owner covers: float64, shape (rows, columns, num_owners)."""
    height, width = owners.shape
    cells = _cell_index(num_rows, num_columns)[:height, :width]
    index = cells * num_owners + owners
    counts = np.bincount(index.ravel(), minlength=num_rows * num_columns * num_owners)
    cell_px = (SCENE_PX // num_rows) * (SCENE_PX // num_columns)
    return counts.reshape(num_rows, num_columns, num_owners) / cell_px


@cache
def _cell_index(num_rows: int, num_columns: int) -> np.ndarray:
    """The number of the cell that a pixel lies in: shape (280, 280)."""
    rows = np.arange(SCENE_PX) // (SCENE_PX // num_rows)
    columns = np.arange(SCENE_PX) // (SCENE_PX // num_columns)
    cells: np.ndarray = rows[:, None] * num_columns + columns[None, :]
    return cells
