"""Drawn scenes: the same from the same seed, and labels that say what the patches show."""

from __future__ import annotations

import math
import random
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from core.training import draw as draw_module
from core.training.draw import (
    CHARACTERS,
    HELD_OUT_FONTS,
    PATCH_PX,
    SCENE_PX,
    TRAINED_FONTS,
    VIEW_PX,
    Drawing,
    draw,
    font,
)
from core.training.materials import scene_at
from core.training.scenes import COLOURS, PLACES, SHAPES, Item, Scene, sample_scene

STEP = PATCH_PX * SCENE_PX // VIEW_PX  # a patch of the view, in pixels of the picture
SHADE = 18  # how far an ink may be from its colour, in each of red, green and blue


def pixels_without_camera(image: Image.Image, _: random.Random) -> np.ndarray:
    return np.asarray(image)


@pytest.fixture
def no_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out light, blur and noise."""
    monkeypatch.setattr(draw_module, "_camera", pixels_without_camera)


def one_shape(shape: str, colour: str, place: int, seed: int) -> Scene:
    return Scene((Item(shape, colour, "large", place),), "", seed)


@pytest.mark.parametrize("seed", range(8))
def test_a_scene_is_drawn_the_same_every_time(seed: int) -> None:
    scene = sample_scene(random.Random(seed))
    first, again = draw(scene), draw(scene)
    assert np.array_equal(first.picture, again.picture)
    assert np.array_equal(first.char_labels, again.char_labels)
    other = draw(Scene(scene.items, scene.word, scene.seed + 1))
    assert not np.array_equal(first.picture, other.picture)


def test_pictures_come_in_three_shapes_of_whole_patches() -> None:
    shapes = set()
    for seed in range(60):
        picture = draw(sample_scene(random.Random(seed))).picture
        shapes.add(picture.shape)
        assert picture.dtype == np.uint8
        assert max(picture.shape) == SCENE_PX
        assert picture.shape[0] % STEP == picture.shape[1] % STEP == 0
    assert shapes == {(224, 224, 3), (168, 224, 3), (224, 168, 3)}


def test_beside_the_picture_there_is_nothing() -> None:
    for seed in range(60):
        drawing = draw(sample_scene(random.Random(seed)))
        height_px, width_px, _ = drawing.picture.shape
        for labels in (drawing.shape_labels, drawing.colour_labels, drawing.char_labels):
            assert labels.shape == (8, 8)
            assert not labels[height_px // STEP :].any()
            assert not labels[:, width_px // STEP :].any()


def ink_shares(drawing: Drawing, colour: str) -> np.ndarray:
    """How much of each patch is near a colour, shape (8, 8)."""
    near = np.zeros((SCENE_PX, SCENE_PX))
    height_px, width_px, _ = drawing.picture.shape
    distance = np.abs(drawing.picture.astype(int) - np.array(COLOURS[colour])).max(-1)
    near[:height_px, :width_px] = distance <= SHADE
    shares: np.ndarray = near.reshape(8, STEP, 8, STEP).mean((1, 3))
    return shares


@pytest.mark.usefixtures("no_camera")
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "hexagon"])
def test_a_labelled_patch_has_its_colour_and_one_that_is_full_of_it_is_labelled(
    shape: str, colour: str
) -> None:
    for seed in range(4):
        drawing = draw(one_shape(shape, colour, place=4, seed=seed))
        is_labelled = drawing.colour_labels > 0
        assert set(drawing.colour_labels[is_labelled]) == {list(COLOURS).index(colour) + 1}
        assert set(drawing.shape_labels[is_labelled]) == {SHAPES.index(shape) + 1}
        assert np.array_equal(drawing.shape_labels > 0, is_labelled)
        shares = ink_shares(drawing, colour)
        assert (shares[is_labelled] > 0).all()
        assert (shares[~is_labelled] < 0.55).all()


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_a_patch_that_is_labelled_with_it(shape: str, size: str) -> None:
    # What no patch is labelled with, the vision encoder learns to call nothing.
    unseen = [
        (place, seed)
        for place in range(len(PLACES))
        for seed in range(4)
        if not draw(Scene((Item(shape, "red", size, place),), "", seed)).shape_labels.any()
    ]
    assert len(unseen) <= 0.1 * len(PLACES) * 4


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_every_shape_is_labelled_in_its_own_third_of_the_picture(shape: str, place: int) -> None:
    for seed in range(3):
        drawing = draw(one_shape(shape, "red", place, seed))
        rows, columns = np.nonzero(drawing.shape_labels == SHAPES.index(shape) + 1)
        if len(rows) == 0:  # how often that may be is another test's
            continue
        row, column = divmod(place, 3)
        height_px, width_px, _ = drawing.picture.shape
        assert row - 0.3 < (rows.mean() + 0.5) * STEP / height_px * 3 < row + 1.3
        assert column - 0.3 < (columns.mean() + 0.5) * STEP / width_px * 3 < column + 1.3


@pytest.mark.usefixtures("no_camera")
@pytest.mark.parametrize("colour", COLOURS)
def test_no_ink_is_lost_on_its_background(colour: str) -> None:
    for seed in range(20):
        drawing = draw(one_shape("circle", colour, 8, seed))
        background = drawing.picture[0, 0].astype(int)
        assert math.dist(background, COLOURS[colour]) > 70


def read_labels(drawing: Drawing) -> str:
    """The characters of the row of patches that shows most of them, each once."""
    row = max(drawing.char_labels, key=np.count_nonzero)
    return "".join(CHARACTERS[label - 1] for label, _ in groupby(row) if label)


@pytest.mark.parametrize("fonts", [TRAINED_FONTS, HELD_OUT_FONTS])
def test_character_labels_spell_the_printed_word(fonts: tuple[str, ...]) -> None:
    for word in ("zebra", "music", "river", "key", "42", "7"):
        for seed in range(5):
            read = iter(read_labels(draw(Scene((), word, seed), fonts)))
            letters = "".join(letter for letter, _ in groupby(word))
            shown = list(read)
            remaining = iter(letters)
            assert all(character in remaining for character in shown), (word, shown)
            assert shown


@pytest.mark.usefixtures("no_camera")
def test_ink_lies_where_characters_are_labelled() -> None:
    for seed in range(12):
        drawing = draw(Scene((), "window", seed))
        picture = drawing.picture.astype(int)
        inked = np.zeros((SCENE_PX, SCENE_PX), dtype=bool)
        far = np.abs(picture - picture[0, 0]).max(-1) > 60
        inked[: far.shape[0], : far.shape[1]] = far
        shares = inked.reshape(8, STEP, 8, STEP).mean((1, 3))
        assert (shares[drawing.char_labels > 0] > 0).all()
        assert shares[drawing.char_labels > 0].sum() > 0.5 * shares.sum()


def test_held_out_fonts_are_others_than_the_trained_and_draw_otherwise() -> None:
    assert not set(TRAINED_FONTS) & set(HELD_OUT_FONTS)
    shapes = {name: font(name, 40).getmask("garden").size for name in TRAINED_FONTS}
    for name in HELD_OUT_FONTS:
        mask = font(name, 40).getmask("garden")
        assert all(
            mask.size != size or bytes(mask) != bytes(font(other, 40).getmask("garden"))
            for other, size in shapes.items()
        )


def test_scenes_of_the_two_splits_are_not_the_same() -> None:
    train = {scene_at("train", index) for index in range(300)}
    assert not train & {scene_at("held_out", index) for index in range(300)}
    assert scene_at("train", 5) == scene_at("train", 5)
