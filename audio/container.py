"""What a sound file says about itself, checked before any decoder sees it.

libsndfile plays what there is of a WAV or OGG file that was cut short, takes a WAV header with
sizes of 0 for silence, and guesses the length of an MP3 stream that does not tell it. All three
would lose sound without a word, so the sizes are read here first.
Leaves out: decoding (load.py), the frames of MP3 (mp3.py).
"""

from __future__ import annotations

import struct
from typing import Final

from audio import mp3
from audio.errors import CUT_SHORT, EMPTY_FILE, NOT_A_SOUND, AudioError

RIFF_HEADER_BYTES: Final = 12
CHUNK_HEADER_BYTES: Final = 8
OGG_HEADER_BYTES: Final = 27
OGG_LAST_PAGE: Final = 4  # the flag of the page that ends the stream
ID3_HEADER_BYTES: Final = 10

# Programs that write to a pipe cannot go back to fill in the size: they leave 0, 0xFFFFFFFF, or
# (sox, espeak-ng) a little under 2 GiB.
STREAMED_FROM_BYTES: Final = 0x7FFF_0000


def prepare(data: bytes) -> bytes:
    """The file as the decoder should see it.

    Args:
        data: a sound file's bytes.
    Returns:
        The same bytes, or a copy without a tag in front, or with a header that tells the length
        that the writer left open. It begins as WAV, FLAC, OGG or MP3 does.
    Raises:
        AudioError: the file is empty, is no sound, or ends before its own header says.
    """
    if not data:
        raise AudioError(EMPTY_FILE)
    data = _without_tag(data)
    if data[:4] in (b"RIFF", b"RF64") and data[8:12] == b"WAVE":
        return _prepare_wav(data)
    if data[:4] == b"OggS":
        _check_ogg(data)
        return data
    if mp3.is_mp3(data):
        return mp3.prepare(data)
    if data[:4] == b"fLaC":
        return data
    raise AudioError(NOT_A_SOUND)


def _without_tag(data: bytes) -> bytes:
    """What follows an ID3 tag, if there is one, and the zeros that may pad it.

    A tag is common before MP3 but may stand before any sound, and the decoder counts it as sound.
    """
    if data[:3] != b"ID3" or len(data) < ID3_HEADER_BYTES:
        return data
    num_bytes = 0
    for byte in data[6:ID3_HEADER_BYTES]:  # four groups of seven bits
        num_bytes = num_bytes << 7 | byte & 0x7F
    return data[ID3_HEADER_BYTES + num_bytes :].lstrip(b"\0")


def _prepare_wav(data: bytes) -> bytes:
    """Check the data chunk's size against the file; fill it in where a stream left it 0."""
    offset = _data_chunk(data)
    (num_bytes,) = struct.unpack_from("<I", data, offset + 4)
    (riff_num_bytes,) = struct.unpack_from("<I", data, 4)
    held = len(data) - offset - CHUNK_HEADER_BYTES
    if held < num_bytes < STREAMED_FROM_BYTES:
        raise AudioError(CUT_SHORT)
    # A finished header knows the file's size, so its 0 means that there is no sound.
    if num_bytes == 0 and riff_num_bytes != len(data) - CHUNK_HEADER_BYTES:
        start = offset + CHUNK_HEADER_BYTES
        return data[: offset + 4] + struct.pack("<I", held) + data[start:]
    return data


def _data_chunk(data: bytes) -> int:
    """Where the chunk that holds the samples begins."""
    offset = RIFF_HEADER_BYTES
    while offset + CHUNK_HEADER_BYTES <= len(data):
        if data[offset : offset + 4] == b"data":
            return offset
        (num_bytes,) = struct.unpack_from("<I", data, offset + 4)
        offset += CHUNK_HEADER_BYTES + num_bytes + num_bytes % 2  # chunks begin at even offsets
    raise AudioError(CUT_SHORT)


def _check_ogg(data: bytes) -> None:
    """Walk the pages: the last one has to be whole."""
    offset = 0
    is_last_page = True
    while data[offset : offset + 4] == b"OggS":
        header_end = offset + OGG_HEADER_BYTES
        if header_end > len(data):
            raise AudioError(CUT_SHORT)
        is_last_page = bool(data[offset + 5] & OGG_LAST_PAGE)
        num_segments = data[header_end - 1]
        segment_bytes = data[header_end : header_end + num_segments]
        offset = header_end + num_segments + sum(segment_bytes)
        if offset > len(data):
            raise AudioError(CUT_SHORT)
    if not is_last_page:  # cut between two pages
        raise AudioError(CUT_SHORT)
