"""Attachments: files and camera snapshots -> message parts, and the types to serve them with.

The bytes decide what a file is, not its name. Leaves out: decoding and its limits, which are
the processor's (core/processor.py).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from core.errors import BadMediaError
from core.messages import AudioPart, ImagePart, Part, TextPart

MediaType = Literal[
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
    "audio/wav",
    "audio/flac",
    "audio/ogg",
    "audio/mpeg",
]

ATTACHABLE_SUFFIXES: Final = (
    *(".png", ".jpg", ".jpeg", ".webp", ".gif"),
    *(".wav", ".flac", ".ogg", ".mp3"),
)
SNAPSHOT_PREFIX: Final = "data:image/jpeg;base64,"


def media_type(data: bytes) -> MediaType | None:
    """What a file is, by its first bytes; None when Triad cannot use it."""
    if data.startswith(b"RIFF"):
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav"}.get(data[8:12])  # type: ignore[return-value]
    signatures: tuple[tuple[bytes, MediaType], ...] = (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"fLaC", "audio/flac"),
        (b"OggS", "audio/ogg"),
        (b"ID3", "audio/mpeg"),
    )
    for signature, kind in signatures:
        if data.startswith(signature):
            return kind
    # An MP3 without tags starts with a frame: eleven set bits, then a layer that is not 0.
    is_mp3 = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06 != 0
    return "audio/mpeg" if is_mp3 else None


def part_from_bytes(data: bytes, name: str) -> ImagePart | AudioPart:
    """An attachment as a message part.

    Raises:
        BadMediaError: the bytes are no picture and no sound that Triad can use.
    """
    kind = media_type(data)
    if kind is None:
        raise BadMediaError(
            f"{name} is neither a picture nor a sound that Triad can use: "
            "attach a PNG, JPEG, WEBP or GIF picture, or a WAV, FLAC, OGG or MP3 sound."
        )
    return ImagePart(data, name) if kind.startswith("image/") else AudioPart(data, name)


def part_from_file(path: Path) -> ImagePart | AudioPart:
    """An uploaded file as a message part; raises what `part_from_bytes` raises.

    Raises:
        BadMediaError: it cannot be read, because it waited for too long to be sent.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadMediaError(
            f"{path.name} is not here any more: attach it again, then send your message."
        ) from error
    return part_from_bytes(data, path.name)


def parts_from_files(
    paths: Sequence[Path],
) -> tuple[list[ImagePart | AudioPart], dict[Path, str]]:
    """Uploaded files as message parts, and of those that are none the sentences that say why."""
    parts: list[ImagePart | AudioPart] = []
    bad: dict[Path, str] = {}
    for path in paths:
        try:
            parts.append(part_from_file(path))
        except BadMediaError as error:
            bad[path] = str(error)
    return parts, bad


def snapshot_bytes(data_url: str, max_bytes: int) -> bytes:
    """The JPEG in a camera snapshot's data: URL.

    Raises:
        BadMediaError: it is no JPEG, or too large.
    """
    sentence = "The snapshot did not arrive in one piece: please take it again."
    if not data_url.startswith(SNAPSHOT_PREFIX) or len(data_url) > max_bytes:
        raise BadMediaError(sentence)
    try:
        data = base64.b64decode(data_url[len(SNAPSHOT_PREFIX) :], validate=True)
    except binascii.Error as error:
        raise BadMediaError(sentence) from error
    if media_type(data) != "image/jpeg":
        raise BadMediaError(sentence)
    return data


def in_turn_order(media: Sequence[ImagePart | AudioPart], text: str) -> tuple[Part, ...]:
    """The parts of one message as the model was trained on: pictures, sounds, then text."""
    pictures = [part for part in media if isinstance(part, ImagePart)]
    sounds = [part for part in media if isinstance(part, AudioPart)]
    words = [TextPart(text)] if text.strip() else []
    return (*pictures, *sounds, *words)
