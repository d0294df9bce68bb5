"""16 kHz mono samples -> the bytes of a WAV file. Leaves out: every other format and rate."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from audio.log_mel import SAMPLE_RATE_HZ


def wav_bytes(samples: np.ndarray) -> bytes:
    """A mono 16-bit WAV file.

    Args:
        samples: at 16 kHz, shape (num_samples,): int16, or float in [-1, 1].
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE_HZ, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
