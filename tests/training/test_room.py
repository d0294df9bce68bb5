"""The room and the microphone: what they do to a tone, to noise and to silence."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.training.room import low_pass, record, reverberate, telephone
from core.training.voices import RATE_HZ
from tests.media import noise, silence, tone

CLIP = tone(1.0)


def recordings(waveform: np.ndarray, num: int) -> list[np.ndarray]:
    """What as many rooms make of a sound."""
    return [record(waveform, random.Random(seed)) for seed in range(num)]


def share_of_power(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    """How much of the power lies between two frequencies."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(power[(hertz >= low_hz) & (hertz <= high_hz)].sum() / power.sum())


@pytest.mark.parametrize("seed", range(25))
def test_a_recording_is_longer_by_its_silences_and_never_clips_over(seed: int) -> None:
    recorded = record(CLIP, random.Random(seed))
    assert recorded.dtype == np.float32
    assert recorded.ndim == 1
    assert 0.1 * RATE_HZ - 2 <= len(recorded) - RATE_HZ <= 1.2 * RATE_HZ
    assert 0.049 < np.abs(recorded).max() <= 1.0
    assert np.array_equal(recorded, record(CLIP, random.Random(seed)))


def test_recordings_differ_from_seed_to_seed_in_length_and_loudness() -> None:
    made = recordings(CLIP, 40)
    assert len({len(recorded) for recorded in made}) > 35
    peaks = sorted(np.abs(recorded).max() for recorded in made)
    assert peaks[4] < 0.15
    assert peaks[-5] > 0.5


def test_the_tone_is_still_the_loudest_in_its_recordings() -> None:
    # The mains' hum or a rumble may be as loud as speech: look at speech's frequencies only.
    for recorded in recordings(CLIP, 30):
        above = np.abs(np.fft.rfft(recorded))
        hertz = np.fft.rfftfreq(len(recorded), 1 / RATE_HZ)
        above[hertz < 250] = 0
        assert hertz[above.argmax()] == pytest.approx(440, abs=3)


def test_about_three_in_ten_recordings_are_clean() -> None:
    made = recordings(CLIP, 300)
    clean = sum(not recorded[:700].any() and not recorded[-700:].any() for recorded in made)
    # Besides the clean ones, some that are spoilt keep a silence before the words and after.
    assert 0.25 < clean / 300 < 0.5


def test_a_telephone_lets_nothing_through_above_its_band() -> None:
    heard = telephone(noise(RATE_HZ))
    assert share_of_power(heard, 3600, 8000) < 1e-4
    assert share_of_power(heard, 0, 200) < 1e-4
    assert share_of_power(heard, 300, 3400) > 0.99


def test_about_one_recording_in_ten_comes_by_telephone() -> None:
    made = recordings(noise(RATE_HZ), 300)
    by_telephone = sum(share_of_power(recorded, 3600, 8000) < 1e-4 for recorded in made)
    assert 0.05 < by_telephone / 300 < 0.16


def test_a_dull_microphone_halves_the_power_at_its_edge() -> None:
    at_edge, far_below = (
        np.std(low_pass(tone(1.0, hz), 4000, 8)) / np.std(tone(1.0, hz)) for hz in (4000, 1000)
    )
    assert at_edge == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert far_below == pytest.approx(1, abs=0.01)
    assert np.std(low_pass(tone(1.0, 6000.0), 4000, 8)) < 0.02


@pytest.mark.parametrize("decay_s", [0.1, 0.3, 0.6])
def test_an_echo_fades_by_60_db_in_its_time(decay_s: float) -> None:
    click = silence(RATE_HZ)
    click[0] = 1.0
    heard = reverberate(click, decay_s, 3, np.random.default_rng(0))
    end = int(decay_s * RATE_HZ)
    power = np.square(heard)
    assert heard[0] == pytest.approx(1.0)
    early, late = (power[int(share * end) :][: end // 10].mean() for share in (0.4, 0.8))
    assert 10 * np.log10(early / late) == pytest.approx(0.4 * 60, abs=5)
    assert not power[end + 1 :].max() > 1e-12


def test_echoes_are_as_strong_as_is_asked() -> None:
    click = silence(RATE_HZ)
    click[0] = 1.0
    heard = reverberate(click, 0.4, 6, np.random.default_rng(1))
    assert np.sum(heard[1:] ** 2) == pytest.approx(10**-0.6, rel=0.05)


@pytest.mark.parametrize("num_samples", [0, 1, 8000])
def test_recording_silence_gives_finite_numbers(num_samples: int) -> None:
    for recorded in recordings(silence(num_samples), 30):
        assert np.isfinite(recorded).all()
