"""Log-mel frames against the feature extractor of transformers."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import Phi4MultimodalFeatureExtractor

from audio.errors import AudioError
from audio.load import load_sound
from audio.log_mel import BLOCK_FRAMES, log_mel, mel_filters, num_sound_frames, num_sound_tokens
from tests.media import noise, silence, speech_file, tone

TOLERANCE = 1e-3

# 640 samples more make 4 frames; 1280 make 8, which is one token.
BOUNDARIES = [
    *(400, 401, 559, 560, 561, 719, 720, 721),
    *(400 + 160 * 7 - 1, 400 + 160 * 7, 400 + 160 * 8 - 1, 400 + 160 * 8),
    *(400 + 160 * 15, 400 + 160 * 16),
    400 + 160 * (BLOCK_FRAMES - 1),
    400 + 160 * BLOCK_FRAMES,
    40 * 16_000,
    400 + 160 * 3_999,  # 4000 frames: 500 encoder frames, the longest single window
    400 + 160 * 4_000,  # one more: 501
]


@pytest.fixture(scope="module")
def reference() -> Phi4MultimodalFeatureExtractor:
    return Phi4MultimodalFeatureExtractor()


def assert_equal_to_reference(
    waveform: np.ndarray, reference: Phi4MultimodalFeatureExtractor
) -> None:
    expected = reference(waveform, sampling_rate=16_000, return_tensors="np")
    ours = log_mel(waveform)
    assert ours.dtype == np.float32
    assert ours.shape == expected["audio_input_features"][0].shape
    assert np.abs(ours - expected["audio_input_features"][0]).max() < TOLERANCE
    assert num_sound_tokens(len(ours)) == int(expected["audio_embed_sizes"][0])


@pytest.mark.espeak
def test_speech_equals_the_reference(reference: Phi4MultimodalFeatureExtractor) -> None:
    speech = load_sound(speech_file("Seven red squares lie under a blue circle."))
    assert_equal_to_reference(speech, reference)


@pytest.mark.parametrize(
    "waveform",
    [
        noise(48_000),
        noise(48_000, peak=1.0, seed=1),
        noise(48_000, peak=1e-4, seed=2),
        silence(48_000),
        tone(3, 440),
        tone(3, 1_000, peak=1.0),
        tone(3, 7_999, peak=1.0),
        tone(3, 50, peak=1e-3),
        np.sign(tone(3, 100)),
        np.concatenate([silence(8_000), noise(8_000), silence(8_000)]),
    ],
    ids=[
        *("noise", "loud noise", "faint noise", "silence", "tone", "loud tone", "highest tone"),
        *("faint hum", "square wave", "burst"),
    ],
)
def test_sounds_of_every_kind_equal_the_reference(
    waveform: np.ndarray, reference: Phi4MultimodalFeatureExtractor
) -> None:
    assert_equal_to_reference(waveform, reference)


@pytest.mark.parametrize("num_samples", BOUNDARIES)
def test_every_boundary_length_equals_the_reference(
    num_samples: int, reference: Phi4MultimodalFeatureExtractor
) -> None:
    assert_equal_to_reference(noise(num_samples, seed=num_samples), reference)


def test_filter_bank_equals_the_reference(reference: Phi4MultimodalFeatureExtractor) -> None:
    np.testing.assert_allclose(mel_filters(), reference.mel_filters, atol=1e-6)


def test_filter_bank_cannot_be_changed_by_a_caller() -> None:
    with pytest.raises(ValueError, match="read-only"):
        mel_filters()[0, 0] = 1.0


def test_silence_is_zero() -> None:
    assert not log_mel(silence(1_600)).any()


def test_a_block_border_changes_nothing() -> None:
    waveform = noise(400 + 160 * (BLOCK_FRAMES + 9))
    late_start = (BLOCK_FRAMES - 5) * 160
    np.testing.assert_allclose(
        log_mel(waveform)[BLOCK_FRAMES - 5 :], log_mel(waveform[late_start:]), atol=1e-5
    )


@pytest.mark.parametrize(
    ("num_samples", "num_frames", "num_tokens"),
    [(400, 1, 1), (559, 1, 1), (560, 2, 1), (1_520, 8, 1), (1_680, 9, 2), (640_000, 3_998, 500)],
)
def test_frames_and_tokens_are_counted_without_the_sound(
    num_samples: int, num_frames: int, num_tokens: int
) -> None:
    assert num_sound_frames(num_samples) == num_frames
    assert num_sound_tokens(num_frames) == num_tokens


@pytest.mark.parametrize("num_samples", [0, 1, 399])
def test_less_than_one_window_is_refused(num_samples: int) -> None:
    with pytest.raises(AudioError, match="shorter than 25 ms"):
        log_mel(silence(num_samples))


def test_stereo_is_refused() -> None:
    with pytest.raises(AudioError, match="mix it down"):
        log_mel(np.zeros((1_600, 2), np.float32))
