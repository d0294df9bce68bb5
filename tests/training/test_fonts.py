"""Typefaces of the recipe: all there, all with letters and digits, two splits apart."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from core.training import fonts
from core.training.fonts import FONT_PACKAGES, HELD_OUT_FACES, TRAINED_FACES, font

# One designer's typeface under two names: Carlito is made from Lato.
FAMILY = re.compile(
    r"(DejaVu|Liberation|Lato|Carlito|OpenSans|Roboto|Cantarell|ComicNeue|Inconsolata|Lin"
    r"|Quicksand|Nimbus|P052|C059|URWBookman|URWGothic|JetBrains|Inter"
    r"|Go|Tuffy|Play|GenBas|Gillius|B612|Caladea)"
)


def family(face: str) -> str:
    found = FAMILY.match(face)
    assert found, face
    return found.group()


@pytest.mark.parametrize("face", TRAINED_FACES + HELD_OUT_FACES)
def test_a_face_has_every_letter_and_digit(face: str) -> None:
    shapes = font(face, 24)
    missing = bytes(shapes.getmask("\uffff"))
    for character in string.ascii_letters + string.digits:
        mask = shapes.getmask(character)
        assert mask.getbbox(), character
        assert bytes(mask) != missing, character


def test_training_sees_no_face_of_a_held_out_family() -> None:
    assert len(set(TRAINED_FACES)) >= 50
    assert len(set(HELD_OUT_FACES)) >= 10
    assert not {family(face) for face in TRAINED_FACES} & {family(face) for face in HELD_OUT_FACES}


def test_held_out_faces_draw_otherwise_than_trained_ones() -> None:
    trained = {bytes(font(face, 40).getmask("garden")) for face in TRAINED_FACES}
    held_out = {bytes(font(face, 40).getmask("garden")) for face in HELD_OUT_FACES}
    assert len(trained) == len(TRAINED_FACES)
    assert len(held_out) == len(HELD_OUT_FACES)
    assert not trained & held_out


def test_a_missing_face_says_which_packages_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fonts, "FOLDER", tmp_path)
    fonts._files.cache_clear()
    with pytest.raises(fonts.MissingFontsError, match=r"apt-get install fonts-.*") as caught:
        font("DejaVuSans", 4321)
    fonts._files.cache_clear()
    assert all(package in str(caught.value) for package in FONT_PACKAGES)
