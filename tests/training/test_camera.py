"""The camera: where a warp takes points, and pictures that stay what they are."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw

from core.training.camera import MAX_TURN, View, expose, sample_view, warp_of
from core.training.items import COLOURS

SIZE = (280, 210)
STRAIGHT = np.zeros((4, 2))


def test_without_strength_a_view_is_the_sheet_itself() -> None:
    warp = warp_of(sample_view(random.Random(1), 1.1), 0.0, SIZE, scale=2, margin_px=100)
    points = np.array([[0.0, 0.0], [280.0, 0.0], [37.0, 111.0]])
    assert np.allclose(warp.to_picture(points * 2 + 100), points)


def test_a_turn_keeps_the_centre_and_moves_the_corners() -> None:
    warp = warp_of(View(math.pi / 2, 1.0, (0.0, 0.0), STRAIGHT), 1.0, (200, 200), 1, 0)
    seen = warp.to_picture(np.array([[100.0, 100.0], [0.0, 0.0]]))
    assert np.allclose(seen[0], (100, 100))
    assert {round(value) for value in seen[1]} == {0, 200}


def test_a_wider_zoom_makes_the_sheet_smaller() -> None:
    warp = warp_of(View(0.0, 1.25, (0.0, 0.0), STRAIGHT), 1.0, SIZE, 1, 0)
    left, right = warp.to_picture(np.array([[0.0, 105.0], [280.0, 105.0]]))
    assert right[0] - left[0] == pytest.approx(280 / 1.25)


@pytest.mark.parametrize("seed", range(8))
def test_pillow_puts_a_dot_where_the_warp_says(seed: int) -> None:
    rng = random.Random(seed)
    warp = warp_of(sample_view(rng, 1.1), 1.0, SIZE, scale=2, margin_px=120)
    canvas = Image.new("L", (2 * SIZE[0] + 240, 2 * SIZE[1] + 240))
    x, y = rng.uniform(250, 500), rng.uniform(220, 400)
    ImageDraw.Draw(canvas).ellipse((x - 6, y - 6, x + 6, y + 6), fill=255)
    picture = canvas.transform(SIZE, Image.Transform.PERSPECTIVE, warp.coefficients)
    rows, columns = np.nonzero(np.asarray(picture))
    (expected,) = warp.to_picture(np.array([[x, y]]))
    assert abs(columns.mean() + 0.5 - expected[0]) < 1
    assert abs(rows.mean() + 0.5 - expected[1]) < 1


def test_hands_turn_no_further_than_eight_degrees_and_mostly_less() -> None:
    turns = [abs(sample_view(random.Random(seed), 1.0).turn) for seed in range(300)]
    assert max(turns) <= MAX_TURN
    assert 0.2 * MAX_TURN < float(np.median(turns)) < 0.6 * MAX_TURN


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_stays_nearest_to_itself(colour: str) -> None:

    names, inks = list(COLOURS), np.array(list(COLOURS.values()), float)
    hits = 0
    for seed in range(100):
        plain = Image.new("RGB", (64, 64), COLOURS[colour])
        seen = np.asarray(expose(random.Random(seed), plain, seed % 2 == 0), float)
        nearest = np.linalg.norm(inks - seen[16:48, 16:48].mean((0, 1)), axis=1).argmin()
        hits += names[nearest] == colour
    assert hits >= 99


def test_exposures_differ_by_seed_and_only_by_seed() -> None:
    plain = Image.new("RGB", (64, 64), (120, 140, 160))
    exposed = [bytes(expose(random.Random(seed), plain, False).tobytes()) for seed in range(60)]
    assert len(set(exposed)) > 40
    assert exposed == [expose(random.Random(seed), plain, False).tobytes() for seed in range(60)]
