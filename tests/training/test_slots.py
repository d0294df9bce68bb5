"""Tokens that sum a picture up: each shape at its place, each letter after the last."""

from __future__ import annotations

import numpy as np
import pytest

from core.training.items import COLOURS, PLACES, SHAPES, SIZES, Item, Scene
from core.training.patch_labels import CHARACTERS, NUM_PATCHES
from core.training.scene_list import scene_at
from core.training.slots import SAID, slots_of

GRIDS = [(5, 5), (4, 5), (5, 4)]  # rows and columns of the pictures that are drawn
CORNERS_TO_CORNERS = {5: (0, 2, 4), 4: (0, 2, 3)}


def mask_of(num_rows: int, num_columns: int) -> np.ndarray:
    """A picture of so many tokens, the rest padding."""
    mask = np.zeros((NUM_PATCHES, NUM_PATCHES), np.bool_)
    mask[: 2 * num_rows, : 2 * num_columns] = True
    return mask


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_shape_is_told_by_the_token_of_its_place(place: int, grid: tuple[int, int]) -> None:
    item = Item(SHAPES[place % 8], tuple(COLOURS)[-1 - place % 8], SIZES[place % 2], place)
    slots = slots_of(Scene((item,), "", 0), mask_of(*grid))
    rows, columns = (CORNERS_TO_CORNERS[num] for num in grid)
    told = slots[:, rows[item.row], columns[item.column]]
    words = [words[label - 1] for words, label in zip(SAID.values(), told, strict=True) if label]
    assert words == [item.shape, item.colour, item.size, PLACES[place]]
    assert (slots > 0).sum() == 4  # nothing else is told


@pytest.mark.parametrize("grid", GRIDS)
def test_no_two_shapes_share_a_token(grid: tuple[int, int]) -> None:
    items = tuple(Item("star", "red", "small", place) for place in range(len(PLACES)))
    assert (slots_of(Scene(items, "", 0), mask_of(*grid))[0] > 0).sum() == len(PLACES)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("word", ["kitchen", "740", "a"])
def test_letters_are_told_in_reading_order(word: str, grid: tuple[int, int]) -> None:
    slots = slots_of(Scene((), word, 0), mask_of(*grid))
    letters = slots[-1, : grid[0], : grid[1]].flatten()
    assert [CHARACTERS[label - 1] for label in letters[: len(word)]] == list(word)
    assert (slots > 0).sum() == len(word)


def test_every_scene_finds_room_in_the_smallest_grid() -> None:
    """What is told is the scene: shapes in reading order, or the word."""
    scenes = [scene_at("train", number) for number in range(300)]
    assert any(scene.word for scene in scenes)
    for scene in scenes:
        slots = slots_of(scene, mask_of(4, 5))
        assert not slots[:, 4:].any()
        told = slots[:, slots.any(0)].T
        if scene.word:
            assert "".join(CHARACTERS[letter - 1] for letter in told[:, -1]) == scene.word
            continue
        read = [
            [
                words[label - 1]
                for words, label in zip(SAID.values(), row[:-1].tolist(), strict=False)
            ]
            for row in told
        ]
        assert read == [[it.shape, it.colour, it.size, PLACES[it.place]] for it in scene.items]
