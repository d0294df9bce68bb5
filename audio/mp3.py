"""The frames of an MP3 file: where they are and how many samples they make.

An MP3 file need not say how long it is. Without an information frame the decoder takes its guess
from the first frame's bit rate, and a stream of changing bit rate then loses its end. Counting
the frames and putting that number in front of them makes the guess unnecessary.
Leaves out: layers I and II and the rare "free format", whose frames do not tell their length.
Source: the frame header of ISO/IEC 11172-3 and 13818-3; the information frame as Xing defined it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FRAME_HEADER_BYTES: Final = 4
MPEG_1: Final = 3
LAYER_III: Final = 1
MONO: Final = 3

# Kilobits a second by the header's four bits; 0 means free format, 15 is not allowed.
KBPS_MPEG_1: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBPS_MPEG_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
# Hz by the header's two version bits (0 is version 2.5, 1 is not allowed) and two rate bits.
RATES_HZ: Final = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}

# Where bytes only look like frames, the search for more of them ends after some 0.2 s.
MAX_FALSE_STARTS: Final = 100_000

# 160 kbit/s in version 1, 96 in the others: roomy enough for an information frame at any rate.
INFORMATION_BITRATE_INDEX: Final = 10


@dataclass(frozen=True)
class _Frame:
    """One frame header: its length, and how far into the frame its audio data begins."""

    num_bytes: int
    side_info_bytes: int


def is_mp3(data: bytes) -> bool:
    """Whether an MP3 frame of known length begins the file."""
    return _frame_at(data, 0) is not None


def prepare(data: bytes) -> bytes:
    """The same sound with its number of frames in front.

    Args:
        data: a file for which `is_mp3` holds, without a tag in front.
    Returns:
        The same bytes where an information frame already tells the length, else a copy that
        begins with one.
    """
    first = _frame_at(data, 0)
    assert first is not None, "call is_mp3 first"
    if _has_information(data, first):
        return data
    return _information_frame(data, _count_frames(data)) + data


def _frame_at(data: bytes, offset: int) -> _Frame | None:
    """Read the frame header at `offset`; None where there is none that we can measure."""
    header = data[offset : offset + FRAME_HEADER_BYTES]
    if len(header) < FRAME_HEADER_BYTES or header[0] != 0xFF or header[1] < 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    bitrate_index, rate_index = header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or layer != LAYER_III or bitrate_index in (0, 15) or rate_index == 3:
        return None
    is_mono = header[3] >> 6 == MONO
    rate_hz = RATES_HZ[version][rate_index]
    padding_bytes = header[2] >> 1 & 1
    if version == MPEG_1:
        num_bytes = 144_000 * KBPS_MPEG_1[bitrate_index] // rate_hz + padding_bytes
        return _Frame(num_bytes, 17 if is_mono else 32)
    num_bytes = 72_000 * KBPS_MPEG_2[bitrate_index] // rate_hz + padding_bytes
    return _Frame(num_bytes, 9 if is_mono else 17)


def _has_information(data: bytes, first: _Frame) -> bool:
    """Whether the first frame is one that tells about the others."""
    offset = FRAME_HEADER_BYTES + first.side_info_bytes
    vbri = FRAME_HEADER_BYTES + 32  # another encoder's, at one place for every kind
    return data[offset : offset + 4] in (b"Xing", b"Info") or data[vbri : vbri + 4] == b"VBRI"


def _count_frames(data: bytes) -> int:
    """How many frames there are, the last one whole or not, across whatever lies between them.

    Files joined end to end keep their tags in between; there, a frame counts if it begins like
    the first one and another follows it.
    """
    num_frames, offset, is_in_step = 0, 0, True
    for _ in range(MAX_FALSE_STARTS):
        while (frame := _frame_at(data, offset)) and (is_in_step or _is_followed(data, offset)):
            num_frames += 1
            offset += frame.num_bytes
            is_in_step = True
        is_in_step = False
        offset = data.find(data[:2], offset + 1)
        if offset < 0:
            break
    return num_frames


def _is_followed(data: bytes, offset: int) -> bool:
    """Whether the frame at `offset` ends where one begins that is like the first."""
    frame = _frame_at(data, offset)
    return frame is not None and data.startswith(data[:2], offset + frame.num_bytes)


def _information_frame(data: bytes, num_frames: int) -> bytes:
    """A silent frame of the same kind that carries nothing but the number of frames."""
    header = bytearray(data[:FRAME_HEADER_BYTES])
    header[1] |= 1  # no checksum
    header[2] = INFORMATION_BITRATE_INDEX << 4 | header[2] & 0x0C
    frame = _frame_at(bytes(header), 0)
    assert frame is not None, "a frame of a fixed bit rate can always be measured"
    flags = (1).to_bytes(4, "big")  # only the first field, the number of frames, is there
    body = bytes(frame.side_info_bytes) + b"Xing" + flags + num_frames.to_bytes(4, "big")
    return (bytes(header) + body).ljust(frame.num_bytes, b"\0")
