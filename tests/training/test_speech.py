"""Spoken sentences: how a voice is varied, and the way from a text to a recording."""

from __future__ import annotations

import random

import numpy as np
import pytest

from core.training import speech
from core.training.speech import change_speed, reshape, speak
from core.training.voices import RATE_HZ, VoiceGroup, missing_synthesizers
from tests.media import noise, silence, tone

SENTENCE = "How many sides does a triangle have?"


def loudest_hz(samples: np.ndarray) -> float:
    """The frequency with most power."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / RATE_HZ)[spectrum.argmax()])


def share_near(samples: np.ndarray, hz: float) -> float:
    """How much of the power lies within 25 Hz."""
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(power[np.abs(hertz - hz) < 25].sum() / power.sum())


@pytest.mark.parametrize("speed", [0.72, 0.85, 1.2, 1.4])
@pytest.mark.parametrize("hz", [110.0, 440.0, 1500.0])
def test_speed_changes_the_length_and_neither_pitch_nor_purity(speed: float, hz: float) -> None:
    changed = change_speed(tone(1.5, hz), speed)
    assert len(changed) == round(1.5 * RATE_HZ / speed)
    assert loudest_hz(changed) == pytest.approx(hz, abs=2)
    assert share_near(changed, hz) > 0.98
    assert 0.45 < np.abs(changed).max() < 0.55


def test_a_sounds_moments_stay_in_order_and_in_place() -> None:
    low, high = tone(0.5, 300.0), tone(0.5, 1200.0)
    changed = change_speed(np.concatenate([low, high]), 0.8)
    middle = len(changed) // 2
    assert share_near(changed[: middle - 800], 300) > 0.98
    assert share_near(changed[middle + 800 :], 1200) > 0.98


@pytest.mark.parametrize("num_samples", [0, 1, 100, 5000])
def test_the_shortest_sounds_are_varied_too(num_samples: int) -> None:
    for seed in range(20):
        shaped = reshape(silence(num_samples), random.Random(seed))
        assert len(shaped) <= num_samples / 0.84 + 2
        assert np.isfinite(shaped).all()


@pytest.mark.parametrize("seed", range(25))
def test_a_shaped_voice_stays_near_the_one_it_was(seed: int) -> None:
    shaped = reshape(tone(1.0), random.Random(seed))
    assert shaped.dtype == np.float32
    assert 1 / 1.21 < len(shaped) / RATE_HZ < 1 / 0.84
    assert 0.84 * 440 < loudest_hz(shaped) < 1.19 * 440
    assert 0.4 < np.abs(shaped).max() < 0.6
    assert np.array_equal(shaped, reshape(tone(1.0), random.Random(seed)))


def test_length_and_pitch_are_drawn_apart() -> None:
    shaped = [reshape(tone(1.0), random.Random(seed)) for seed in range(60)]
    as_long = [x for x in shaped if abs(len(x) - RATE_HZ) <= 2]
    assert any(abs(loudest_hz(x) - 440) > 20 for x in as_long)
    as_high = [x for x in shaped if abs(loudest_hz(x) - 440) < 2]
    assert any(abs(len(x) - RATE_HZ) > 1000 for x in as_high)


def test_some_voices_are_duller_and_some_brighter() -> None:
    hiss = noise(RATE_HZ)
    hertz = np.fft.rfftfreq(RATE_HZ, 1 / RATE_HZ)
    ratios = []
    for seed in range(60):
        shaped = np.resize(reshape(hiss, random.Random(seed)), RATE_HZ)
        power = np.abs(np.fft.rfft(shaped)) ** 2
        ratios.append(power[(hertz > 2000) & (hertz < 4000)].mean() / power[hertz < 1000].mean())
    assert min(ratios) < 0.5
    assert max(ratios) > 2


@pytest.mark.parametrize("group", ["trained", "unseen voice", "unseen synthesizer"])
def test_a_text_becomes_a_recording_that_is_the_same_every_time(group: VoiceGroup) -> None:
    if missing := missing_synthesizers((group,)):
        pytest.skip(f"needs {' '.join(missing)}: apt-get install {' '.join(missing)}")
    first, again, other = (speak(SENTENCE, random.Random(seed), group) for seed in (5, 5, 6))
    assert first.dtype == np.float32
    assert 1.2 * RATE_HZ < len(first) < 6 * RATE_HZ
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("group", "is_shaped"),
    [("trained", True), ("unseen voice", False), ("unseen synthesizer", False)],
)
def test_only_trained_voices_are_shaped(
    group: VoiceGroup, is_shaped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    shaped: list[np.ndarray] = []

    def remember(waveform: np.ndarray, rng: random.Random) -> np.ndarray:
        shaped.append(waveform)
        return waveform

    monkeypatch.setattr(speech, "synthesize", lambda text, voice: tone(0.5))
    monkeypatch.setattr(speech, "reshape", remember)
    speak(SENTENCE, random.Random(0), group)
    assert bool(shaped) == is_shaped
