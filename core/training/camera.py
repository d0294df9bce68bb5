"""What a camera makes of a drawn sheet: tilt and perspective, light, blur, noise, JPEG.

Leaves out: what is drawn (draw.py). All sizes are in pixels of the finished picture unless said
otherwise.
"""

from __future__ import annotations

import io
import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

MAX_TURN: Final = math.radians(8)
CORNER_SHARE: Final = 0.03  # of the picture's sides, how far perspective moves its corners
SHIFT_SHARE: Final = 0.03  # of the picture's sides, how far the sheet lies off centre
NOISE_SIDE_PX: Final = 512

Coefficients = tuple[float, float, float, float, float, float, float, float]


@dataclass(frozen=True)
class Warp:
    """A plane seen from a slant: a 3 x 3 matrix from the picture to the canvas, both in pixels."""

    matrix: np.ndarray

    @property
    def coefficients(self) -> Coefficients:
        """As Pillow's PERSPECTIVE takes them."""
        a, b, c, d, e, f, g, h = (float(value) for value in self.matrix.flat[:8])
        return a, b, c, d, e, f, g, h

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Where points of the canvas lie in the picture: float64, shape (num, 2), to the same."""
        inverse = np.linalg.inv(self.matrix)
        moved = np.column_stack([points, np.ones(len(points))]) @ inverse.T
        picture: np.ndarray = moved[:, :2] / moved[:, 2:]
        return picture


@dataclass(frozen=True)
class View:
    """How the camera is held.

    Args:
        turn: radians, clockwise.
        zoom: how much more than the sheet is seen; 1.1 is a tenth more, on each axis.
        shift: of the picture's width and height.
        corners: of the picture's width and height, shape (4, 2): how far each corner is moved.
    """

    turn: float
    zoom: float
    shift: tuple[float, float]
    corners: np.ndarray


def sample_view(rng: random.Random, zoom: float) -> View:
    """A hand that is nearly steady: turns up to eight degrees, small ones more often."""
    turn = rng.uniform(-1, 1) * rng.random() ** 0.5 * MAX_TURN
    shift = rng.uniform(-SHIFT_SHARE, SHIFT_SHARE), rng.uniform(-SHIFT_SHARE, SHIFT_SHARE)
    corners = [[rng.uniform(-CORNER_SHARE, CORNER_SHARE) for _ in range(2)] for _ in range(4)]
    return View(turn, zoom, shift, np.array(corners))


def warp_of(view: View, strength: float, size: tuple[int, int], scale: int, margin_px: int) -> Warp:
    """The warp of a view, weakened by a strength from 0 (straight) to 1.

    Args:
        view: how the camera is held.
        strength: share of the view's turn, zoom, shift and perspective.
        size: of the picture, width and height.
        scale: pixels of the canvas to one of the picture.
        margin_px: of the canvas, around the sheet.
    """
    sides = np.array(size, float)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * sides
    centred = corners - sides / 2 + strength * view.corners * sides
    angle, zoom = strength * view.turn, 1 + strength * (view.zoom - 1)
    cos, sin = math.cos(angle), math.sin(angle)
    seen = zoom * centred @ np.array([[cos, -sin], [sin, cos]])
    seen = seen + sides / 2 + strength * np.array(view.shift) * sides
    return Warp(_homography(corners, seen * scale + margin_px))


def _homography(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """The matrix that takes four points to four others: shapes (4, 2), gives (3, 3)."""
    rows = []
    for (x, y), (u, v) in zip(sources, targets, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solved = np.linalg.solve(np.array(rows), targets.reshape(8))
    return np.append(solved, 1.0).reshape(3, 3)


def expose(rng: random.Random, picture: Image.Image, is_screen: bool) -> Image.Image:
    """Light, grain, lines of a screen, blur, noise and JPEG, each now and then."""
    picture = _tone(rng, picture)
    picture = _blur(rng, picture)
    picture = _light_and_noise(rng, picture, is_screen)
    return _jpeg(rng, picture) if rng.random() < 0.4 else picture


def _tone(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Gamma, contrast, brightness and a slight cast, as one table for each channel."""
    if rng.random() < 0.3:
        return picture
    gamma, contrast = rng.uniform(0.78, 1.3), rng.uniform(0.8, 1.08)
    lift = rng.uniform(-0.05, 0.05) + (1 - contrast) * rng.uniform(0.2, 0.8)
    levels = contrast * (np.arange(256) / 255) ** gamma + lift
    casts = [rng.uniform(0.93, 1.06) for _ in range(3)]
    table = np.clip(np.outer(casts, levels) * 255 + 0.5, 0, 255).astype(int).ravel().tolist()
    return picture.point(table)


