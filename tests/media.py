"""Pictures and sounds for tests, made in code: nothing binary is kept in the repository."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from typing import Final

import numpy as np
import pytest
import soundfile
from PIL import Image, ImageDraw

RATE_HZ: Final = 16_000


def tone(
    seconds: float, hz: float = 440.0, rate_hz: int = RATE_HZ, peak: float = 0.5
) -> np.ndarray:
    """A sine, float32, shape (num_samples,)."""
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (peak * np.sin(2 * np.pi * hz * times_s)).astype(np.float32)


def noise(num_samples: int, peak: float = 0.3, seed: int = 0) -> np.ndarray:
    """White noise, float32, shape (num_samples,)."""
    return np.random.default_rng(seed).uniform(-peak, peak, num_samples).astype(np.float32)


def silence(num_samples: int) -> np.ndarray:
    """Zeros, float32, shape (num_samples,)."""
    return np.zeros(num_samples, np.float32)


def sound_file(
    samples: np.ndarray, rate_hz: int = RATE_HZ, kind: str = "WAV", subtype: str | None = None
) -> bytes:
    """Samples, (num_samples,) or (num_samples, num_channels), as a file of libsndfile's `kind`."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=kind, subtype=subtype)
    return file.getvalue()


def raw_wav(
    samples: bytes, rate_hz: int = RATE_HZ, num_channels: int = 1, data_bytes: int | None = None
) -> bytes:
    """A 16-bit WAV put together by hand; `data_bytes` is what its header claims, true or not."""
    claimed = len(samples) if data_bytes is None else data_bytes
    frame_bytes = 2 * num_channels
    layout = struct.pack(
        "<HHIIHH", 1, num_channels, rate_hz, rate_hz * frame_bytes & 0xFFFFFFFF, frame_bytes, 16
    )
    riff_bytes = claimed if claimed in (0, 0xFFFFFFFF) and samples else claimed + 36
    head = b"RIFF" + struct.pack("<I", riff_bytes) + b"WAVEfmt " + struct.pack("<I", 16) + layout
    return head + b"data" + struct.pack("<I", claimed) + samples


def speech_file(text: str, voice: str = "en", words_a_minute: int = 160) -> bytes:
    """A WAV file of espeak-ng saying `text` (22 050 Hz mono); skips the test without espeak-ng."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed")
    command = [program, "--stdout", "-v", voice, "-s", str(words_a_minute), text]
    return subprocess.run(command, check=True, capture_output=True, timeout=30).stdout


def picture(width_px: int, height_px: int, seed: int = 0) -> Image.Image:
    """A drawn RGB picture: a smooth sky, and shapes with hard edges."""
    across = np.linspace(0, 255, width_px, dtype=np.float32)[None, :]
    down = np.linspace(0, 255, height_px, dtype=np.float32)[:, None]
    sky = np.stack([across + 0 * down, down + 0 * across, (across + down) / 2], axis=-1)
    drawn = Image.fromarray(sky.astype(np.uint8))
    _draw_shapes(ImageDraw.Draw(drawn), width_px, height_px, seed)
    return drawn


def _draw_shapes(draw: ImageDraw.ImageDraw, width_px: int, height_px: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(8):
        x = sorted(int(value) for value in random.integers(0, max(width_px, 2), 2))
        y = sorted(int(value) for value in random.integers(0, max(height_px, 2), 2))
        red, green, blue = (int(value) for value in random.integers(0, 256, 3))
        draw.ellipse((x[0], y[0], x[1], y[1]), fill=(red, green, blue))
        draw.line((x[0], y[1], x[1], y[0]), fill=(blue, red, green), width=3)


def picture_file(drawn: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """A picture as a file of Pillow's `kind`."""
    file = io.BytesIO()
    drawn.save(file, kind, **options)
    return file.getvalue()
