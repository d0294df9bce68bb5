"""Picture files -> upright RGB pictures.

Size and shape are judged from the header, before a single pixel is decoded.
Leaves out: colour profiles (pixels are taken as sRGB), frames after the first, remote addresses.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from vision.errors import PictureError

FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF")
EXIF_ORIENTATION: Final = 0x0112
# What turns a picture upright, by its EXIF orientation (EXIF 2.3, tag 274); 1 is upright already.
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class PictureLimits:
    """What is accepted.

    Args:
        min_side_px: below this there is nothing to see.
        max_pixels: 64 megapixels, 192 MB decoded; Pillow would warn at 89.
        max_bytes: size of the file.
        max_side_ratio: longer side by shorter side. Beyond 22 a picture fitted into one small
            crop (224 px) would be less than 10 px thin, which the model's training left out.
    """

    min_side_px: int = 8
    max_pixels: int = 64_000_000
    max_bytes: int = 64 * 2**20
    max_side_ratio: float = 20.0


DEFAULT_LIMITS: Final = PictureLimits()


def load_picture(data: bytes, limits: PictureLimits = DEFAULT_LIMITS) -> Image.Image:
    """Decode a picture file.

    Args:
        data: the bytes of a PNG, JPEG, WEBP or GIF file (of an animation, the first frame).
        limits: what is accepted.
    Returns:
        The picture in mode RGB, turned upright by its EXIF data, on white where it is transparent.
    Raises:
        PictureError: the file is empty, no such picture, cut short, too small, too large or too
            narrow.
    """
    if not data:
        raise PictureError("The picture file is empty; attach one that holds a picture.")
    if len(data) > limits.max_bytes:
        max_mib = limits.max_bytes / 2**20
        raise PictureError(f"The picture file is larger than {max_mib:.0f} MiB; make it smaller.")
    with _open(data, limits) as picture:
        _check_size(*picture.size, limits)
        _decode(picture)
        return _upright(picture, _to_rgb(picture))


def _open(data: bytes, limits: PictureLimits) -> Image.Image:
    """Read the header. Pillow's own alarm at unpacking bombs is an error, warning or not."""
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(limits) from None
    except UnidentifiedImageError:
        raise PictureError(
            "The file is not a PNG, JPEG, WEBP or GIF picture, or its beginning is damaged; "
            "convert it to one of these and attach that."
        ) from None
    except Exception:  # a parser may trip over damaged bytes in any way
        raise _cut_short() from None


def _check_size(width_px: int, height_px: int, limits: PictureLimits) -> None:
    """Refuse what is too small, too large or too narrow."""
    if width_px * height_px > limits.max_pixels:
        raise _too_large(limits)
    shorter_px, longer_px = sorted((width_px, height_px))
    if shorter_px < limits.min_side_px:
        raise PictureError(
            f"The picture has {width_px} x {height_px} px; "
            f"attach one of at least {limits.min_side_px} px a side."
        )
    if longer_px > limits.max_side_ratio * shorter_px:
        raise PictureError(
            f"The picture has {width_px} x {height_px} px, its longer side more than "
            f"{limits.max_side_ratio:g} times the shorter; cut it into pieces."
        )


def _decode(picture: Image.Image) -> None:
    """Decode the first frame in place."""
    try:
        picture.load()
    except Exception:  # a decoder may trip over damaged bytes in any way
        raise _cut_short() from None


def _to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode our formats have -> RGB on white."""
    if picture.mode.startswith("I"):  # 16-bit grey: keep the upper byte, which Pillow would clip
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    paper = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(paper, layer).convert("RGB")


def _upright(source: Image.Image, picture: Image.Image) -> Image.Image:
    """Turn `picture` as the EXIF data of `source` says; data that is damaged says nothing."""
    try:
        orientation = source.getexif().get(EXIF_ORIENTATION)
    except Exception:  # as any parser above
        return picture
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return picture if turn is None else picture.transpose(turn)


def _too_large(limits: PictureLimits) -> PictureError:
    return PictureError(
        f"The picture has more than {limits.max_pixels / 1e6:g} megapixels; make it smaller."
    )


def _cut_short() -> PictureError:
    return PictureError(
        "The picture file is damaged or cut short; export it again and attach the whole file."
    )
