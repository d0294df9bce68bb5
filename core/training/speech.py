"""Spoken sentences: espeak-ng in many voices, then a room, a microphone and some noise.

Leaves out: what is said (world.py, scenes.py) and features (audio/log_mel.py).
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

import numpy as np
import soundfile
import soxr

RATE_HZ: Final = 16_000
ACCENTS: Final = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
TRAINED_VARIANTS: Final = (
    "f1 f2 f3 f5 m1 m2 m3 m4 m5 m7 m8 Andy Annie Alex Alicia Lee Mike Gene adam anika benjamin "
    "caleb david ed edward john miguel paul pedro rob steph travis victor"
).split()
HELD_OUT_VARIANTS: Final = "f4 m6 linda robert Andrea Michael".split()


@dataclass(frozen=True)
class Voice:
    """One espeak-ng voice: speed in words a minute, pitch from 0 to 99."""

    accent: str
    variant: str
    speed: int
    pitch: int


def sample_voice(rng: random.Random, variants: list[str]) -> Voice:
    """A voice of one of the variants, at an everyday speed and pitch."""
    accent = rng.choices(ACCENTS, (5, 4, 2, 1, 1))[0]
    return Voice(accent, rng.choice(variants), rng.randint(135, 195), rng.randint(30, 70))


def has_synthesizer() -> bool:
    """True where espeak-ng is installed."""
    return shutil.which("espeak-ng") is not None


def synthesize(text: str, voice: Voice) -> np.ndarray:
    """Speak a text.

    Returns:
        Mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,).
    Raises:
        FileNotFoundError: espeak-ng is not installed.
    """
    command = ["espeak-ng", "--stdin", "--stdout", "-v", f"{voice.accent}+{voice.variant}"]
    command += ["-s", str(voice.speed), "-p", str(voice.pitch)]
    spoken = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(spoken), dtype="float32")
    resampled: np.ndarray = soxr.resample(samples, rate_hz, RATE_HZ)
    return resampled


def record(waveform: np.ndarray, rng: random.Random) -> np.ndarray:
    """What a microphone in a room makes of clean speech: silence, echo, band, noise, gain."""
    noise = np.random.default_rng(rng.getrandbits(32))
    lead, tail = (int(rng.uniform(0.02, 0.35) * RATE_HZ) for _ in range(2))
    samples = np.pad(waveform, (lead, tail))
    if rng.random() < 0.3:
        samples = _reverberate(samples, rng, noise)
    if rng.random() < 0.15:
        samples = _telephone(samples)
    samples = samples / max(1e-4, float(np.abs(samples).max())) * rng.uniform(0.08, 0.95)
    if rng.random() < 0.6:
        level = float(np.sqrt(np.mean(samples**2))) * 10 ** (-rng.uniform(12, 40) / 20)
        samples = samples + _coloured_noise(len(samples), rng.uniform(0, 1), noise) * level
    return np.clip(samples, -1, 1).astype(np.float32)


def _reverberate(samples: np.ndarray, rng: random.Random, noise: np.random.Generator) -> np.ndarray:
    decay_s = rng.uniform(0.05, 0.25)
    time_s = np.arange(int(decay_s * RATE_HZ)) / RATE_HZ
    echo = noise.normal(size=len(time_s)) * np.exp(-6.9 * time_s / decay_s)
    echo *= rng.uniform(0.1, 0.4) / np.sqrt(np.sum(echo**2))
    echo[0] = 1.0
    size = len(samples) + len(echo)
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(echo, size)
    return np.fft.irfft(spectrum, size)[: len(samples)]


def _telephone(samples: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(samples)
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    spectrum[(hertz < 300) | (hertz > 3400)] = 0
    return np.fft.irfft(spectrum, len(samples))


def _coloured_noise(num: int, tilt: float, noise: np.random.Generator) -> np.ndarray:
    """Noise of unit power whose spectrum falls with frequency to the power `tilt`."""
    spectrum = np.fft.rfft(noise.normal(size=num))
    spectrum /= np.maximum(1.0, np.arange(len(spectrum))) ** tilt
    samples = np.fft.irfft(spectrum, num)
    return samples / max(1e-9, float(np.sqrt(np.mean(samples**2))))
