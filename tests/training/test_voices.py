"""Voices: who speaks in which group, and what the three synthesizers say."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from core.training import voices
from core.training.voices import (
    ACCENTS,
    GROUPS,
    HELD_OUT_VARIANTS,
    NATURAL_HZ,
    RATE_HZ,
    SPEAKERS,
    TRAINED_VARIANTS,
    Synthesizer,
    Voice,
    VoiceGroup,
    missing_synthesizers,
    sample_voice,
    synthesize,
)

SENTENCE = "The old farmer sells three red apples."
QUOTES = "He didn't say \"stop\" (or 'go'); $HOME is Sam's -- isn't it? \\ `ls` & <b>"
SPOKEN_BY = {
    "espeak-ng": Voice("espeak-ng", "en-us+f2"),
    "flite": Voice("flite", "kal16"),
    "festival": Voice("festival", "ked_diphone"),
}
ONE_OF_EACH = list(SPOKEN_BY.values())
FLITE_AND_FESTIVAL = [
    Voice(synthesizer, name)
    for group in GROUPS
    for synthesizer, _, names in SPEAKERS[group]
    if synthesizer != "espeak-ng"
    for name in names
]


def needs(synthesizer: Synthesizer) -> None:
    """Skip a test where this synthesizer is not installed."""
    missing = missing_synthesizers() if synthesizer == "festival" else ()
    if shutil.which("text2wave" if synthesizer == "festival" else synthesizer) is None or missing:
        pytest.skip(f"needs {synthesizer} and its voices: apt-get install {synthesizer}")


def spoken_by(group: VoiceGroup, num: int = 600) -> list[Voice]:
    """Voices drawn from a group."""
    rng = random.Random(0)
    return [sample_voice(rng, group) for _ in range(num)]


def speaker(voice: Voice) -> tuple[str, str]:
    """Who speaks, whatever the accent."""
    return voice.synthesizer, voice.name.split("+")[-1].lower()


@cache
def plain_voice() -> np.ndarray:
    """What is said in a variant that does not exist."""
    return synthesize("No.", Voice("espeak-ng", "en-us+there-is-no-such-variant"))


def pitch_hz(samples: np.ndarray) -> float:
    """The median pitch of what is voiced, by autocorrelation."""
    found = []
    for start in range(0, len(samples) - 640, 320):
        frame = samples[start : start + 640] - samples[start : start + 640].mean()
        likeness = np.correlate(frame, frame, "full")[639:]
        lag = 40 + int(likeness[40:250].argmax())
        if np.abs(frame).max() > 0.05 and likeness[lag] > 0.6 * likeness[0]:
            found.append(RATE_HZ / lag)
    return float(np.median(found))


def test_no_speaker_is_in_two_groups() -> None:
    speakers = [{speaker(voice) for voice in spoken_by(group)} for group in GROUPS]
    assert sum(map(len, speakers)) == len(set.union(*speakers))


def test_no_speaker_is_named_twice_and_all_are_drawn() -> None:
    for group in GROUPS:
        named = [(s, name.lower()) for s, _, names in SPEAKERS[group] for name in names]
        assert len(named) == len(set(named))
        assert {speaker(voice) for voice in spoken_by(group)} == set(named)


def test_the_synthesizer_kept_for_tests_speaks_in_no_other_group() -> None:
    for group in GROUPS:
        heard = {voice.synthesizer for voice in spoken_by(group)}
        assert ("festival" in heard) == (group == "unseen synthesizer")


def test_most_trained_voices_are_of_espeak_and_many_of_flite() -> None:
    shares = Counter(voice.synthesizer for voice in spoken_by("trained"))
    assert 0.5 < shares["espeak-ng"] / 600 < 0.7
    assert shares["espeak-ng"] + shares["flite"] == 600


@pytest.mark.parametrize("group", GROUPS)
def test_voices_speak_at_everyday_speeds_and_pitches_in_every_accent(group: VoiceGroup) -> None:
    drawn = spoken_by(group)
    slowest, fastest = (90, 220) if group == "trained" else (130, 210)  # see SPEEDS
    assert all(slowest <= voice.speed <= fastest for voice in drawn)
    assert min(voice.speed for voice in drawn) < slowest + 5
    assert max(voice.speed for voice in drawn) > fastest - 5
    assert all(25 <= voice.pitch <= 75 for voice in drawn)
    accents = {voice.name.split("+")[0] for voice in drawn if voice.synthesizer == "espeak-ng"}
    assert accents == (set() if group == "unseen synthesizer" else set(ACCENTS))


def test_the_same_seed_draws_the_same_voices() -> None:
    assert spoken_by("trained", 20) == spoken_by("trained", 20)


def test_a_missing_synthesizer_is_named_only_for_the_groups_that_need_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(Path, "is_dir", lambda _: False)
    assert missing_synthesizers(("trained",)) == ("espeak-ng", "flite")
    wanted = ("festival", "festvox-kdlpc16k", "festvox-us-slt-hts")
    assert missing_synthesizers(("unseen synthesizer",)) == wanted
    assert missing_synthesizers() == ("espeak-ng", "flite", *wanted)


def test_nothing_is_missing_where_all_programs_and_voices_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: name if "/" not in name else None)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    assert missing_synthesizers() == ()


@pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.synthesizer)
def test_text_reaches_the_synthesizer_untouched(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_over: list[str] = []

    def run(command: list[str], input: bytes = b"", **_: object) -> None:
        handed_over.extend([*command, input.decode()])
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(FileNotFoundError):
        synthesize(QUOTES, voice)
    assert handed_over.count(QUOTES) == 1


@pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.synthesizer)
def test_quotes_and_brackets_end_no_sentence_before_its_end(voice: Voice) -> None:
    needs(voice.synthesizer)
    whole = synthesize("Sam's dog didn't say \"stop\" (or 'go') to the red apples.", voice)
    begun = synthesize("Sam's dog didn't say stop", voice)
    assert len(whole) > 1.5 * len(begun)


@pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.synthesizer)
def test_every_sentence_of_a_text_is_spoken(voice: Voice) -> None:
    needs(voice.synthesizer)
    one, two = (synthesize(text, voice) for text in (SENTENCE, f"{SENTENCE} {SENTENCE}"))
    assert len(two) > 1.9 * len(one)


@pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.synthesizer)
def test_letters_are_spelt_one_by_one(voice: Voice) -> None:
    needs(voice.synthesizer)
    word, spelt = synthesize("zebra", voice), synthesize("Z, E, B, R, A.", voice)
    assert len(spelt) > 2 * len(word)


@pytest.mark.parametrize("voice", [*ONE_OF_EACH, *FLITE_AND_FESTIVAL], ids=str)
def test_a_sentence_is_16_khz_sound_of_about_the_length_people_take(voice: Voice) -> None:
    needs(voice.synthesizer)
    spoken = synthesize(SENTENCE, voice)
    assert spoken.dtype == np.float32
    assert spoken.ndim == 1
    plain_s = len(SENTENCE.split()) / voice.speed * 60
    assert 0.6 * plain_s < len(spoken) / RATE_HZ < 1.8 * plain_s
    assert 0.1 < np.abs(spoken).max() <= 1.0


@pytest.mark.parametrize("voice", ONE_OF_EACH, ids=lambda voice: voice.synthesizer)
def test_little_silence_is_left_around_the_words(voice: Voice) -> None:
    needs(voice.synthesizer)
    loudness = np.abs(synthesize(SENTENCE, voice))
    edge = int(0.06 * RATE_HZ)
    assert loudness[:edge].max() > 0.005 * loudness.max()
    assert loudness[-edge:].max() > 0.005 * loudness.max()


@pytest.mark.parametrize(
    ("synthesizer", "name"),
    [
        ("espeak-ng", "en-us+f2"),
        ("flite", "kal16"),
        ("flite", "slt"),
        ("festival", "ked_diphone"),
        ("festival", "cmu_us_slt_arctic_hts"),
    ],
)
def test_faster_is_shorter(synthesizer: Synthesizer, name: str) -> None:
    needs(synthesizer)
    slow, fast = (synthesize(SENTENCE, Voice(synthesizer, name, speed)) for speed in (130, 200))
    assert len(fast) < 0.8 * len(slow)


@pytest.mark.parametrize("name", ["kal16", "awb", "slt", "ked_diphone"])
def test_pitch_rises_by_half_an_octave_at_most(name: str) -> None:
    synthesizer: Synthesizer = "festival" if name == "ked_diphone" else "flite"
    needs(synthesizer)
    low, high = (
        pitch_hz(synthesize(SENTENCE, Voice(synthesizer, name, pitch=pitch))) for pitch in (25, 75)
    )
    assert 1.2 < high / low < 1.65
    assert low < NATURAL_HZ[name] < 1.05 * high


@pytest.mark.espeak
@pytest.mark.parametrize("variant", [*TRAINED_VARIANTS, *HELD_OUT_VARIANTS])
def test_every_variant_exists_and_changes_the_voice(variant: str) -> None:
    # espeak-ng falls back to the plain voice, without a word, where it does not know a variant.
    spoken = synthesize("No.", Voice("espeak-ng", f"en-us+{variant}"))
    assert not np.array_equal(spoken, plain_voice())


@pytest.mark.espeak
def test_no_variant_sounds_exactly_like_another() -> None:
    names = [*TRAINED_VARIANTS, *HELD_OUT_VARIANTS]
    sounds = {synthesize("No.", Voice("espeak-ng", f"en-us+{name}")).tobytes() for name in names}
    assert len(sounds) == len(names)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_nothing_to_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="nothing to say"):
        synthesize(text, voices.Voice("espeak-ng", "en-us+f2"))