def _blur(rng: random.Random, picture: Image.Image) -> Image.Image:
    """Out of focus, or a hand that moved."""
    kind = rng.random()
    if kind < 0.35:
        return picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.4)))
    if kind < 0.47:
        return picture.filter(ImageFilter.Kernel((5, 5), rng.choice(_motions())))
    return picture


@cache
def _motions() -> tuple[tuple[float, ...], ...]:
    """5 x 5 kernels of a straight motion: across, down and both diagonals."""
    eye = np.eye(5)
    across = np.zeros((5, 5))
    across[2] = 1
    return tuple(tuple(kernel.ravel() / 5) for kernel in (across, across.T, eye, eye[::-1]))


def _light_and_noise(rng: random.Random, picture: Image.Image, is_screen: bool) -> Image.Image:
    """Light that falls off to a side, lines of a screen, grain of paper, noise of the sensor."""
    factors: list[np.ndarray] = []
    if rng.random() < 0.45:
        factors.append(_falling_light(rng, picture.size))
    if is_screen and rng.random() < 0.6:
        factors.append(_screen_lines(rng, picture.size))
    if not is_screen and rng.random() < 0.25:
        factors.append(1 + rng.uniform(0.01, 0.03) * _noise(rng, picture.size)[..., :1])
    noise_share = rng.uniform(1, 8) if rng.random() < 0.5 else 0.0
    if not factors and not noise_share:
        return picture
    pixels: np.ndarray = np.asarray(picture, dtype=np.float32)  # (height, width, 3)
    for factor in factors:
        pixels = pixels * factor
    if noise_share:
        noise = _noise(rng, picture.size)
        pixels = pixels + noise_share * (noise if rng.random() < 0.6 else noise[..., :1])
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _falling_light(rng: random.Random, size: tuple[int, int]) -> np.ndarray:
    """Brighter on one side: float32, shape (height, width, 1), around 1."""
    across, down = (rng.uniform(-0.14, 0.14) for _ in range(2))
    x = np.linspace(-across, across, size[0], dtype=np.float32)
    y = np.linspace(-down, down, size[1], dtype=np.float32)
    light: np.ndarray = 1 + y[:, None, None] + x[None, :, None]
    return light


def _screen_lines(rng: random.Random, size: tuple[int, int]) -> np.ndarray:
    """Lines of a screen, or the moire they make: float32, shape (height, width, 1), around 1."""
    period_px, slant = rng.uniform(2.2, 14), rng.uniform(-0.5, 0.5)
    x = np.arange(size[0], dtype=np.float32) * slant
    y = np.arange(size[1], dtype=np.float32)
    if rng.random() < 0.4:
        x, y = x / (slant or 1), y * slant
    waves = np.sin((y[:, None] + x[None, :]) * np.float32(2 * math.pi / period_px))
    lines: np.ndarray = 1 + rng.uniform(0.02, 0.06) * waves[..., None]
    return lines


@cache
def _noise_field() -> np.ndarray:
    """Normal noise, the same in every process: float32, shape (512, 512, 3)."""
    return (
        np.random.default_rng(0).normal(size=(NOISE_SIDE_PX, NOISE_SIDE_PX, 3)).astype(np.float32)
    )


def _noise(rng: random.Random, size: tuple[int, int]) -> np.ndarray:
    """A piece of the field: a fresh one for every picture would take most of its time."""
    width, height = size
    left, top = rng.randrange(NOISE_SIDE_PX - width), rng.randrange(NOISE_SIDE_PX - height)
    piece = _noise_field()[top : top + height, left : left + width]
    return piece[:: rng.choice((1, -1)), :: rng.choice((1, -1))]


def _jpeg(rng: random.Random, picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=rng.randint(28, 88))
    return Image.open(buffer).convert("RGB")
