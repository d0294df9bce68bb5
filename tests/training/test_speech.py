"""Spoken sentences: what espeak-ng says, and what a room and a microphone make of it."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

from core.training.materials import clip_at, clip_waveform
from core.training.speech import (
    ACCENTS,
    HELD_OUT_VARIANTS,
    RATE_HZ,
    TRAINED_VARIANTS,
    Voice,
    record,
    sample_voice,
    synthesize,
)

SENTENCE = "How many sides does a triangle have?"
VOICE = Voice("en-us", "f2", 160, 50)


def tone(num_samples: int = RATE_HZ) -> np.ndarray:
    """A steady 440 Hz tone at half the largest level."""
    time_s = np.arange(num_samples) / RATE_HZ
    return (0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


@cache
def plain_voice() -> np.ndarray:
    """What is said in a variant that does not exist."""
    return synthesize("No.", Voice("en-us", "there-is-no-such-variant", 160, 50))


def test_held_out_voices_are_others_than_the_trained() -> None:
    assert not set(map(str.lower, TRAINED_VARIANTS)) & set(map(str.lower, HELD_OUT_VARIANTS))
    assert len(set(TRAINED_VARIANTS)) == len(TRAINED_VARIANTS)


@pytest.mark.parametrize("variants", [TRAINED_VARIANTS, HELD_OUT_VARIANTS])
def test_voices_are_sampled_from_the_given_variants_in_every_accent(variants: list[str]) -> None:
    rng = random.Random(0)
    voices = [sample_voice(rng, variants) for _ in range(600)]
    assert {voice.variant for voice in voices} == set(variants)
    assert {voice.accent for voice in voices} == set(ACCENTS)
    assert all(100 < voice.speed < 220 and 0 <= voice.pitch <= 99 for voice in voices)


@pytest.mark.parametrize("seed", range(20))
def test_a_recording_is_longer_by_its_silences_and_never_clips_over(seed: int) -> None:
    recorded = record(tone(), random.Random(seed))
    assert recorded.dtype == np.float32
    assert recorded.ndim == 1
    assert 0.04 * RATE_HZ - 2 <= len(recorded) - RATE_HZ <= 0.7 * RATE_HZ
    assert 0.02 < np.abs(recorded).max() <= 1.0
    assert np.array_equal(recorded, record(tone(), random.Random(seed)))


@pytest.mark.parametrize("seed", range(20))
def test_the_tone_is_still_the_loudest_in_its_recording(seed: int) -> None:
    recorded = record(tone(), random.Random(seed))
    spectrum = np.abs(np.fft.rfft(recorded))
    loudest_hz = np.fft.rfftfreq(len(recorded), 1 / RATE_HZ)[spectrum.argmax()]
    assert loudest_hz == pytest.approx(440, abs=3)


def test_recording_silence_gives_no_number_that_is_none() -> None:
    assert np.isfinite(record(np.zeros(8000, np.float32), random.Random(3))).all()


@pytest.mark.espeak
def test_a_sentence_is_spoken_at_16_khz_for_about_as_long_as_people_take() -> None:
    spoken = synthesize(SENTENCE, VOICE)
    assert spoken.dtype == np.float32
    assert spoken.ndim == 1
    num_words = len(SENTENCE.split())
    plain_s = num_words / VOICE.speed * 60
    assert 0.6 * plain_s < len(spoken) / RATE_HZ < 1.8 * plain_s
    assert 0.1 < np.abs(spoken).max() <= 1.0


@pytest.mark.espeak
def test_faster_is_shorter() -> None:
    slow, fast = (synthesize(SENTENCE, Voice("en-us", "f2", speed, 50)) for speed in (135, 195))
    assert len(fast) < 0.85 * len(slow)


@pytest.mark.espeak
def test_the_same_clip_sounds_the_same_every_time() -> None:
    clip = clip_at("train", 3, num_scenes=10)
    first = clip_waveform("train", 3, clip.spoken)
    assert np.array_equal(first, clip_waveform("train", 3, clip.spoken))
    assert not np.array_equal(first, clip_waveform("held_out", 3, clip.spoken))


@pytest.mark.espeak
@pytest.mark.parametrize("variant", [*TRAINED_VARIANTS, *HELD_OUT_VARIANTS])
def test_every_variant_exists_and_changes_the_voice(variant: str) -> None:
    # espeak-ng falls back to the plain voice, without a word, where it does not know a variant.
    spoken = synthesize("No.", Voice("en-us", variant, 160, 50))
    assert not np.array_equal(spoken, plain_voice())


def test_clips_of_the_two_splits_ask_differently_and_picture_clips_name_their_scene() -> None:
    clips = [clip_at("held_out", index, num_scenes=9) for index in range(200)]
    assert {clip.kind for clip in clips} == {"world", "picture"}
    for clip in clips:
        assert (0 <= clip.scene < 9) if clip.kind == "picture" else clip.scene == -1
    train = {clip_at("train", i, 9).spoken for i in range(600)}
    assert not train & {clip.spoken for clip in clips if clip.kind == "world"}
