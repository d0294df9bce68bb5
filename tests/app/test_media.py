"""Attachments: their bytes say what they are, and a message puts them in order."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from app.media import in_turn_order, media_type, part_from_bytes, part_from_file, snapshot_bytes
from core.errors import BadMediaError
from core.messages import AudioPart, ImagePart, TextPart
from tests.media import picture, picture_file, sound_file, tone


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (picture_file(picture(4, 4), "PNG"), "image/png"),
        (picture_file(picture(4, 4), "JPEG"), "image/jpeg"),
        (picture_file(picture(4, 4), "WEBP"), "image/webp"),
        (picture_file(picture(4, 4), "GIF"), "image/gif"),
        (sound_file(tone(0.1), kind="WAV"), "audio/wav"),
        (sound_file(tone(0.1), kind="FLAC"), "audio/flac"),
        (sound_file(tone(0.1), kind="OGG"), "audio/ogg"),
        (sound_file(tone(0.1), kind="MP3"), "audio/mpeg"),
        (b"%PDF-1.7", None),
        (b"RIFF\0\0\0\0AVI ", None),
        (b"", None),
    ],
)
def test_bytes_say_what_a_file_is(data: bytes, kind: str | None) -> None:
    assert media_type(data) == kind


def test_name_does_not_make_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(b"plain text")
    with pytest.raises(BadMediaError, match=r"notes\.png is neither a picture nor a sound"):
        part_from_file(path)


def test_a_file_that_waited_for_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadMediaError, match=r"^cat\.png is not here any more: attach it again"):
        part_from_file(tmp_path / "cat.png")


def test_pictures_come_first_then_sounds_then_text() -> None:
    image = part_from_bytes(picture_file(picture(4, 4)), "a.png")
    sound = part_from_bytes(sound_file(tone(0.1)), "b.wav")
    parts = in_turn_order([sound, image], "And this?")
    assert [type(part) for part in parts] == [ImagePart, AudioPart, TextPart]


def test_blank_text_is_no_part() -> None:
    assert in_turn_order([], " \n") == ()


def test_snapshot_is_the_jpeg_in_its_data_url() -> None:
    jpeg = picture_file(picture(4, 4), "JPEG")
    url = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    assert snapshot_bytes(url, max_bytes=100_000) == jpeg


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "http://evil.example/a.jpg",
        "data:image/jpeg;base64,%%%",
        "data:image/jpeg;base64," + base64.b64encode(b"<svg>").decode(),
        "data:image/jpeg;base64," + "A" * 200_000,
    ],
)
def test_anything_else_is_no_snapshot(url: str) -> None:
    with pytest.raises(BadMediaError, match="take it again"):
        snapshot_bytes(url, max_bytes=100_000)
