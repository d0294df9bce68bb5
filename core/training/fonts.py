"""The typefaces that words are printed in: Debian's packages, and which faces training sees.

A held-out face belongs to a family of which training sees no face. Leaves out: printing
(lettering.py).
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from PIL import ImageFont

from core.errors import TriadError

FONT_PACKAGES: Final = (
    "fonts-adf-gillius fonts-b612 fonts-cantarell fonts-comic-neue fonts-crosextra-caladea "
    "fonts-crosextra-carlito fonts-dejavu-core fonts-go fonts-inconsolata "
    "fonts-inter fonts-jetbrains-mono fonts-lato fonts-liberation2 fonts-linuxlibertine "
    "fonts-open-sans fonts-play fonts-quicksand fonts-roboto-unhinted fonts-sil-gentium-basic "
    "fonts-tuffy fonts-urw-base35"
).split()
FOLDER: Final = Path("/usr/share/fonts")
SUFFIXES: Final = (".ttf", ".otf")

# Files without their suffix; a family in a line.
TRAINED_FACES: Final = tuple(
    """
    DejaVuSans DejaVuSans-Bold DejaVuSansMono DejaVuSansMono-Bold DejaVuSerif DejaVuSerif-Bold
    LiberationSans-Regular LiberationSans-Bold LiberationSans-Italic LiberationSans-BoldItalic
    LiberationSerif-Regular LiberationSerif-Bold LiberationSerif-Italic LiberationMono-Regular
    Lato-Regular Lato-Bold Lato-Black Lato-Italic
    Carlito-Regular Carlito-Bold Carlito-Italic
    OpenSans-Regular OpenSans-Bold OpenSans-Italic OpenSans-CondBold
    Roboto-Regular Roboto-Medium Roboto-Bold Roboto-Italic RobotoCondensed-Regular
    RobotoCondensed-Bold
    Cantarell-Regular Cantarell-Bold
    ComicNeue-Regular ComicNeue-Bold
    Inconsolata
    LinLibertine_R LinLibertine_RB LinLibertine_RI LinBiolinum_R LinBiolinum_RB
    Quicksand-Medium Quicksand-Bold
    NimbusSans-Regular NimbusSans-Bold NimbusSansNarrow-Bold
    NimbusRoman-Regular NimbusRoman-Bold NimbusRoman-BoldItalic
    NimbusMonoPS-Bold
    P052-Roman P052-Bold P052-Italic
    C059-Roman C059-Bold C059-Italic
    URWBookman-Light URWBookman-Demi
    URWGothic-Book URWGothic-Demi
    JetBrainsMono-Regular JetBrainsMono-Bold
    Inter-Regular Inter-Bold Inter-Italic
    """.split()
)
HELD_OUT_FACES: Final = tuple(
    """
    Go-Regular Go-Bold Go-Mono
    Tuffy Tuffy_Bold
    Play-Regular Play-Bold
    GenBasR GenBasB
    GilliusADF-Regular GilliusADF-Bold
    B612-Regular B612-Bold
    Caladea-Regular Caladea-Bold Caladea-Italic
    """.split()
)


class MissingFontsError(TriadError):
    """A typeface of the recipe is not installed."""


@cache
def _files() -> dict[str, Path]:
    """Every typeface on this machine by the name of its file."""
    found = sorted(path for path in FOLDER.rglob("*") if path.suffix in SUFFIXES)
    return {path.stem: path for path in found}


@lru_cache(maxsize=512)
def font(face: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A face of TRAINED_FACES or HELD_OUT_FACES, with `size_px` to the em.

    Raises:
        MissingFontsError: the face is not installed.
    """
    path = _files().get(face)
    if path is None:
        packages = " ".join(FONT_PACKAGES)
        raise MissingFontsError(
            f"The typeface {face} is missing under {FOLDER}; run: apt-get install {packages}"
        )
    # Not Raqm, which is not everywhere and may set the same word otherwise.
    return ImageFont.truetype(str(path), size_px, layout_engine=ImageFont.Layout.BASIC)
