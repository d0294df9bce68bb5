"""Picture files of every kind, whole and broken."""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.media import picture, picture_file
from vision.errors import PictureError
from vision.load import EXIF_ORIENTATION, PictureLimits, load_picture

NO_LIMITS = PictureLimits()


def refusal(data: bytes, limits: PictureLimits = NO_LIMITS) -> str:
    """The sentence with which `data` is refused; it names nothing of ours."""
    with pytest.raises(PictureError) as error:
        load_picture(data, limits)
    sentence = str(error.value)
    assert re.fullmatch(r"[A-Z][^\n]*[^.]\.", sentence), sentence
    assert not re.search(r"0x[0-9a-f]|<|object|/|BytesIO|Error", sentence), sentence
    return sentence


def png_header(width_px: int, height_px: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    size = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0"))


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("PNG", {"optimize": True})]
)
def test_lossless_pictures_come_back_as_they_were(kind: str, options: dict[str, Any]) -> None:
    drawn = picture(120, 80)
    loaded = load_picture(picture_file(drawn, kind, **options))
    assert loaded.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(loaded), np.asarray(drawn))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_pictures_come_back_much_as_they_were(kind: str) -> None:
    drawn = picture(120, 80)
    loaded = load_picture(picture_file(drawn, kind))
    assert (loaded.mode, loaded.size) == ("RGB", (120, 80))
    difference = np.abs(np.asarray(loaded, float) - np.asarray(drawn, float))
    assert difference.mean() < 12


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *(("1", "PNG"), ("L", "PNG"), ("P", "PNG"), ("LA", "PNG"), ("RGBA", "PNG")),
        *(("L", "JPEG"), ("CMYK", "JPEG"), ("YCbCr", "JPEG"), ("L", "GIF"), ("RGBA", "WEBP")),
    ],
)
def test_every_mode_becomes_rgb_of_the_same_colours(mode: str, kind: str) -> None:
    source = Image.new("RGB", (40, 30), (255, 0, 0)).convert(mode)
    loaded = load_picture(picture_file(source, kind))
    expected = source.convert("RGB")
    assert loaded.mode == "RGB"
    assert np.abs(np.asarray(loaded, int) - np.asarray(expected, int)).max() <= 3


def test_sixteen_bit_grey_keeps_its_shades() -> None:
    shades = np.linspace(0, 65_535, 256 * 16).reshape(16, 256).astype(np.uint16)
    loaded = np.asarray(load_picture(picture_file(Image.fromarray(shades))))
    assert np.abs(loaded[:, :, 0].astype(int) - shades / 257).max() <= 1
    assert (loaded[:, :, 0] == loaded[:, :, 2]).all()


@pytest.mark.parametrize("alpha", [0, 128, 255])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_on_white(alpha: int, kind: str) -> None:
    clear = Image.new("RGBA", (20, 20), (0, 0, 200, alpha))
    loaded = load_picture(picture_file(clear, kind, lossless=True))
    expected = np.array([255 - alpha, 255 - alpha, 255 - alpha * 55 / 255])
    assert np.abs(np.asarray(loaded)[5, 5] - expected).max() <= 1


def test_grey_with_alpha_lies_on_white() -> None:
    loaded = load_picture(picture_file(Image.new("LA", (20, 20), (0, 0))))
    assert loaded.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_the_clear_colour_of_a_palette_lies_on_white(kind: str) -> None:
    source = Image.new("P", (20, 20), 0)
    source.putpalette([10, 20, 30, 200, 0, 0])
    source.paste(1, (10, 0, 20, 20))
    loaded = load_picture(picture_file(source, kind, transparency=0))
    assert loaded.getpixel((2, 2)) == (255, 255, 255)
    assert loaded.getpixel((15, 2)) == (200, 0, 0)


@pytest.mark.parametrize(("mode", "clear"), [("RGB", (1, 2, 3)), ("L", 7)])
def test_one_clear_colour_of_a_png_lies_on_white(mode: str, clear: Any) -> None:
    source = Image.new(mode, (20, 20), clear)
    assert load_picture(picture_file(source, transparency=clear)).getpixel((2, 2)) == (255,) * 3


