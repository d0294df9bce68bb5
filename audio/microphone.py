"""This machine's microphone: record some seconds, mono, at 16 kHz.

The stream opens at the device's own rate and is resampled afterwards; the callback only copies.
Leaves out: the browser's microphone (app/voice.py) and deciding when somebody speaks.
"""

from __future__ import annotations

import queue
import time
from typing import Any, Final

import numpy as np

from audio.errors import AudioError
from audio.load import from_samples

NO_PORTAUDIO: Final = (
    "The microphone needs PortAudio: install it (on Debian: apt install libportaudio2)."
)
NO_MICROPHONE: Final = (
    "No microphone can be opened on this computer: plug one in, or attach a sound file."
)
SILENT: Final = "The microphone gave no sound: check that nothing else is using it."
LONGEST_RECORDING_S: Final = 1800.0
# How much later than asked a block may come before the microphone counts as silent.
PATIENCE_S: Final = 3.0


def record(seconds: float) -> np.ndarray:
    """Record from the default microphone.

    Args:
        seconds: how long, above 0 and at most 1800.
    Returns:
        Mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,).
    Raises:
        AudioError: there is no PortAudio or no microphone, or it gives no sound.
    """
    if not 0 < seconds <= LONGEST_RECORDING_S:
        raise AudioError(
            f"A recording lasts up to {LONGEST_RECORDING_S:.0f} seconds: choose a number of them."
        )
    sounddevice = _sounddevice()
    blocks: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()

    def keep(block: np.ndarray, *_: object) -> None:
        blocks.put(block.copy())

    try:
        rate_hz = int(sounddevice.query_devices(kind="input")["default_samplerate"])
        with sounddevice.InputStream(samplerate=rate_hz, channels=1, callback=keep):
            samples = _collect(blocks, round(seconds * rate_hz), seconds)
    except (sounddevice.PortAudioError, ValueError, KeyError) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(NO_MICROPHONE) from error
    return from_samples(rate_hz, samples)


def _sounddevice() -> Any:
    """The library, loaded only when somebody records: it needs a system library."""
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(NO_PORTAUDIO) from error
    return sounddevice


def _collect(blocks: queue.SimpleQueue[np.ndarray], num_wanted: int, seconds: float) -> np.ndarray:
    """Blocks of shape (num, 1) until there are `num_wanted` samples."""
    kept: list[np.ndarray] = []
    num_kept = 0
    deadline_s = time.monotonic() + seconds + PATIENCE_S
    while num_kept < num_wanted:
        try:
            block = blocks.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            raise AudioError(SILENT) from None
        kept.append(block[:, 0])
        num_kept += len(block)
    return np.concatenate(kept)[:num_wanted]
