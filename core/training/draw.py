"""Draws a scene as a picture, and says for every patch what it shows.

The labels train the vision encoder on its own, before the language model sees a picture.
Leaves out: the scene's content (scenes.py).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from core.training.scenes import COLOURS, SHAPES, Item, Scene

SCENE_PX: Final = 224  # what is drawn on
VIEW_PX: Final = 112  # what the vision encoder sees of it: one crop
PATCH_PX: Final = 14  # of the view
# A shape, colour or character counts where it covers this much of a patch.
LABEL_SHARES: Final = (0.12, 0.12, 0.03)
ASPECTS: Final = ((224, 224), (224, 168), (168, 224))  # width, height: square, camera, upright
CHARACTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
TRAINED_FONTS: Final = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono-Bold", "")
HELD_OUT_FONTS: Final = ("DejaVuSerif-Bold", "DejaVuSansMono")

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Drawing:
    """A picture and what its patches show.

    Args:
        picture: uint8, shape (height, width, 3), 224 on its longer side.
        shape_labels, colour_labels, char_labels: uint8, shape (8, 8), for the patches of the
            vision encoder's view, in which white fills a picture up that is not square; 0 is
            "nothing", else one more than the index into SHAPES, COLOURS or CHARACTERS.
    """

    picture: np.ndarray
    shape_labels: np.ndarray
    colour_labels: np.ndarray
    char_labels: np.ndarray


def font(name: str, size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font by name from matplotlib's own files; "" is Pillow's built-in one."""
    if not name:
        return ImageFont.load_default(size_px)
    import matplotlib  # carries the DejaVu family; needed by the recipe alone

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / f"{name}.ttf"), size_px)


def draw(scene: Scene, fonts: tuple[str, ...] = TRAINED_FONTS) -> Drawing:
    """Draw the scene as its seed decides: background, jitter, turn, noise, blur, light."""
    rng = random.Random(scene.seed)
    inks = {item.colour for item in scene.items}
    size = rng.choices(ASPECTS, (6, 3, 1))[0]
    image = Image.new("RGB", size, _background(rng, inks))
    labels = Image.new("RGB", (SCENE_PX, SCENE_PX), (0, 0, 0))
    if scene.word:
        _draw_word(image, labels, scene.word, rng, fonts)
    for item in scene.items:
        _draw_item(image, labels, item, rng)
    patches = _patch_labels(np.asarray(labels))
    return Drawing(_camera(image, rng), patches[..., 0], patches[..., 1], patches[..., 2])


def _patch_labels(labels: np.ndarray) -> np.ndarray:
    """For each patch and kind, the label that covers most of it, or 0 below LABEL_SHARES.

    Args:
        labels: uint8, shape (224, 224, 3): shape, colour and character of each pixel.
    Returns:
        uint8, shape (8, 8, 3).
    """
    step, num = PATCH_PX * SCENE_PX // VIEW_PX, VIEW_PX // PATCH_PX
    best = np.zeros((num, num, 3), np.uint8)
    most = np.broadcast_to(np.array(LABEL_SHARES) * step * step, best.shape)
    for value in range(1, int(labels.max()) + 1):
        covered = (labels == value).reshape(num, step, num, step, 3).sum((1, 3))
        best[covered >= most] = value
        most = np.maximum(most, covered)
    return best


def _background(rng: random.Random, inks: set[str]) -> tuple[int, int, int]:
    """A muted colour that none of the shapes' colours is lost on."""
    while True:
        base = rng.randint(90, 245)
        candidate = tuple(max(0, min(255, base + rng.randint(-22, 22))) for _ in range(3))
        distances = [math.dist(candidate, COLOURS[ink]) for ink in inks]
        if all(distance > 70 for distance in distances):
            return candidate[0], candidate[1], candidate[2]


def _shade(rng: random.Random, colour: tuple[int, int, int]) -> tuple[int, int, int]:
    red, green, blue = (max(0, min(255, value + rng.randint(-18, 18))) for value in colour)
    return red, green, blue


def _draw_item(image: Image.Image, labels: Image.Image, item: Item, rng: random.Random) -> None:
    cell_width, cell_height = image.width / 3, image.height / 3
    row, column = divmod(item.place, 3)
    radius = rng.uniform(15, 19) if item.size == "small" else rng.uniform(29, 35)
    radius *= min(image.size) / SCENE_PX
    x = (column + 0.5) * cell_width + _jitter(rng, cell_width / 2 - radius)
    y = (row + 0.5) * cell_height + _jitter(rng, cell_height / 2 - radius)
    turn = rng.uniform(-0.25, 0.25)
    ink = _shade(rng, COLOURS[item.colour])
    shape_index = SHAPES.index(item.shape) + 1
    colour_index = list(COLOURS).index(item.colour) + 1
    _draw_shape(ImageDraw.Draw(image), item.shape, x, y, radius, turn, ink, None)
    _draw_shape(
        ImageDraw.Draw(labels),
        item.shape,
        x,
        y,
        radius,
        turn,
        (shape_index, colour_index, 0),
        radius,
    )