def test_of_an_animation_the_first_frame_is_seen() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    data = picture_file(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert load_picture(data).getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_turned_upright(orientation: int, kind: str) -> None:
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste((255, 0, 0), (0, 0, 16, 16))  # a mark in the upper left corner
    stored = upright.transpose(_how_it_was_stored(orientation)) if orientation > 1 else upright
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    loaded = load_picture(picture_file(stored, kind, exif=exif))
    assert loaded.size == (64, 32)
    assert np.abs(np.asarray(loaded, int) - np.asarray(upright, int)).mean() < 8


def _how_it_was_stored(orientation: int) -> Image.Transpose:
    """Row 0 and column 0 of the stored picture, by the EXIF standard's table."""
    turns = Image.Transpose
    return {
        2: turns.FLIP_LEFT_RIGHT,  # row 0 is the top, column 0 the right
        3: turns.ROTATE_180,  # bottom, right
        4: turns.FLIP_TOP_BOTTOM,  # bottom, left
        5: turns.TRANSPOSE,  # left, top
        6: turns.ROTATE_90,  # right, top
        7: turns.TRANSVERSE,  # right, bottom
        8: turns.ROTATE_270,  # left, bottom
    }[orientation]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\xff", b"x"])
def test_damaged_exif_data_does_not_cost_the_picture(exif: bytes) -> None:
    assert load_picture(picture_file(picture(40, 30), "JPEG", exif=exif)).size == (40, 30)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "file is empty"),
        (b"Only words.\n" * 100, "not a PNG, JPEG, WEBP or GIF"),
        (picture_file(picture(40, 40), "BMP"), "not a PNG, JPEG, WEBP or GIF"),
        (picture_file(picture(40, 40), "TIFF"), "not a PNG, JPEG, WEBP or GIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a PNG, JPEG, WEBP or GIF"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (picture_file(Image.new("RGB", (1, 1))), "has 1 x 1 px; attach one of at least 8 px"),
        (picture_file(Image.new("RGB", (7, 100))), "at least 8 px a side"),
        (png_header(30_000, 30_000), "more than 64 megapixels"),
        (png_header(8_001, 8_000), "more than 64 megapixels"),
        (png_header(11_000, 11_000), "more than 64 megapixels"),
        (picture_file(Image.new("RGB", (401, 20))), "longer side more than 20 times the shorter"),
        (picture_file(Image.new("RGB", (20, 401))), "longer side more than 20 times the shorter"),
        (png_header(100, 100), "damaged or cut short"),
    ],
    ids=[
        *("empty", "text", "bmp", "tiff", "svg", "signature", "1x1", "7 px", "30000x30000"),
        *("64 MP", "121 MP", "too wide", "too tall", "no pixels"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_is_wrong_is_said_in_one_sentence(data: bytes, expected: str) -> None:
    assert expected in refusal(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_file_that_was_cut_is_refused(kind: str, kept: float) -> None:
    data = picture_file(picture(200, 150), kind)
    assert "damaged" in refusal(data[: int(kept * len(data))])


def test_the_alarm_of_pillow_is_an_error_where_warnings_are_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "megapixels" in refusal(png_header(11_000, 11_000))


def test_size_is_judged_before_a_pixel_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    assert "megapixels" in refusal(png_header(9_000, 9_000))


@pytest.mark.parametrize("size", [(8, 8), (8, 160), (160, 8)])
def test_the_smallest_and_narrowest_pictures_allowed_are_loaded(size: tuple[int, int]) -> None:
    assert load_picture(picture_file(Image.new("RGB", size))).size == size


def test_a_file_of_too_many_bytes_is_refused() -> None:
    assert "larger than 1 MiB" in refusal(bytes(2**20 + 1), PictureLimits(max_bytes=2**20))


FILES = [picture_file(picture(60, 40), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")]


@settings(max_examples=200, deadline=None)
@given(
    file=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    kept=st.floats(0.05, 1),
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning", "ignore::UserWarning")
def test_damage_anywhere_gives_a_picture_or_a_sentence(
    file: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    data = bytearray(file)
    for place, value in changes:
        data[min(int(place**4 * len(data)), len(data) - 1)] = value  # headers most of all
    try:
        loaded = load_picture(bytes(data[: int(kept * len(data))]))
    except PictureError as error:
        assert str(error).endswith(".")
        assert "0x" not in str(error)
    else:
        assert loaded.mode == "RGB"
