"""Sound files and raw samples -> mono 16 kHz waveforms.

Everything runs block by block, down-mixed and resampled on the way, so that memory grows with
the seconds kept and not with what a hostile file unpacks to. That is why soxr is called directly:
it resamples a stream, and its stream equals its one-shot result.
Leaves out: video containers and everything else that needs ffmpeg; microphones.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import soundfile
import soxr

from audio.container import prepare
from audio.errors import CUT_SHORT, AudioError
from audio.log_mel import SAMPLE_RATE_HZ

BLOCK_FRAMES: Final = 65_536

# A FLAC or MP3 header that does not know its length reads as something near 2**63.
UNKNOWN_FROM_FRAMES: Final = 2**62
# By how many frames decoding may fall short of the header before that means a cut: MP3 encoders
# and decoders trim up to one MP3 frame. WAV and OGG are absent, container.py has seen to them.
SLACK_FRAMES: Final = {"FLAC": 0, "MP3": 1_152}

# Sound that reaches beyond +24 dB of full scale was never scaled to -1..1 in the first place.
PEAK_LIMIT: Final = 16.0


@dataclass(frozen=True)
class SoundLimits:
    """What is accepted. The defaults hold half an hour of 16-bit stereo at 48 kHz."""

    min_seconds: float = 0.1
    max_seconds: float = 1_800.0
    max_channels: int = 8
    max_bytes: int = 384 * 2**20
    min_rate_hz: int = 1_000
    max_rate_hz: int = 384_000


DEFAULT_LIMITS: Final = SoundLimits()


def load_sound(data: bytes, limits: SoundLimits = DEFAULT_LIMITS) -> np.ndarray:
    """Decode a sound file.

    Args:
        data: the bytes of a WAV, FLAC, OGG (Vorbis or Opus) or MP3 file.
        limits: what is accepted.
    Returns:
        Mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,). Channels are averaged.
    Raises:
        AudioError: the file is empty, no sound, cut short, too short, too long, or has a rate,
            channels or samples that make no sense.
    """
    if len(data) > limits.max_bytes:
        max_mib = limits.max_bytes / 2**20
        raise AudioError(f"The sound file is larger than {max_mib:.0f} MiB; attach a shorter one.")
    with _open(prepare(data)) as sound:
        _check_shape(sound.samplerate, sound.channels, limits)
        if sound.frames < UNKNOWN_FROM_FRAMES:
            _check_not_too_long(sound.frames, sound.samplerate, limits)
        return _to_waveform(_decoded(sound), sound.samplerate, limits)


def from_samples(
    rate_hz: int, samples: np.ndarray, limits: SoundLimits = DEFAULT_LIMITS
) -> np.ndarray:
    """Take samples as a browser or a sound card hands them over.

    Args:
        rate_hz: samples a second.
        samples: uint8, int16, int32 (full scale) or float in [-1, 1]; shape (num_samples,) or
            (num_samples, num_channels).
        limits: what is accepted.
    Returns:
        As `load_sound`.
    Raises:
        AudioError: as `load_sound`, and for arrays of another shape or kind.
    """
    if samples.ndim not in (1, 2):
        raise AudioError("The samples are no sound; give one row of them, or one column a channel.")
    columns = samples.reshape(len(samples), -1) if samples.size else samples.reshape(0, 1)
    _check_shape(rate_hz, columns.shape[1], limits)
    _check_not_too_long(len(columns), rate_hz, limits)
    starts = range(0, len(columns), BLOCK_FRAMES)
    blocks = (_as_float(columns[start : start + BLOCK_FRAMES]) for start in starts)
    return _to_waveform(blocks, rate_hz, limits)


class _ForwardSoundFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read once from front to back.

    The library seeks after every read of a seekable file, which fails where a streamed FLAC
    header leaves the length open.
    """

    def seekable(self) -> bool:
        return False


def _open(data: bytes) -> _ForwardSoundFile:
    """Open a file that `prepare` let pass; the decoder's own words never reach people."""
    try:
        return _ForwardSoundFile(io.BytesIO(data))
    except soundfile.SoundFileError:
        raise AudioError(CUT_SHORT) from None