def _jitter(rng: random.Random, room_px: float) -> float:
    return rng.uniform(-1, 1) * 0.8 * max(1.0, room_px - 1)


def _draw_shape(
    canvas: ImageDraw.ImageDraw,
    shape: str,
    x: float,
    y: float,
    radius: float,
    turn: float,
    ink: tuple[int, int, int],
    label_radius: float | None,
) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    if shape == "circle" or (label_radius and shape in ("ring", "star", "cross")):
        canvas.ellipse(box, fill=ink)  # a label covers the whole disc, holes and gaps too
    elif shape == "ring":
        canvas.ellipse(box, outline=ink, width=max(4, round(radius * 0.36)))
    else:
        canvas.polygon(
            [(x + radius * px, y + radius * py) for px, py in _outline(shape, turn)], ink
        )


def _outline(shape: str, turn: float) -> Points:
    """The corners of a shape of radius 1 round the origin, turned by `turn` radians."""
    if shape == "heart":
        points = _heart()
    elif shape == "cross":
        points = _cross()
    elif shape == "star":
        points = [
            _polar(1.0 if i % 2 == 0 else 0.42, -math.pi / 2 + i * math.pi / 5) for i in range(10)
        ]
    else:
        num_corners = {"triangle": 3, "square": 4, "hexagon": 6}[shape]
        first = -math.pi / 4 if shape == "square" else -math.pi / 2
        points = [_polar(1.0, first + i * 2 * math.pi / num_corners) for i in range(num_corners)]
    cos, sin = math.cos(turn), math.sin(turn)
    return [(x * cos - y * sin, x * sin + y * cos) for x, y in points]


def _polar(radius: float, angle: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def _cross() -> Points:
    arm, thick = 1.0, 0.34
    quarter = [(thick, -arm), (thick, -thick), (arm, -thick)]
    turns = [(1, 0), (0, 1), (-1, 0), (0, -1)]  # cosine and sine of each quarter turn
    return [(x * c - y * s, x * s + y * c) for c, s in turns for x, y in quarter]


def _heart() -> Points:
    angles = [2 * math.pi * i / 40 for i in range(40)]
    return [
        (
            math.sin(t) ** 3,
            -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)) / 16,
        )
        for t in angles
    ]


def _draw_word(
    image: Image.Image, labels: Image.Image, word: str, rng: random.Random, fonts: tuple[str, ...]
) -> None:
    size_px = rng.randint(34, 46)
    face = font(rng.choice(fonts), size_px)
    while face.getlength(word) > image.width - 12 and size_px > 20:
        size_px -= 2
        face = font(rng.choice(fonts), size_px)
    width = face.getlength(word)
    x = rng.uniform(6, max(7.0, image.width - width - 6))
    y = rng.uniform(10, image.height - size_px * 1.4)
    background = image.getpixel((0, 0))
    assert isinstance(background, tuple)
    ink = (20, 20, 30) if sum(background) > 380 else (245, 245, 245)
    ImageDraw.Draw(image).text((x, y), word, fill=_shade(rng, ink), font=face)
    label_canvas = ImageDraw.Draw(labels)
    label_canvas.fontmode = "1"  # no smoothing: between two labels there is no third
    for index, character in enumerate(word):
        left = x + face.getlength(word[:index])
        ink_label = (0, 0, CHARACTERS.index(character) + 1)
        label_canvas.text((left, y), character, fill=ink_label, font=face)


def _camera(image: Image.Image, rng: random.Random) -> np.ndarray:
    """Light, blur and noise, as a camera adds them."""
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    pixels = np.asarray(image, dtype=np.float32)
    noise = np.random.default_rng(rng.getrandbits(32))
    if rng.random() < 0.5:
        pixels = (pixels - 128) * rng.uniform(0.85, 1.1) + 128 + rng.uniform(-12, 12)
    if rng.random() < 0.3:
        ramp = np.linspace(-1, 1, image.width, dtype=np.float32) * rng.uniform(-18, 18)
        pixels = pixels + ramp[None, :, None]
    if rng.random() < 0.5:
        pixels = pixels + noise.normal(0, rng.uniform(1, 7), pixels.shape).astype(np.float32)
    return np.clip(pixels, 0, 255).astype(np.uint8)
