"""How words are pronounced: what the audio encoder's middle is asked for, beside the words.

From words alone the encoder learns each of a few hundred words by heart, and takes one that it is
not sure of for any other: "nurse" for "ghost". Phonemes are what words have in common; a voice that
says one of them in its own way says it so in all of them.
Sources: CTC in the middle of an encoder too: Lee and Watanabe, "Intermediate loss regularization
for CTC-based speech recognition" (ICASSP 2021, arXiv 2102.03216); there of phonemes: Sanabria and
Metze, "Hierarchical multitask learning with CTC" (SLT 2018, arXiv 1807.07104).
Leaves out: the stage (speech_stages.py).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from core.training.exchange import words_of

ACCENT: Final = "en-us"
NUM_PARTS: Final = 4  # of an encoder frame of 80 ms: two phonemes may be said in one
STRESS: Final = "ˈˌ"


@dataclass(frozen=True)
class SpokenPhonemes:
    """What clips say, as classes: phonemes in the order of the alphabet, and the blank.

    Args:
        by_clip: each clip's classes.
        blank: the class of "nothing new", behind all others.
    """

    by_clip: tuple[tuple[int, ...], ...]
    blank: int


def spoken_phonemes(said: Sequence[str]) -> SpokenPhonemes:
    """The phonemes of what clips say."""
    words = [words_of(sentence).split() for sentence in said]
    known = pronunciations(sorted({word for sentence in words for word in sentence}))
    phonemes = sorted({phoneme for word in known.values() for phoneme in word})
    class_of = {phoneme: number for number, phoneme in enumerate(phonemes)}
    by_clip = (
        tuple(class_of[phoneme] for word in sentence for phoneme in known[word])
        for sentence in words
    )
    return SpokenPhonemes(tuple(by_clip), len(phonemes))


def pronunciations(words: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Each word's phonemes in the international alphabet, without stress, as espeak-ng has them."""
    if not words:
        return {}
    command = ["espeak-ng", "-q", "-v", ACCENT, "--ipa", "--sep=_"]
    # A dot behind each word: words that stand alone are not said as parts of a sentence.
    lines = subprocess.run(
        command, input="".join(f"{word}.\n\n" for word in words), text=True, capture_output=True
    ).stdout.split("\n")
    spelled = [line.strip() for line in lines if line.strip()]
    if len(spelled) != len(words):
        raise RuntimeError(f"espeak-ng pronounced {len(spelled)} words of {len(words)}.")
    return {word: _phonemes(line) for word, line in zip(words, spelled, strict=True)}


def _phonemes(line: str) -> tuple[str, ...]:
    plain = line.translate(str.maketrans("", "", STRESS))
    return tuple(part for part in plain.replace(" ", "_").split("_") if part)


class PhonemeHead(nn.Linear):
    """Tells phonemes from what the encoder's middle says, several for each of its frames.

    Args:
        width: of the encoder.
        num_classes: the blank too.
    """

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__(width, NUM_PARTS * num_classes)

    def log_probs(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of each class in each part of a frame.

        Args:
            hidden: (num_clips, num_frames, width).
        Returns:
            float32, (NUM_PARTS * num_frames, num_clips, num_classes).
        """
        num_clips, num_frames, _ = hidden.shape
        scores = self(hidden).float().view(num_clips, num_frames * NUM_PARTS, -1)
        return scores.log_softmax(-1).transpose(0, 1)
