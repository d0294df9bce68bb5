"""Spoken sentences: a voice of a group, varied in speed, pitch and colour, in some room.

Leaves out: what is said (world.py, scenes.py) and features (audio/log_mel.py).
"""

from __future__ import annotations

import random
from typing import Final

import numpy as np
import soxr

from core.training.room import apply_gains, record
from core.training.voices import RATE_HZ, Voice, VoiceGroup, sample_voice, synthesize

__all__ = [  # with what a caller of speak may also want
    "Voice",
    "change_speed",
    "record",
    "reshape",
    "speak",
    "synthesize",
]

SPEED: Final = (0.85, 1.2)
PITCH: Final = (0.85, 1.18)
TILT_DB: Final = (-4.0, 4.0)  # an octave
SPEED_SHARE: Final = 0.5
PITCH_SHARE: Final = 0.6
TILT_SHARE: Final = 0.5
HOP: Final = 320  # 20 ms; two windows overlap at each sample
REACH: Final = 160  # how far from its place a window may be taken: a period of 100 Hz


def speak(text: str, rng: random.Random, group: VoiceGroup) -> np.ndarray:
    """A text as some voice of the group says it in some room.

    Only trained voices are reshaped: there are few of them, and tests shall hear others as they
    are.

    Returns:
        Mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,).
    Raises:
        FileNotFoundError: a synthesizer is not installed (see voices.missing_synthesizers).
    """
    spoken = synthesize(text, sample_voice(rng, group))
    return record(reshape(spoken, rng) if group == "trained" else spoken, rng)


def reshape(waveform: np.ndarray, rng: random.Random) -> np.ndarray:
    """Make another speaker of one: slower or faster, larger or smaller, duller or brighter.

    Each by its own chance; about one clip in ten stays as it is.

    Args:
        waveform: mono samples at 16 kHz, float32, shape (num_samples,).
    Returns:
        Float32 at 16 kHz, its length divided by the speed that was drawn.
    """
    speed = rng.uniform(*SPEED) if rng.random() < SPEED_SHARE else 1.0
    if rng.random() < PITCH_SHARE:
        pitch = rng.uniform(*PITCH)
        waveform = soxr.resample(waveform, RATE_HZ * pitch, RATE_HZ)  # pitch and formants together
        speed /= pitch
    if speed != 1.0:
        waveform = change_speed(waveform, speed)
    if rng.random() < TILT_SHARE:
        waveform = _tilt(waveform, rng.uniform(*TILT_DB))
    return waveform.astype(np.float32)


def change_speed(waveform: np.ndarray, speed: float) -> np.ndarray:
    """Speak faster (above 1) or slower at the same pitch.

    Windows are taken from the places where time should have come to, each moved a little to where
    it best goes on from the one before, and laid half over one another.
    Source: WSOLA (Verhelst and Roelands, ICASSP 1993).

    Args:
        waveform: shape (num_samples,).
        speed: above 0.
    Returns:
        Shape (round(num_samples / speed),).
    """
    num_samples = round(len(waveform) / speed)
    num_windows = -(-num_samples // HOP) + 1
    padded = np.pad(waveform, (HOP + REACH, 4 * HOP + 2 * REACH))
    padded = np.pad(padded, (0, max(0, int((num_windows + 4) * HOP * speed) - len(padded))))
    coarse = padded[: len(padded) // 2 * 2].reshape(-1, 2).mean(1)  # at half the rate, to search in
    window = np.hanning(2 * HOP + 1)[:-1].astype(np.float32)
    made = np.zeros((num_windows + 1) * HOP, np.float32)
    start = REACH  # the window before begins here; the first covers the silence that was padded
    made[: 2 * HOP] = padded[start : start + 2 * HOP] * window
    for index in range(1, num_windows):
        place = REACH + int(index * HOP * speed)
        start = _best_start(coarse, start + HOP, place)
        begin = index * HOP
        made[begin : begin + 2 * HOP] += padded[start : start + 2 * HOP] * window
    return made[HOP : HOP + num_samples]


def _best_start(coarse: np.ndarray, wanted: int, place: int) -> int:
    """Where, within REACH of `place`, the sound is most like the sound at `wanted`.

    Args:
        coarse: the samples at half their rate; places count samples at the full rate.
    """
    first = max(0, place - REACH) // 2
    target = coarse[wanted // 2 : wanted // 2 + HOP]
    around = coarse[first : first + HOP + REACH]
    return 2 * (first + int(np.correlate(around, target, "valid").argmax()))


def _tilt(samples: np.ndarray, db: float) -> np.ndarray:
    """Louder highs (above 0) or lows: so many decibels an octave, from 125 Hz on."""
    tilted = apply_gains(samples, lambda hertz: (np.maximum(hertz, 125) / 1000) ** (db / 6.02))
    return tilted * (np.abs(samples).max(initial=0) / max(1e-9, np.abs(tilted).max(initial=0)))