def _decoded(sound: _ForwardSoundFile) -> Iterator[np.ndarray]:
    """Yield blocks, float32, shape (num_frames, num_channels), until the file ends."""
    num_frames = 0
    while len(block := _read(sound)):
        num_frames += len(block)
        yield block
    slack = SLACK_FRAMES.get(sound.format)
    if slack is not None and num_frames + slack < sound.frames < UNKNOWN_FROM_FRAMES:
        raise AudioError(CUT_SHORT)


def _read(sound: _ForwardSoundFile) -> np.ndarray:
    """Read the next block."""
    try:
        return np.asarray(sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True))
    except soundfile.SoundFileError:
        raise AudioError(CUT_SHORT) from None


def _to_waveform(blocks: Iterable[np.ndarray], rate_hz: int, limits: SoundLimits) -> np.ndarray:
    """Blocks of float32, shape (num_frames, num_channels) -> one waveform of 16 kHz."""
    stream = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32", quality="HQ")
    is_resampled = rate_hz != SAMPLE_RATE_HZ
    num_frames = 0
    pieces = []
    for block in blocks:
        num_frames += len(block)
        _check_not_too_long(num_frames, rate_hz, limits)
        mono = _down_mix(block)
        pieces.append(stream.resample_chunk(mono) if is_resampled else mono)
    _check_not_too_short(num_frames, rate_hz, limits)
    if is_resampled:
        pieces.append(stream.resample_chunk(np.zeros(0, np.float32), last=True))
    waveform = np.concatenate(pieces)
    return np.clip(waveform, -1.0, 1.0, out=waveform)


def _down_mix(block: np.ndarray) -> np.ndarray:
    """Average the channels of one block, (num_frames, num_channels) -> (num_frames,)."""
    if not np.isfinite(block).all():
        raise AudioError("The sound holds samples that are not numbers; export it again.")
    if np.abs(block).max(initial=0.0) > PEAK_LIMIT:
        raise AudioError("The sound's samples lie far beyond -1 to 1; export it as 16-bit WAV.")
    return np.ascontiguousarray(block.mean(axis=1, dtype=np.float32))


def _as_float(block: np.ndarray) -> np.ndarray:
    """Integers of full scale -> float32 in [-1, 1]; floats as they are."""
    if block.dtype == np.uint8:  # 8-bit sound is stored around 128
        return (block.astype(np.float32) - 128.0) / 128.0
    if block.dtype in (np.int16, np.int32):
        full_scale = -float(np.iinfo(block.dtype).min)
        return (block / full_scale).astype(np.float32)
    if np.issubdtype(block.dtype, np.floating):
        return block.astype(np.float32)
    raise AudioError("The samples are no sound; give 8, 16 or 32-bit integers, or floats.")


def _check_shape(rate_hz: int, num_channels: int, limits: SoundLimits) -> None:
    """Refuse rates and channels outside the limits."""
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz:
        raise AudioError(
            f"The sound has {rate_hz} samples a second; "
            f"resample it to between {limits.min_rate_hz} and {limits.max_rate_hz}."
        )
    if not 1 <= num_channels <= limits.max_channels:
        raise AudioError(
            f"The sound has {num_channels} channels; mix it down to 1 to {limits.max_channels}."
        )


def _check_not_too_long(num_frames: int, rate_hz: int, limits: SoundLimits) -> None:
    """Refuse more than the limit, by the header before decoding and by the count during it."""
    if num_frames > limits.max_seconds * rate_hz:
        raise AudioError(
            f"The sound is longer than {limits.max_seconds / 60:g} minutes; attach a part of it."
        )


def _check_not_too_short(num_frames: int, rate_hz: int, limits: SoundLimits) -> None:
    """Refuse nothing at all, and less than the model can hear."""
    if num_frames == 0:
        raise AudioError("The sound file holds no sound; attach one that holds a recording.")
    if num_frames < limits.min_seconds * rate_hz:
        raise AudioError(
            f"The sound lasts {num_frames / rate_hz:.2g} s; "
            f"record at least {limits.min_seconds:g} s."
        )
