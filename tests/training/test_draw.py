"""Drawn scenes: the same from the same seed, and labels that say what the patches show."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.training import draw as draw_module
from core.training.draw import SHADE, Drawing, draw, draw_practice
from core.training.fonts import HELD_OUT_FACES, TRAINED_FACES
from core.training.items import COLOURS, PLACES, SHAPES, SIZES, Item, Scene
from core.training.lettering import Lettering, set_lines
from core.training.patch_labels import (
    CELLS_PER_PATCH,
    CHARACTERS,
    NUM_PATCHES,
    PATCH_PX,
    SCENE_PX,
    VIEW_PX,
)
from core.training.scene_list import scene_at
from core.training.scenes import sample_scene

STEP = PATCH_PX * SCENE_PX // VIEW_PX  # a patch of the view, in pixels of the picture


def unexposed(_: random.Random, picture: Image.Image, is_screen: bool) -> Image.Image:
    return picture


@pytest.fixture
def flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """No picture is a camera's."""
    monkeypatch.setattr(draw_module, "FLAT_SHARE", 1.0)


@pytest.fixture(params=["flat", "slanted"])
def unspoilt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of a sheet, and others of a slanted one, without light, blur and noise."""
    monkeypatch.setattr(draw_module, "FLAT_SHARE", 1.0 if request.param == "flat" else 0.0)
    monkeypatch.setattr(draw_module, "expose", unexposed)


def one_shape(shape: str, colour: str, place: int, seed: int, size: str = "large") -> Scene:
    return Scene((Item(shape, colour, size, place),), "", seed)


def on_square(picture: np.ndarray) -> np.ndarray:
    """The values of each patch: shape (height, width) to (10, step, 10, step)."""
    square = np.zeros((SCENE_PX, SCENE_PX))
    square[: picture.shape[0], : picture.shape[1]] = picture
    return square.reshape(NUM_PATCHES, STEP, NUM_PATCHES, STEP)


@pytest.mark.parametrize("seed", range(12))
def test_a_scene_is_drawn_the_same_every_time(seed: int) -> None:
    scene = sample_scene(random.Random(seed))
    first, again = draw(scene), draw(scene)
    assert np.array_equal(first.picture, again.picture)
    assert np.array_equal(first.char_labels, again.char_labels)
    other = draw(Scene(scene.items, scene.word, scene.seed + 1))
    assert not np.array_equal(first.picture, other.picture)


def test_pictures_come_in_three_shapes() -> None:
    drawings = [draw(sample_scene(random.Random(seed))) for seed in range(60)]
    assert all(drawing.picture.dtype == np.uint8 for drawing in drawings)
    shapes = {drawing.picture.shape for drawing in drawings}
    assert shapes == {(280, 280, 3), (210, 280, 3), (280, 210, 3)}


def test_beside_the_picture_there_is_nothing() -> None:
    for seed in range(60):
        drawing = draw(sample_scene(random.Random(seed)))
        num_rows, num_columns = (math.ceil(side / STEP) for side in drawing.picture.shape[:2])
        assert drawing.patch_labels.shape == (4, NUM_PATCHES, NUM_PATCHES)
        for labels in drawing.patch_labels:
            assert not labels[num_rows:].any()
            assert not labels[:, num_columns:].any()
        assert drawing.char_labels.shape == (NUM_PATCHES, NUM_PATCHES * CELLS_PER_PATCH)
        assert not drawing.char_labels[num_rows:].any()
        assert not drawing.char_labels[:, num_columns * CELLS_PER_PATCH :].any()


@pytest.mark.usefixtures("flat")
def test_a_flat_picture_of_shapes_has_few_colours() -> None:
    scene = one_shape("square", "red", 4, seed=3)
    colours, counts = np.unique(draw(scene).picture.reshape(-1, 3), axis=0, return_counts=True)
    assert counts.max() > 0.5 * counts.sum()
    assert len(colours) < 200  # the two, and what lies between them along the edges


def ink_shares(drawing: Drawing, colour: str) -> np.ndarray:
    """How much of each patch is near a colour, shape (10, 10)."""
    distance = np.abs(drawing.picture.astype(int) - np.array(COLOURS[colour])).max(-1)
    shares: np.ndarray = on_square(distance <= SHADE).mean((1, 3))
    return shares


@pytest.mark.usefixtures("unspoilt")
@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", ["circle", "square", "triangle", "hexagon", "heart"])
def test_a_labelled_patch_has_its_colour_and_one_that_is_full_of_it_is_labelled(
    shape: str, colour: str
) -> None:
    for seed in range(3):
        drawing = draw(one_shape(shape, colour, place=4, seed=seed))
        is_labelled = drawing.colour_labels > 0
        assert set(drawing.colour_labels[is_labelled]) == {list(COLOURS).index(colour) + 1}
        assert set(drawing.shape_labels[is_labelled]) == {SHAPES.index(shape) + 1}
        assert np.array_equal(drawing.shape_labels > 0, is_labelled)
        shares = ink_shares(drawing, colour)
        assert (shares[is_labelled] > 0).all()
        assert shares[is_labelled].sum() > 0.9 * shares[2:6, 2:7].sum() > 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_a_patch_that_is_labelled_with_it(shape: str, size: str) -> None:
    # What no patch is labelled with, the vision encoder learns to call nothing.
    scenes = [
        one_shape(shape, "red", place, seed, size)
        for place, seed in product(range(len(PLACES)), range(4))
    ]
    assert all(draw(scene).shape_labels.any() for scene in scenes)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_every_shape_is_seen_in_its_own_third_of_the_picture(shape: str, place: int) -> None:
    row, column = divmod(place, 3)
    for seed in range(6):
        drawing = draw(one_shape(shape, "red", place, seed))
        rows, columns = np.nonzero(drawing.shape_labels)
        height_px, width_px, _ = drawing.picture.shape
        assert row - 0.15 < (rows.mean() + 0.5) * STEP / height_px * 3 < row + 1.15
        assert column - 0.15 < (columns.mean() + 0.5) * STEP / width_px * 3 < column + 1.15


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_patch_tells_the_size_and_the_place_of_its_shape(place: int, size: str) -> None:
    for seed in range(4):
        drawing = draw(one_shape("ring", "blue", place, seed, size))
        is_labelled = drawing.shape_labels > 0
        assert set(drawing.size_labels[is_labelled]) == {SIZES.index(size) + 1}
        assert set(drawing.place_labels[is_labelled]) == {place + 1}
        assert not drawing.size_labels[~is_labelled].any()
        assert not drawing.place_labels[~is_labelled].any()


def num_red(scene: Scene) -> int:
    red = draw(scene).picture.astype(int)
    return int((red[..., 0] - red[..., 1:].max(-1) > 60).sum())


@pytest.mark.usefixtures("unspoilt")
def test_any_large_circle_covers_far_more_than_any_small_one() -> None:
    seeds = range(60)
    small = max(num_red(one_shape("circle", "red", 4, seed, "small")) for seed in seeds)
    large = min(num_red(one_shape("circle", "red", 4, seed, "large")) for seed in seeds)
    assert large > 1.3 * small


@pytest.mark.usefixtures("unspoilt")
def test_six_shapes_do_not_touch() -> None:
    items = tuple(Item("circle", "red", "large", place) for place in (0, 1, 2, 3, 4, 5))
    for seed in range(10):
        picture = draw(Scene(items, "", seed)).picture.astype(int)
        is_red = picture[..., 0] - picture[..., 1:].max(-1) > 60
        # Each column of pixels crosses two circles, each row three: never one long stretch.
        stretches = [
            len(list(run)) for line in (*is_red, *is_red.T) for on, run in groupby(line) if on
        ]
        assert 40 < max(stretches) < 96


@pytest.mark.usefixtures("flat")
@pytest.mark.parametrize("colour", COLOURS)
def test_no_ink_is_lost_on_its_ground(colour: str) -> None:
    for seed in range(20):
        ground = draw(one_shape("circle", colour, 8, seed)).picture[0, 0].astype(int)
        assert math.dist(ground, COLOURS[colour]) > 90


def labelled_columns(drawing: Drawing) -> str:
    """The characters from left to right, each once for its stretch of columns."""
    labels = drawing.char_labels
    columns = [column[column > 0] for column in labels.T]
    letters = [CHARACTERS[np.bincount(column).argmax() - 1] for column in columns if len(column)]
    return "".join(letter for letter, _ in groupby(letters))


def is_part_of(shown: str, word: str) -> bool:
    """True if all of `shown` occurs in the word, in this order."""
    remaining = iter(word)
    return all(letter in remaining for letter in shown)


@pytest.mark.parametrize("faces", [TRAINED_FACES, HELD_OUT_FACES])
def test_character_labels_spell_the_printed_word(faces: tuple[str, ...]) -> None:
    num_letters = num_shown = 0
    for word, seed in product(("zebra", "music", "garden", "key", "42", "907"), range(12)):
        shown = labelled_columns(draw(Scene((), word, seed), faces))
        assert is_part_of(shown, word), (word, shown)
        num_letters, num_shown = num_letters + len(word), num_shown + len(shown)
    assert num_shown > 0.97 * num_letters  # a narrow letter may share its half patch


def test_words_are_printed_in_three_kinds_of_capitals_and_labelled_alike() -> None:
    texts = set()
    for seed in range(60):
        rng = random.Random(seed)
        sheet = draw_module._lay_out(rng, Scene((), "rain", seed), TRAINED_FACES, False)
        (lettering,) = sheet.letterings
        texts.add(lettering.text)
        assert set(labelled_columns(draw(Scene((), "rain", seed)))) <= set("rain")
    assert texts == {"rain", "Rain", "RAIN"}


@pytest.mark.usefixtures("flat")
def test_ink_lies_where_characters_are_labelled() -> None:
    for seed in range(20):
        scene = Scene((), "window", seed)
        drawing = draw(scene, ("DejaVuSans",))
        rng = random.Random(seed)
        rng.random()  # whether it is flat
        sheet = draw_module._lay_out(rng, scene, ("DejaVuSans",), True)
        (lettering,) = sheet.letterings
        distance = np.abs(drawing.picture.astype(int) - np.array(lettering.ink)).max(-1)
        shares = on_square(distance < 25).reshape(NUM_PATCHES, STEP, -1, STEP // CELLS_PER_PATCH)
        inked = shares.mean((1, 3))
        is_labelled = drawing.char_labels > 0
        assert inked[is_labelled].sum() > 0.85 * inked.sum()
        assert (inked[is_labelled] > 0).mean() > 0.9


def test_practice_sheets_are_full_of_letters_that_are_labelled() -> None:
    shown = Counter[str]()
    for number in range(40):
        drawing = draw_practice(number)
        assert not drawing.patch_labels.any()
        rows = drawing.char_labels.any(1).sum()
        assert rows >= 3
        shown.update(
            CHARACTERS[label - 1] for label in drawing.char_labels[drawing.char_labels > 0]
        )
    assert set(shown) == set(CHARACTERS)
    assert shown.total() > 40 * 50
    again = draw_practice(3)
    assert np.array_equal(again.picture, draw_practice(3).picture)
    assert not np.array_equal(again.picture, draw_practice(4).picture)


@pytest.mark.usefixtures("flat")
def test_lines_of_practice_lie_where_they_are_labelled(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[tuple[Lettering, ...]] = []

    def noting(*given: Any) -> tuple[Lettering, ...]:
        kept.append(set_lines(*given))
        return kept[-1]

    monkeypatch.setattr(draw_module, "set_lines", noting)
    for number in range(20):
        drawing = draw_practice(number, ("DejaVuSans",))
        pixels = drawing.picture.astype(int)
        far = [np.abs(pixels - np.array(line.ink)).max(-1) for line in kept[-1]]
        inked = on_square(np.min(far, axis=0) < 25)
        shares = inked.reshape(NUM_PATCHES, STEP, -1, STEP // CELLS_PER_PATCH).mean((1, 3))
        is_labelled = drawing.char_labels > 0
        assert shares[is_labelled].sum() > 0.85 * shares.sum()
        assert (shares[is_labelled] > 0).mean() > 0.9


@pytest.mark.parametrize("word", ["brilliant", "mmmmmmmmm", "999", "i"])
def test_no_letter_is_cut_off(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw_module, "expose", unexposed)
    for seed in range(12):
        drawing = draw(Scene((), word, seed))
        height_px, width_px, _ = drawing.picture.shape
        rows, columns = np.nonzero(drawing.char_labels)
        assert rows.max() * STEP < height_px - 4
        assert columns.max() * STEP / CELLS_PER_PATCH < width_px - 4
        letters = {CHARACTERS[label - 1] for label in drawing.char_labels[rows, columns]}
        assert letters == set(word) or len(set(word) - letters) <= 1


def test_scenes_of_the_two_splits_are_not_the_same() -> None:
    train = {scene_at("train", index) for index in range(300)}
    assert not train & {scene_at("held_out", index) for index in range(300)}
    assert scene_at("train", 5) == scene_at("train", 5)
