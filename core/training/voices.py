"""Voices: three speech synthesizers, which voices are trained on, and which are kept for tests.

espeak-ng and flite speak what is trained on. Some of their voices are kept apart, and festival is
kept apart altogether, so that tests can ask for a voice and for a synthesizer never heard before.
Leaves out: what is said (world.py, scenes.py) and what is done to the sound (speech.py, room.py).
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import soundfile
import soxr

RATE_HZ: Final = 16_000
KEPT_SILENCE_S: Final = 0.04  # before and after the words
SILENCE_SHARE: Final = 0.01  # of the loudest sample; quieter is silence
NATURAL_SPEED: Final = 170  # words a minute of flite and festival when nothing is asked for
NATURAL_PITCH: Final = 50  # espeak-ng's middle, of 0 to 99

Synthesizer = Literal["espeak-ng", "flite", "festival"]
VoiceGroup = Literal["trained", "unseen voice", "unseen synthesizer"]
GROUPS: Final[tuple[VoiceGroup, ...]] = ("trained", "unseen voice", "unseen synthesizer")

ACCENTS: Final = {"en-us": 5, "en-gb": 4, "en-gb-x-rp": 2, "en-gb-scotland": 1, "en-029": 1}
TRAINED_VARIANTS: Final = tuple(
    "f1 f2 f3 f5 m1 m2 m3 m4 m5 m7 m8 Andy Annie Alex Alicia Lee Mike Gene adam anika benjamin "
    "caleb david ed edward john miguel paul pedro rob steph travis victor antonio grandma grandpa "
    "marcelo shelby klatt2 klatt3".split()
)
HELD_OUT_VARIANTS: Final = tuple("f4 m6 linda robert Andrea Michael".split())

# By group: a synthesizer, how often it speaks, and its voices (for espeak-ng, its variants).
SPEAKERS: Final[dict[VoiceGroup, tuple[tuple[Synthesizer, int, tuple[str, ...]], ...]]] = {
    "trained": (("espeak-ng", 6, TRAINED_VARIANTS), ("flite", 4, ("kal16", "awb", "slt"))),
    "unseen voice": (("espeak-ng", 2, HELD_OUT_VARIANTS), ("flite", 1, ("rms",))),
    "unseen synthesizer": (("festival", 1, ("ked_diphone", "cmu_us_slt_arctic_hts")),),
}
# Words a minute that are asked for. For the same, rms takes a fifth longer than others: who learns
# from everyday speeds alone knows neither its slow sentences nor people who take their time.
SPEEDS: Final[dict[VoiceGroup, tuple[int, int]]] = {
    "trained": (90, 220),
    "unseen voice": (130, 210),
    "unseen synthesizer": (130, 210),
}
# The pitch at which each speaks by itself; rms and the HTS voice keep theirs, whatever is asked.
NATURAL_HZ: Final = {"kal16": 95, "awb": 130, "slt": 172, "rms": 106, "ked_diphone": 105}

# Debian's package, the synthesizer that needs it, and the program or folder that shows it is there.
PACKAGES: Final[tuple[tuple[str, Synthesizer, str], ...]] = (
    ("espeak-ng", "espeak-ng", "espeak-ng"),
    ("flite", "flite", "flite"),
    ("festival", "festival", "text2wave"),
    ("festvox-kdlpc16k", "festival", "/usr/share/festival/voices/english/ked_diphone"),
    ("festvox-us-slt-hts", "festival", "/usr/share/festival/voices/us/cmu_us_slt_arctic_hts"),
)


@dataclass(frozen=True)
class Voice:
    """One voice, and how it speaks.

    Args:
        synthesizer: the program that speaks.
        name: its voice; for espeak-ng an accent and a variant, "en-us+f2".
        speed: words a minute, about.
        pitch: from 0 to 99; 50 is the voice's own.
    """

    synthesizer: Synthesizer
    name: str
    speed: int = NATURAL_SPEED
    pitch: int = NATURAL_PITCH


def sample_voice(rng: random.Random, group: VoiceGroup) -> Voice:
    """A voice of a group, at an everyday pitch, and speed; trained ones are slower too."""
    speakers = SPEAKERS[group]
    synthesizer, _, names = rng.choices(speakers, [share for _, share, _ in speakers])[0]
    name = rng.choice(names)
    if synthesizer == "espeak-ng":
        name = f"{rng.choices(tuple(ACCENTS), tuple(ACCENTS.values()))[0]}+{name}"
    return Voice(synthesizer, name, rng.randint(*SPEEDS[group]), rng.randint(25, 75))


def missing_synthesizers(groups: Sequence[VoiceGroup] = GROUPS) -> tuple[str, ...]:
    """The Debian packages that the voices of these groups need and that are not installed."""
    needed = {synthesizer for group in groups for synthesizer, _, _ in SPEAKERS[group]}
    return tuple(
        package
        for package, synthesizer, shows in PACKAGES
        if synthesizer in needed and not (shutil.which(shows) or Path(shows).is_dir())
    )


def synthesize(text: str, voice: Voice) -> np.ndarray:
    """Speak a text, with a short silence at most before and after it.

    Returns:
        Mono samples at 16 kHz, float32 in [-1, 1], shape (num_samples,).
    Raises:
        FileNotFoundError: the synthesizer is not installed.
        ValueError: there is nothing to say.
    """
    if not text.strip():
        raise ValueError("There is nothing to say: the text is empty.")
    samples, rate_hz = SPEAK[voice.synthesizer](text, voice)
    if rate_hz != RATE_HZ:
        samples = np.clip(soxr.resample(samples, rate_hz, RATE_HZ), -1, 1)
    return _trimmed(samples)


def _espeak(text: str, voice: Voice) -> tuple[np.ndarray, int]:
    command = ["espeak-ng", "--stdin", "--stdout", "-v", voice.name]
    command += ["-s", str(voice.speed), "-p", str(voice.pitch)]
    spoken = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
    return _read(io.BytesIO(spoken))


def _flite(text: str, voice: Voice) -> tuple[np.ndarray, int]:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:  # flite appends each sentence to it
        command = ["flite", "-voice", voice.name, "-t", text, "-o", file.name]
        command += ["--setf", f"duration_stretch={NATURAL_SPEED / voice.speed:.3f}"]
        command += ["--setf", f"int_f0_target_mean={_pitch_hz(voice):.1f}"]
        subprocess.run(command, capture_output=True, check=True)
        return _read(file)


def _festival(text: str, voice: Voice) -> tuple[np.ndarray, int]:
    stretch = NATURAL_SPEED / voice.speed
    settings = {  # in festival's Scheme
        "ked_diphone": f"(Parameter.set 'Duration_Stretch {stretch:.3f}) (set! int_lr_params "
        f"'((target_f0_mean {_pitch_hz(voice):.1f}) (target_f0_std 15) (model_f0_mean 170) "
        "(model_f0_std 34)))",
        "cmu_us_slt_arctic_hts": "(set! hts_engine_params (append hts_engine_params "
        f'(list (list "-r" {1 / stretch:.3f}))))',
    }[voice.name]
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:  # its header is written at the end
        command = ["text2wave", "-o", file.name]
        command += ["-eval", f"(begin (voice_{voice.name}) {settings})"]
        subprocess.run(command, input=text.encode(), capture_output=True, check=True)
        return _read(file)


Speak = Callable[[str, Voice], tuple[np.ndarray, int]]  # -> samples, their rate in hertz
SPEAK: Final[dict[Synthesizer, Speak]] = {
    "espeak-ng": _espeak,
    "flite": _flite,
    "festival": _festival,
}


def _pitch_hz(voice: Voice) -> float:
    """The mean pitch asked for: half an octave up or down at the ends of the scale."""
    natural = NATURAL_HZ.get(voice.name, 0)
    return float(natural * 2 ** ((voice.pitch - NATURAL_PITCH) / 100))


def _read(file: object) -> tuple[np.ndarray, int]:
    samples, rate_hz = soundfile.read(file, dtype="float32")
    return samples, rate_hz


def _trimmed(samples: np.ndarray) -> np.ndarray:
    """Without the silence around the words, but for KEPT_SILENCE_S."""
    loudness = np.abs(samples)
    loud = np.flatnonzero(loudness > SILENCE_SHARE * loudness.max(initial=0))
    if not len(loud):
        return samples
    kept = int(KEPT_SILENCE_S * RATE_HZ)
    return samples[max(0, loud[0] - kept) : loud[-1] + 1 + kept]
