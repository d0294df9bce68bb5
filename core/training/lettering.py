"""Sets a word on the sheet: its face, capitals, size, place, ink, and now and then a card.

Leaves out: where the typefaces come from (fonts.py) and what the camera does (camera.py).
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from PIL import ImageDraw, ImageFont

from core.training.facts import WORDS
from core.training.fonts import font

Colour = tuple[int, int, int]
Box = tuple[float, float, float, float]

EM_PX: Final = (30, 62)  # of the picture
LEAST_EM_PX: Final = 26  # a word that needs a smaller one is set in another face
LINE_EM_PX: Final = (26, 54)  # of lines that are there for practice
LINE_GAP_PX: Final = (6, 26)
NUM_TRIES: Final = 20
EDGE_PX: Final = 9  # around the word, at least
CASES: Final = (str.lower, str.capitalize, str.upper)
CASE_WEIGHTS: Final = (4, 1, 1)
CARD_SHARE: Final = 0.2  # of the words lie on a card
COLOURED_SHARE: Final = 0.35  # of the words are neither black nor white
DARK_INKS: Final[tuple[Colour, ...]] = (
    (25, 45, 140),
    (150, 20, 30),
    (10, 95, 45),
    (95, 30, 125),
    (120, 60, 10),
)
LIGHT_INKS: Final[tuple[Colour, ...]] = (
    (250, 225, 80),
    (160, 220, 255),
    (255, 190, 150),
    (190, 245, 180),
)
CONTRAST: Final = 105  # in brightness, between ink and ground


@dataclass(frozen=True)
class Lettering:
    """A word as it is set.

    Args:
        text: the word with its capitals.
        face: the name of the face.
        em_px: size, in pixels of the picture.
        x, y: where the line begins on its baseline, in pixels of the picture.
        ink: colour of the letters.
        card: box of the card in pixels of the picture, or None.
        card_colour: colour of the card.
    """

    text: str
    face: str
    em_px: float
    x: float
    y: float
    ink: Colour
    card: Box | None
    card_colour: Colour

    def font(self, scale: int) -> ImageFont.FreeTypeFont:
        """The face, for a canvas of `scale` pixels to a pixel of the picture."""
        return font(self.face, round(self.em_px * scale))


def brightness(colour: Colour) -> float:
    """How light a colour looks, from 0 to 255 (the weights of ITU-R BT.601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def set_word(
    rng: random.Random, word: str, faces: tuple[str, ...], size: tuple[int, int], ground: Colour
) -> Lettering:
    """Decide how a word is printed on a sheet of `size` pixels (width, height)."""
    has_card = rng.random() < CARD_SHARE
    padding = rng.uniform(8, 14) if has_card else 0.0
    room = size[0] - 2 * (EDGE_PX + padding)
    text, face, em_px = _fitting(rng, word, faces, room)
    left, top, right, bottom = font(face, round(em_px)).getbbox(text, anchor="ls")
    edge = EDGE_PX + padding
    x = rng.uniform(edge - left, max(edge - left, size[0] - edge - right))
    y = rng.uniform(edge - top, size[1] - edge - bottom)
    card_colour, card = ground, None
    if has_card:
        card_colour = _card_colour(rng, ground)
        card = (x + left - padding, y + top - padding, x + right + padding, y + bottom + padding)
    return Lettering(text, face, em_px, x, y, _ink(rng, card_colour), card, card_colour)


def set_lines(
    rng: random.Random, letters: str, faces: tuple[str, ...], size: tuple[int, int], ground: Colour
) -> tuple[Lettering, ...]:
    """Lines from the top to the bottom of a sheet, of words and of `letters` by chance."""
    lines: list[Lettering] = []
    y = float(EDGE_PX)
    while True:
        face, em_px = rng.choice(faces), rng.uniform(*LINE_EM_PX)
        text = _line_text(rng, letters, face, em_px, size[0] - 2 * EDGE_PX)
        left, top, right, bottom = font(face, round(em_px)).getbbox(text, anchor="ls")
        if y + bottom - top > size[1] - EDGE_PX:
            return tuple(lines)
        x = rng.uniform(EDGE_PX - left, max(EDGE_PX - left, size[0] - EDGE_PX - right))
        lines.append(Lettering(text, face, em_px, x, y - top, _ink(rng, ground), None, ground))
        y += bottom - top + rng.uniform(*LINE_GAP_PX)


def _line_text(rng: random.Random, letters: str, face: str, em_px: float, room_px: float) -> str:
    """As many words, or letters in a row, as there is room for; one at least, cut if need be."""
    case, line = rng.choices(CASES, CASE_WEIGHTS)[0], ""
    while True:
        by_chance = "".join(rng.choices(letters, k=rng.randint(1, 6)))
        more = case(by_chance if rng.random() < 0.6 else rng.choice(WORDS))
        longer = f"{line} {more}" if line else more
        if font(face, round(em_px)).getlength(longer) > room_px:
            break
        line = longer
    while not line:
        longer = longer[:-1]
        line = longer if font(face, round(em_px)).getlength(longer) <= room_px else ""
    return line


def _fitting(
    rng: random.Random, word: str, faces: tuple[str, ...], room_px: float
) -> tuple[str, str, float]:
    """Capitals, a face and a size such that the word is no wider than the room."""
    case = rng.choices(CASES, CASE_WEIGHTS)[0]
    for _ in range(NUM_TRIES):
        text, face = case(word), rng.choice(faces)
        most = 100 * room_px / font(face, 100).getlength(text)
        if most >= LEAST_EM_PX:
            break
        case = str.lower
    return text, face, min(most, rng.uniform(*EM_PX))


def _ink(rng: random.Random, ground: Colour) -> Colour:
    """Dark on light ground, light on dark ground."""
    is_light = brightness(ground) > 128
    coloured = DARK_INKS if is_light else LIGHT_INKS
    plain = rng.randint(0, 50) if is_light else rng.randint(215, 255)
    ink = rng.choice(coloured) if rng.random() < COLOURED_SHARE else (plain, plain, plain)
    if abs(brightness(ink) - brightness(ground)) >= CONTRAST:
        return ink
    return (10, 10, 15) if is_light else (250, 250, 250)


def _card_colour(rng: random.Random, ground: Colour) -> Colour:
    """White or pale on most grounds, else dark; told apart from its ground."""
    while True:
        base = rng.randint(215, 255) if rng.random() < 0.75 else rng.randint(10, 60)
        red, green, blue = (min(255, max(0, base + rng.randint(-14, 14))) for _ in range(3))
        if abs(brightness((red, green, blue)) - brightness(ground)) > 20:
            return red, green, blue


def draw_word(
    canvas: ImageDraw.ImageDraw, lettering: Lettering, scale: int, offset_px: int
) -> None:
    """Print the word on a canvas of `scale` pixels to one of the picture."""
    if lettering.card:
        box = [value * scale + offset_px for value in lettering.card]
        radius = 5 * scale
        canvas.rounded_rectangle(box, radius, fill=lettering.card_colour)
    at = (lettering.x * scale + offset_px, lettering.y * scale + offset_px)
    canvas.text(at, lettering.text, fill=lettering.ink, font=lettering.font(scale), anchor="ls")


def letter_boxes(lettering: Lettering, scale: int, offset_px: int) -> list[Box]:
    """The box of each letter on that canvas: as wide as its advance, as high as its ink."""
    face = lettering.font(scale)
    x, y = lettering.x * scale + offset_px, lettering.y * scale + offset_px
    ends = [face.getlength(lettering.text[:end]) for end in range(len(lettering.text) + 1)]
    boxes = []
    for index, letter in enumerate(lettering.text):
        _, top, _, bottom = face.getbbox(letter, anchor="ls")
        boxes.append((x + ends[index], y + top, x + ends[index + 1] - 1, y + bottom - 1))
    return boxes
