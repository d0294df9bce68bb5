"""16 kHz waveforms -> log-mel frames, and how many tokens those cost.

Leaves out: the mean and variance, which the model applies itself, and padding: one sound at a time.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np

from audio.errors import AudioError

SAMPLE_RATE_HZ: Final = 16_000
WINDOW_MS: Final = 25
HOP_MS: Final = 10
WINDOW_SAMPLES: Final = SAMPLE_RATE_HZ * WINDOW_MS // 1000  # 400
HOP_SAMPLES: Final = SAMPLE_RATE_HZ * HOP_MS // 1000  # 160
FFT_SAMPLES: Final = 1 << (WINDOW_SAMPLES - 1).bit_length()  # 512, the next power of two
NUM_BINS: Final = FFT_SAMPLES // 2 + 1  # 257, one every 31.25 Hz
NUM_MELS: Final = 80
MAX_MEL_HZ: Final = 7_690.0
PREEMPHASIS: Final = 0.97
INT16_SCALE: Final = 32_768.0  # the model was trained on 16-bit samples as they stand
MIN_ENERGY: Final = 1.0  # so that silence is log(1) = 0
FRAMES_PER_TOKEN: Final = 8  # the encoder's convolutions; 80 ms a token

# Half an hour is 180 000 frames: 2048 at a time (20 s) keep the working memory at some 30 MB.
BLOCK_FRAMES: Final = 2_048
FRAMES_AT_ONCE: Final = 12  # of 257 bins and 80 filters: below what OpenBLAS gives several threads


def log_mel(waveform: np.ndarray) -> np.ndarray:
    """Turn sound into the log-mel frames that Phi-4-multimodal was trained on.

    One 25 ms Hamming window every 10 ms; a last partial window is dropped, not padded.

    Args:
        waveform: mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,).
    Returns:
        Natural-log mel energies, float32, shape (num_frames, 80).
    Raises:
        AudioError: the waveform is not one-dimensional, or lasts less than one window.
    Source: Phi4MultimodalFeatureExtractor of transformers.
    """
    if waveform.ndim != 1:
        raise AudioError("The sound has several channels; mix it down to one.")
    frames = _frames(waveform.astype(np.float32, copy=False))  # (num_frames, 400), a view
    energies = np.empty((len(frames), NUM_MELS), np.float32)
    for start in range(0, len(frames), BLOCK_FRAMES):
        block = slice(start, start + BLOCK_FRAMES)
        _filter(_power(_emphasise(frames[block])), energies[block])
    np.maximum(energies, MIN_ENERGY, out=energies)
    return np.log(energies, out=energies)


def _filter(power: np.ndarray, energies: np.ndarray) -> None:
    """Fill in what the mel filters let through of each frame.

    A few frames at a time, which NumPy multiplies in this thread: for more its library wakes
    threads that go on spinning for a while, on the cores that the reply is computed on.

    Args:
        power: shape (num_frames, 257).
        energies: to be filled, shape (num_frames, 80).
    """
    for start in range(0, len(power), FRAMES_AT_ONCE):
        few = slice(start, start + FRAMES_AT_ONCE)
        np.matmul(power[few], mel_filters(), out=energies[few])


def num_sound_frames(num_samples: int) -> int:
    """How many frames `num_samples` at 16 kHz make.

    Raises:
        AudioError: there are fewer samples than one window takes.
    """
    if num_samples < WINDOW_SAMPLES:
        raise AudioError(f"The sound is shorter than {WINDOW_MS} ms; record a longer one.")
    return (num_samples - WINDOW_SAMPLES) // HOP_SAMPLES + 1


def num_sound_tokens(num_frames: int) -> int:
    """How many tokens stand for `num_frames` frames: one for every eight begun."""
    return -(-num_frames // FRAMES_PER_TOKEN)


@cache
def mel_filters() -> np.ndarray:
    """Triangles that overlap by half, evenly spaced in mel. Float32, read-only, shape (257, 80)."""
    bin_mels = _hz_to_mel(np.arange(NUM_BINS) * (SAMPLE_RATE_HZ / FFT_SAMPLES))[:, None]
    lowest, highest = _hz_to_mel(np.array([0.0, MAX_MEL_HZ]))
    edges = np.linspace(lowest, highest, NUM_MELS + 2)
    widths = np.diff(edges)
    rising = (bin_mels - edges[:-2]) / widths[:-1]
    falling = (edges[2:] - bin_mels) / widths[1:]
    filters = np.asarray(np.minimum(rising, falling).clip(min=0.0), np.float32)
    filters.setflags(write=False)
    return filters


def _hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Kaldi's mel scale."""
    mel: np.ndarray = 1127.0 * np.log1p(hz / 700.0)
    return mel


def _frames(waveform: np.ndarray) -> np.ndarray:
    """Overlapping windows, a view of shape (num_frames, 400)."""
    num_sound_frames(len(waveform))  # refuses a sound without one whole window
    return np.lib.stride_tricks.sliding_window_view(waveform, WINDOW_SAMPLES)[::HOP_SAMPLES]


def _emphasise(frames: np.ndarray) -> np.ndarray:
    """Lift high frequencies: subtract from each sample most of the one before it.

    Each frame is on its own, so its first sample has nothing before it and stands in for that.
    Float32 throughout, like the training code: the rounding shows in the quietest bins.
    """
    emphasised = np.empty(frames.shape, np.float32)
    emphasised[:, :1] = frames[:, :1] - PREEMPHASIS * frames[:, :1]
    emphasised[:, 1:] = frames[:, 1:] - PREEMPHASIS * frames[:, :-1]
    emphasised *= INT16_SCALE
    return emphasised


def _power(frames: np.ndarray) -> np.ndarray:
    """Power spectrum of each frame, float32, shape (num_frames, 257).

    The transform runs in float64: next to a loud tone, float32 noise would drown the quiet bins.
    """
    spectrum = np.fft.rfft(frames * np.hamming(WINDOW_SAMPLES), n=FFT_SAMPLES)
    power: np.ndarray = spectrum.real**2 + spectrum.imag**2
    return power.astype(np.float32)
