"""The outlines of the eight shapes, drawn on a canvas.

Leaves out: where on the picture they lie and what else is on it (draw.py).
"""

from __future__ import annotations

import math
from typing import Final

from PIL import ImageDraw

Points = tuple[tuple[float, float], ...]
Ink = int | tuple[int, int, int]

ROUND: Final = ("circle", "ring")
# A label covers the whole disc of these: their gaps belong to them.
GAPPED: Final = ("ring", "star", "cross")
RING_SHARE: Final = 0.34  # of the radius, how thick a ring is
STAR_NOTCH: Final = 0.4  # of the radius, how far out a star's inner corners lie
CROSS_HALF: Final = 0.32  # of the radius, half the width of a cross's arms


def draw_shape(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    centre: tuple[float, float],
    radius_px: float,
    turn: float,
    ink: Ink,
) -> None:
    """Draw a shape within a circle of `radius_px`, turned by `turn` radians."""
    x, y = centre
    box = (x - radius_px, y - radius_px, x + radius_px, y + radius_px)
    if shape == "circle":
        canvas.ellipse(box, fill=ink)
    elif shape == "ring":
        canvas.ellipse(box, outline=ink, width=round(radius_px * RING_SHARE))
    else:
        cos, sin = math.cos(turn) * radius_px, math.sin(turn) * radius_px
        corners = [(x + px * cos - py * sin, y + px * sin + py * cos) for px, py in OUTLINES[shape]]
        canvas.polygon(corners, fill=ink)


def draw_label(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    centre: tuple[float, float],
    radius_px: float,
    turn: float,
    label: int,
) -> None:
    """Draw what counts as the shape: itself, or the disc round it where it has gaps."""
    solid = "circle" if shape in GAPPED else shape
    draw_shape(canvas, solid, centre, radius_px, turn, label)


def _polar(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def _regular(num_corners: int, first_angle: float) -> Points:
    step = 2 * math.pi / num_corners
    return tuple(_polar(1.0, first_angle + i * step) for i in range(num_corners))


def _star() -> Points:
    radii = (1.0, STAR_NOTCH)
    return tuple(_polar(radii[i % 2], -math.pi / 2 + i * math.pi / 5) for i in range(10))


def _cross() -> Points:
    half = CROSS_HALF
    quarter = [(half, -1.0), (half, -half), (1.0, -half)]
    turns = [(1, 0), (0, 1), (-1, 0), (0, -1)]  # cosine and sine of each quarter turn
    return tuple((x * c - y * s, x * s + y * c) for c, s in turns for x, y in quarter)


def _heart() -> Points:
    angles = [2 * math.pi * i / 40 for i in range(40)]
    waves = ((13, 1), (-5, 2), (-2, 3), (-1, 4))
    return tuple(
        (
            0.95 * math.sin(t) ** 3,
            -0.95 * sum(share * math.cos(times * t) for share, times in waves) / 16,
        )
        for t in angles
    )


# Each round the origin, within radius 1, y downwards.
OUTLINES: Final[dict[str, Points]] = {
    "square": _regular(4, -math.pi / 4),
    "triangle": _regular(3, -math.pi / 2),
    "star": _star(),
    "heart": _heart(),
    "cross": _cross(),
    "hexagon": _regular(6, -math.pi / 2),
}
