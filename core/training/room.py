"""What a room and a microphone make of clean speech: echo, noise, a narrow band, clipping, gain.

Everything is drawn from a seed and made in code. Leaves out: who speaks (voices.py), how a voice
is varied (speech.py), and what is varied anew at every step of training (mel_augment.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import numpy as np

from core.training.voices import RATE_HZ

CLEAN_SHARE: Final = 0.3  # of the clips: silence around the words and gain, nothing else
SILENCE_S: Final = (0.05, 0.6)
PEAK: Final = (0.05, 1.0)
SNR_DB: Final = (8.0, 45.0)
# How often a clip that is not clean meets each.
ECHO_SHARE: Final = 0.5
NOISE_SHARE: Final = 0.8
RUMBLE_SHARE: Final = 0.2
CHEAP_MICROPHONE_SHARE: Final = 0.35
CLIPPING_SHARE: Final = 0.14
TELEPHONE_SHARE: Final = 0.14

Noise = Callable[[np.ndarray, random.Random, np.random.Generator], np.ndarray]


def record(waveform: np.ndarray, rng: random.Random) -> np.ndarray:
    """Put clean speech into a room and before a microphone, both drawn from `rng`.

    Args:
        waveform: mono samples at 16 kHz, float32, shape (num_samples,).
    Returns:
        The recording, longer by a silence before and after: float32 in [-1, 1], mono, 16 kHz.
    """
    draw = np.random.default_rng(rng.getrandbits(32))
    lead, tail = (int(rng.uniform(*SILENCE_S) * RATE_HZ) for _ in range(2))
    level = float(np.sqrt(np.mean(np.square(waveform)))) if len(waveform) else 0.0
    samples = np.pad(waveform, (lead, tail)).astype(np.float32)
    if rng.random() >= CLEAN_SHARE:
        samples = _spoil(samples, level, rng, draw)
    # Even in ratio: quiet recordings are as frequent as loud ones.
    peak = PEAK[0] * (PEAK[1] / PEAK[0]) ** rng.random()
    samples = samples * (peak / max(1e-4, float(np.abs(samples).max(initial=0))))
    return np.clip(samples, -1, 1).astype(np.float32)


def _spoil(
    samples: np.ndarray, level: float, rng: random.Random, draw: np.random.Generator
) -> np.ndarray:
    """A clip that is not clean, in the order in which a sound meets the things."""
    if rng.random() < ECHO_SHARE:
        samples = reverberate(samples, rng.uniform(0.1, 0.6), rng.uniform(0, 15), draw)
    if rng.random() < NOISE_SHARE:
        noise = _noise(samples, rng, draw)
        snr_db = rng.uniform(*SNR_DB)
        samples = samples + _unit(noise) * level * 10 ** (-snr_db / 20)
    if rng.random() < RUMBLE_SHARE:
        samples = samples + _rumble(len(samples), rng, draw) * level
    if rng.random() < CHEAP_MICROPHONE_SHARE:
        samples = low_pass(samples, rng.uniform(3500, 8000), rng.randint(4, 16))
    if rng.random() < CLIPPING_SHARE:
        samples = _overdrive(samples, rng)
    if rng.random() < TELEPHONE_SHARE:
        samples = telephone(samples)
    return samples


def reverberate(
    samples: np.ndarray, decay_s: float, direct_db: float, draw: np.random.Generator
) -> np.ndarray:
    """Speech with a room's early reflections and its decaying tail.

    Args:
        samples: shape (num_samples,).
        decay_s: how long an echo takes to fall by 60 dB (RT60).
        direct_db: by how much the direct sound is stronger than all echoes together.
    Returns:
        Shape (num_samples,): what still sounds after the end is cut off.
    """
    time_s = np.arange(int(decay_s * RATE_HZ), dtype=np.float32) / RATE_HZ
    echo = draw.normal(size=len(time_s)) * np.exp(-6.9 * time_s / decay_s)
    mixing = int(0.03 * RATE_HZ)  # from here on, echoes are too dense to be told apart
    echo[:mixing] *= np.linspace(0, 1, mixing)[: len(echo)]
    num_early = int(draw.integers(4, 12))
    early = draw.integers(int(0.001 * RATE_HZ), mixing, num_early)
    echo[early] += draw.choice((-1, 1), num_early) * 2 * np.exp(-early / mixing)
    echo *= 10 ** (-direct_db / 20) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    size = _fast_size(len(samples) + len(echo))
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(echo, size)
    return np.fft.irfft(spectrum, size)[: len(samples)]


def telephone(samples: np.ndarray) -> np.ndarray:
    """Only what a telephone line lets through: 300 to 3400 Hz."""
    return apply_gains(samples, lambda hertz: (hertz >= 300) & (hertz <= 3400))


def low_pass(samples: np.ndarray, edge_hz: float, order: int) -> np.ndarray:
    """A microphone or codec that dulls: half the power at the edge, steeper by order."""
    return apply_gains(samples, lambda hertz: 1 / np.sqrt(1 + (hertz / edge_hz) ** (2 * order)))


def _overdrive(samples: np.ndarray, rng: random.Random) -> np.ndarray:
    """Too loud for its amplifier: peaks are flattened softly or cut off."""
    drive = rng.uniform(1.5, 5) / max(1e-4, float(np.abs(samples).max(initial=0)))
    return np.tanh(samples * drive) if rng.random() < 0.5 else np.clip(samples * drive, -1, 1)


def _steady_noise(samples: np.ndarray, rng: random.Random, draw: np.random.Generator) -> np.ndarray:
    """From white (a hiss) to brown (traffic far away)."""
    tilt = rng.uniform(0, 1.1)
    white = draw.standard_normal(len(samples), dtype=np.float32)
    return apply_gains(white, lambda hertz: np.maximum(hertz, 20.0) ** -tilt)


def _wavering_noise(
    samples: np.ndarray, rng: random.Random, draw: np.random.Generator
) -> np.ndarray:
    """A coloured noise that comes and goes a few times a second."""
    num_points = 2 + int(len(samples) / RATE_HZ * rng.uniform(1, 6))
    points = draw.uniform(0.05, 1, num_points)
    envelope = np.interp(np.linspace(0, num_points - 1, len(samples)), range(num_points), points)
    return _steady_noise(samples, rng, draw) * envelope


def _babble(samples: np.ndarray, rng: random.Random, draw: np.random.Generator) -> np.ndarray:
    """People talk: the speech itself, backwards, a few times at other moments."""
    backwards = samples[::-1]
    shifts = [rng.randrange(max(1, len(samples))) for _ in range(rng.randint(3, 7))]
    voices = [np.roll(backwards, shift) * rng.uniform(0.4, 1) for shift in shifts]
    return np.sum(voices, axis=0) + 0.1 * _unit(_steady_noise(samples, rng, draw)) * np.std(samples)


def _hum(samples: np.ndarray, rng: random.Random, draw: np.random.Generator) -> np.ndarray:
    """The mains and their harmonics, and some hiss."""
    mains_hz, time_s = rng.choice((50, 60)), np.arange(len(samples)) / RATE_HZ
    hum = np.zeros(len(samples))
    for harmonic in range(1, 8):
        turns = mains_hz * harmonic * time_s + rng.random()
        hum += rng.random() / harmonic * np.sin(2 * np.pi * turns)
    return hum + rng.uniform(0.02, 0.5) * draw.standard_normal(len(samples))


# Each kind of noise, and how often it is met.
NOISES: Final[tuple[tuple[Noise, int], ...]] = (
    (_steady_noise, 4),
    (_wavering_noise, 3),
    (_babble, 2),
    (_hum, 1),
)


def _noise(samples: np.ndarray, rng: random.Random, draw: np.random.Generator) -> np.ndarray:
    """Noise of one kind, as long as the samples."""
    kinds, shares = zip(*NOISES, strict=True)
    make: Noise = rng.choices(kinds, shares)[0]
    return make(samples, rng, draw)


def _rumble(num: int, rng: random.Random, draw: np.random.Generator) -> np.ndarray:
    """A constant, and what shakes the microphone far below speech; about speech's level."""
    shaking = apply_gains(draw.standard_normal(num, dtype=np.float32), lambda hertz: hertz < 60)
    return rng.uniform(-0.3, 0.3) + rng.uniform(0, 0.6) * _unit(shaking)


def apply_gains(samples: np.ndarray, gain_at: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Each frequency of a sound times a gain.

    Args:
        samples: shape (num_samples,).
        gain_at: frequencies in hertz -> the gains there.
    """
    size = _fast_size(len(samples))
    gains = gain_at(np.fft.rfftfreq(size, 1 / RATE_HZ))
    return np.fft.irfft(np.fft.rfft(samples, size) * gains, size)[: len(samples)]


def _fast_size(num: int) -> int:
    """A size at least `num` that a Fourier transform is fast at: no large prime in it."""
    return max(1024, num + -num % 1024)


def _unit(samples: np.ndarray) -> np.ndarray:
    """At a root mean square of one."""
    return samples / max(1e-9, float(np.sqrt(np.mean(np.square(samples)))))
