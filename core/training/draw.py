"""Draws a scene as a picture, and says for every patch what it shows.

A third of the pictures stay flat, as a drawing that somebody attaches; the others are seen by a
camera: a sheet or a screen, on a desk or filling the view. The labels follow the same warp; they
train the vision encoder on its own, before the language model sees a picture.
Leaves out: the scene's content (scenes.py), lettering (lettering.py), the camera (camera.py), what
a patch counts as (patch_labels.py).
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from core.training.camera import Warp, expose, sample_view, warp_of
from core.training.fonts import TRAINED_FACES
from core.training.items import COLOURS, Item, Scene
from core.training.lettering import (
    Box,
    Colour,
    Lettering,
    brightness,
    draw_word,
    letter_boxes,
    set_lines,
    set_word,
)
from core.training.patch_labels import (
    CHARACTERS,
    SCENE_PX,
    char_labels,
    labels_of,
    no_shapes,
)
from core.training.shapes import draw_label, draw_shape

ASPECTS: Final = ((280, 280), (280, 210), (210, 280))  # width, height: square, camera, upright

CANVAS_SCALE: Final = 2  # pixels of the canvas to one of the picture
MARGIN_PX: Final = 120  # of the canvas, around a sheet that is seen from a slant
FLAT_SHARE: Final = 0.35  # of the pictures are no camera's
INK_DISTANCE: Final = 95  # in RGB, between a shape's colour and its ground
SHADE: Final = 12  # how far an ink may be from its colour, in each of red, green and blue
# Of a third of the picture's shorter side: how far a shape reaches from its centre.
RADII: Final = {"small": (0.185, 0.225), "large": (0.405, 0.48)}
STRENGTHS: Final = (1.0, 0.6, 0.3, 0.0)  # of a camera's slant: the first that keeps all in place
# Of a third of the view; where a sheet's edges are seen, people judge by them.
MAX_OFF_CENTRE: Final = {"filling": 0.4, "bordered": 0.5}


@dataclass(frozen=True)
class Drawing:
    """A picture and what its patches show.

    Args:
        picture: uint8, shape (height, width, 3), 280 on its longer side.
        shape_labels, colour_labels, size_labels, place_labels: uint8, shape (10, 10), for the
            patches of the vision encoder's view, in which white fills a picture up that is not
            square: of the shape that a patch is part of; 0 is "nothing", else one more than the
            index into SHAPES, COLOURS, SIZES or PLACES.
        char_labels: uint8, shape (10, 20), for the left and right halves of those patches; 0 is
            "nothing", else one more than the index into CHARACTERS, whatever the letter's case.
    """

    picture: np.ndarray
    shape_labels: np.ndarray
    colour_labels: np.ndarray
    size_labels: np.ndarray
    place_labels: np.ndarray
    char_labels: np.ndarray

    @property
    def patch_labels(self) -> np.ndarray:
        """All that is said of patches, shape (4, 10, 10): shapes, colours, sizes, places."""
        return np.stack(
            [self.shape_labels, self.colour_labels, self.size_labels, self.place_labels]
        )


@dataclass(frozen=True)
class Placed:
    """A shape where it lies on the sheet, in pixels of the picture."""

    item: Item
    x: float
    y: float
    radius_px: float
    turn: float
    ink: Colour


@dataclass(frozen=True)
class Sheet:
    """What is drawn: the ground, and on it shapes, a word, or lines of text.

    Args:
        size: width and height, in pixels of the picture.
        ground, far_ground: its colour at the top left and at the bottom right.
        placed: the shapes; empty if there is text.
        letterings: the word, or the lines, or nothing.
    """

    size: tuple[int, int]
    ground: Colour
    far_ground: Colour
    placed: tuple[Placed, ...]
    letterings: tuple[Lettering, ...]


def draw(scene: Scene, faces: tuple[str, ...] = TRAINED_FACES) -> Drawing:
    """Draw the scene as its seed decides.

    Args:
        scene: what is shown.
        faces: the faces that its word may be printed in.
    Returns:
        The picture with its labels; the same scene always gives the same.
    Raises:
        MissingFontsError: a face is not installed.
    """
    rng = random.Random(scene.seed)
    is_flat = rng.random() < FLAT_SHARE
    sheet = _lay_out(rng, scene, faces, is_flat)
    picture, owners = _seen(rng, sheet, is_flat)
    return Drawing(picture, *labels_of(scene, owners))


def draw_practice(number: int, faces: tuple[str, ...] = TRAINED_FACES) -> Drawing:
    """Lines of words and of letters by chance, for the vision encoder alone to learn to read.

    Args:
        number: decides all of it.
        faces: the faces that lines may be printed in.
    Raises:
        MissingFontsError: a face is not installed.
    """
    rng = random.Random(f"practice-{number}")
    is_flat = rng.random() < FLAT_SHARE
    size = rng.choices(ASPECTS, (5, 4, 1))[0]
    ground = _ground(rng, Scene((), "text", 0), is_flat)
    lines = set_lines(rng, CHARACTERS, faces, size, ground)
    picture, owners = _seen(rng, Sheet(size, ground, ground, (), lines), is_flat)
    text = "".join(line.text for line in lines).replace(" ", "")
    return Drawing(picture, *no_shapes(), char_labels(text, owners))


def _seen(rng: random.Random, sheet: Sheet, is_flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """The picture of a sheet, and what owns each of its pixels: uint8 both."""
    picture, owners = _flat(sheet) if is_flat else _photograph(rng, sheet)
    return np.asarray(picture), np.asarray(owners)


# The sheet


def _lay_out(rng: random.Random, scene: Scene, faces: tuple[str, ...], is_flat: bool) -> Sheet:
    weights = (5, 4, 0 if len(scene.word) > 6 else 1)  # long words need width
    size = rng.choices(ASPECTS, weights)[0]
    ground = _ground(rng, scene, is_flat)
    far_ground = ground
    if rng.random() < (0.1 if is_flat else 0.35):
        red, green, blue = (min(255, max(0, value + rng.randint(-22, 22))) for value in ground)
        far_ground = red, green, blue
    placed = tuple(_place(rng, item, size) for item in scene.items)
    letterings = (set_word(rng, scene.word, faces, size, ground),) if scene.word else ()
    return Sheet(size, ground, far_ground, placed, letterings)


def _ground(rng: random.Random, scene: Scene, is_flat: bool) -> Colour:
    """A colour that none of the inks is lost on: often white, else muted, or dark."""
    inks = [COLOURS[item.colour] for item in scene.items]
    while True:
        kind = rng.random()
        if kind < (0.5 if is_flat else 0.3):
            base, spread = rng.randint(243, 255), 4
        elif kind < 0.88:
            base, spread = rng.randint(105, 240), 22
        else:
            base, spread = rng.randint(8, 70), 16
        red, green, blue = (max(0, min(255, base + rng.randint(-spread, spread))) for _ in range(3))
        colour = red, green, blue
        is_readable = not scene.word or abs(brightness(colour) - 128) > 20
        if is_readable and all(math.dist(colour, ink) > INK_DISTANCE for ink in inks):
            return colour


def _place(rng: random.Random, item: Item, size: tuple[int, int]) -> Placed:
    """A shape inside its third of the width and of the height, which it never leaves."""
    cell_width, cell_height = size[0] / 3, size[1] / 3
    radius_px = rng.uniform(*RADII[item.size]) * _small_allowance(item, size) * min(size) / 3
    x = (item.column + 0.5) * cell_width + _jitter(rng, cell_width / 2 - radius_px)
    y = (item.row + 0.5) * cell_height + _jitter(rng, cell_height / 2 - radius_px)
    red, green, blue = (
        max(0, min(255, value + rng.randint(-SHADE, SHADE))) for value in COLOURS[item.colour]
    )
    return Placed(item, x, y, radius_px, rng.uniform(-0.25, 0.25), (red, green, blue))


def _small_allowance(item: Item, size: tuple[int, int]) -> float:
    """Small shapes shrink less than the sheet does, so as to stay readable."""
    return 1.2 if item.size == "small" and min(size) < SCENE_PX else 1.0


def _jitter(rng: random.Random, room_px: float) -> float:
    return rng.uniform(-1, 1) * 0.75 * max(0.0, room_px)


def _draw_sheet(image: Image.Image, owners: Image.Image, sheet: Sheet, margin_px: int) -> None:
    """Draw what is on the sheet, and on `owners` the number of the shape or letter there."""
    ink_canvas, owner_canvas = ImageDraw.Draw(image), ImageDraw.Draw(owners)
    for number, placed in enumerate(sheet.placed, start=1):
        shape, turn = placed.item.shape, placed.turn
        centre = (placed.x * CANVAS_SCALE + margin_px, placed.y * CANVAS_SCALE + margin_px)
        radius_px = placed.radius_px * CANVAS_SCALE
        draw_shape(ink_canvas, shape, centre, radius_px, turn, placed.ink)
        draw_label(owner_canvas, shape, centre, radius_px, turn, number)
    for lettering in sheet.letterings:
        draw_word(ink_canvas, lettering, CANVAS_SCALE, margin_px)
    for number, box in enumerate(_all_letter_boxes(sheet, margin_px), start=1):
        owner_canvas.rectangle(box, fill=number)


def _all_letter_boxes(sheet: Sheet, margin_px: int) -> list[Box]:
    """Of every letter in order; spaces have none."""
    return [
        box
        for line in sheet.letterings
        for letter, box in zip(line.text, letter_boxes(line, CANVAS_SCALE, margin_px), strict=True)
        if letter != " "
    ]


def _ground_image(sheet: Sheet, size: tuple[int, int]) -> Image.Image:
    if sheet.ground == sheet.far_ground:
        return Image.new("RGB", size, sheet.ground)
    ends = np.array([sheet.ground, sheet.far_ground], np.uint8)
    between = ends.mean(0).astype(np.uint8)
    corners = np.array([[ends[0], between], [between, ends[1]]])  # (2, 2, 3)
    return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)


def _flat(sheet: Sheet) -> tuple[Image.Image, Image.Image]:
    size = (sheet.size[0] * CANVAS_SCALE, sheet.size[1] * CANVAS_SCALE)
    image, owners = _ground_image(sheet, size), Image.new("L", size)
    _draw_sheet(image, owners, sheet, 0)
    return image.reduce(CANVAS_SCALE), owners.resize(sheet.size, Image.Resampling.NEAREST)


# The sheet before a camera


def _photograph(rng: random.Random, sheet: Sheet) -> tuple[Image.Image, Image.Image]:
    """The sheet on a desk or a screen, or filling the view; most of them at a slant."""
    kind = rng.choices(("straight", "filling", "sheet", "screen"), (2, 4, 2, 2))[0]
    if kind == "straight":
        picture, owners = _flat(sheet)
        return expose(rng, picture, rng.random() < 0.3), owners
    size = tuple(side * CANVAS_SCALE + 2 * MARGIN_PX for side in sheet.size)
    canvas_size = size[0], size[1]
    is_bordered = kind != "filling"
    if is_bordered:
        image = _surroundings(rng, sheet, canvas_size, is_screen=kind == "screen")
    else:
        image = _ground_image(sheet, canvas_size)
    owners = Image.new("L", canvas_size)
    _draw_sheet(image, owners, sheet, MARGIN_PX)
    warp = _sample_warp(rng, sheet, is_bordered)
    edge = image.getpixel((0, 0))
    picture = image.transform(
        sheet.size,
        Image.Transform.PERSPECTIVE,
        warp.coefficients,
        Image.Resampling.BILINEAR,
        fillcolor=edge,
    )
    owners = owners.transform(sheet.size, Image.Transform.PERSPECTIVE, warp.coefficients)
    return expose(rng, picture, kind == "screen"), owners


def _surroundings(
    rng: random.Random, sheet: Sheet, canvas_size: tuple[int, int], is_screen: bool
) -> Image.Image:
    """A desk with a sheet on it, or a wall with a screen before it."""
    base = rng.randint(40, 210)
    desk = tuple(max(0, min(255, base + rng.randint(-30, 30))) for _ in range(3))
    image = Image.new("RGB", canvas_size, (desk[0], desk[1], desk[2]))
    canvas = ImageDraw.Draw(image)
    if rng.random() < 0.4:
        _draw_grain(rng, canvas, canvas_size, (desk[0], desk[1], desk[2]))
    right, bottom = canvas_size[0] - MARGIN_PX, canvas_size[1] - MARGIN_PX
    if is_screen:
        bezel, shade = rng.randint(10, 40), rng.choice((15, 30, 200))
        box = (MARGIN_PX - bezel, MARGIN_PX - bezel, right + bezel, bottom + bezel)
        canvas.rounded_rectangle(box, 12, fill=(shade, shade, shade))
    else:
        drop_px, dark = rng.randint(3, 12), tuple(int(value * 0.6) for value in desk)
        box = (MARGIN_PX + drop_px, MARGIN_PX + drop_px, right + drop_px, bottom + drop_px)
        canvas.rectangle(box, fill=(dark[0], dark[1], dark[2]))
    paper = (right - MARGIN_PX, bottom - MARGIN_PX)
    image.paste(_ground_image(sheet, paper), (MARGIN_PX, MARGIN_PX))
    return image


def _draw_grain(
    rng: random.Random, canvas: ImageDraw.ImageDraw, size: tuple[int, int], desk: Colour
) -> None:
    """Lines of wood, across."""
    y = 0.0
    while y < size[1]:
        shade = rng.uniform(0.82, 0.97)
        ink = (int(desk[0] * shade), int(desk[1] * shade), int(desk[2] * shade))
        canvas.line((0, y, size[0], y + rng.uniform(-20, 20)), fill=ink, width=rng.randint(2, 9))
        y += rng.uniform(12, 40)


def _sample_warp(rng: random.Random, sheet: Sheet, is_bordered: bool) -> Warp:
    """A slant that leaves every shape in its third of the view, and every letter in sight."""
    view = sample_view(rng, rng.uniform(1.04, 1.16) if is_bordered else rng.uniform(0.95, 1.08))
    warps = [warp_of(view, s, sheet.size, CANVAS_SCALE, MARGIN_PX) for s in STRENGTHS]
    off_centre = MAX_OFF_CENTRE["bordered" if is_bordered else "filling"]
    return next((warp for warp in warps if _is_in_place(warp, sheet, off_centre)), warps[-1])


def _is_in_place(warp: Warp, sheet: Sheet, off_centre: float) -> bool:
    """True if all is in sight, and no shape further off the centre of its third than that."""
    sides = np.array(sheet.size, float)
    if sheet.letterings:
        boxes = np.array(_all_letter_boxes(sheet, MARGIN_PX))
        corners = warp.to_picture(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2))
        return bool((corners > 2).all() and (corners < sides - 2).all())
    centres = np.array([[placed.x, placed.y] for placed in sheet.placed])
    radii = np.array([[placed.radius_px] for placed in sheet.placed])
    thirds = np.array([[placed.item.column, placed.item.row] for placed in sheet.placed])
    seen = warp.to_picture(centres * CANVAS_SCALE + MARGIN_PX)
    is_whole = (seen > radii).all() and (seen < sides - radii).all()
    return bool(is_whole and (np.abs(seen / sides * 3 - thirds - 0.5) < off_centre).all())
