"""What is saved is what is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from audio.load import load_sound
from audio.save import wav_bytes
from tests.media import tone


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_saved_samples_are_loaded_again_to_within_a_step_of_16_bits(dtype: type) -> None:
    waveform = tone(0.5)
    samples = waveform if dtype == np.float32 else np.round(waveform * 32767).astype(np.int16)
    loaded = load_sound(wav_bytes(samples))
    assert loaded.shape == waveform.shape
    assert np.abs(loaded - waveform).max() <= 2 / 32768


def test_too_loud_samples_are_clipped_and_do_not_wrap() -> None:
    loaded = load_sound(wav_bytes(np.array([2.0, -2.0] * 800, dtype=np.float32)))
    assert loaded[::2].min() > 0.99
    assert loaded[1::2].max() < -0.99
