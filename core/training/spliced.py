"""Sentences that nobody spoke, put together from words that were heard in clips.

A spoken question takes a synthesizer, a room and the audio encoder, and so there are some
thousands of them, which are soon known by heart: what a number or a country is asked for is then
guessed. But what the encoder hears of a word is much the same in whatever sentence it is said. So
any question of the world, and any sentence of the grammar, can be heard word by word: each as some
clip said it, often some that follow each other there, between a clip's silence before its words and
another's behind.
Source: concatenating segments of aligned training utterances into new ones: Lam and others,
"On-the-fly aligned data augmentation for sequence-to-sequence ASR" (Interspeech 2021, arXiv
2104.01393); here behind the encoder.
Leaves out: where words are said (word_frames.py) and what is to be said (sound_dialogues.py).
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import torch

from core.training.exchange import words_of
from core.training.heard_in_reply import WordFrames

MARGIN: Final = 3  # frames of 80 ms that a word keeps where a silence is before it, or behind
GOES_ON_SHARE: Final = 0.7  # of the words that a clip says next, where it says the next one
NUM_KEPT: Final = 4096  # sentences: far more than are drawn before they are learned
Splice = Callable[[random.Random, str], int | None]  # a sentence's number; None: it cannot be said


class Piece(NamedTuple):
    """A word as one clip says it.

    Args:
        clip: its index.
        start, stop: its frames in the clip.
        told: those of them that say it, counted from `start`.
        word: "" for a silence.
        number: which of the clip's pieces it is.
    """

    clip: int
    start: int
    stop: int
    told: tuple[int, ...]
    word: str
    number: int


class Sentence(NamedTuple):
    """A spliced sentence.

    Args:
        heard: as the encoder would have heard it, (num_frames, audio hidden).
        spoken: what it says.
        frames: where each of its words is said.
    """

    heard: torch.Tensor
    spoken: str
    frames: WordFrames


class Spliced:
    """Spliced sentences by number: the last NUM_KEPT.

    Args:
        encodings: of the clips, (num_frames, audio hidden).
        said: what each clip says.
        words: where each word of a clip is said; clips that are missing are not used.
        first: number of the first sentence.
    """

    def __init__(
        self,
        encodings: Mapping[int, torch.Tensor],
        said: Sequence[str],
        words: Mapping[int, WordFrames],
        first: int,
    ) -> None:
        self._encodings = encodings
        self._by_clip: dict[int, list[Piece]] = {}  # silences are the first and the last
        self._by_word: dict[str, list[Piece]] = {}
        for index, frames in words.items():
            spoken = words_of(said[index]).split()
            pieces = list(_pieces_of(index, spoken, frames, len(encodings[index])))
            self._by_clip[index] = pieces
            for piece in pieces[1:-1]:
                self._by_word.setdefault(piece.word, []).append(piece)
        self._clips = list(self._by_clip)
        self._kept: OrderedDict[int, Sentence] = OrderedDict()
        self._next = first

    def splice(self, rng: random.Random, sentence: str) -> int | None:
        """Say a sentence.

        Returns:
            Its number; None: some word of it was never said.
        """
        words = words_of(sentence).split()
        if not words or any(word not in self._by_word for word in words):
            return None
        pieces = [self._by_clip[rng.choice(self._clips)][0]]
        for word in words:
            next_ = self._by_clip[pieces[-1].clip][pieces[-1].number + 1]
            goes_on = next_.word == word and rng.random() < GOES_ON_SHARE
            pieces.append(next_ if goes_on else rng.choice(self._by_word[word]))
        pieces.append(self._by_clip[rng.choice(self._clips)][-1])
        heard = torch.cat([self._encodings[it.clip][it.start : it.stop] for it in pieces])
        number, self._next = self._next, self._next + 1
        self._kept[number] = Sentence(heard, sentence, tuple(_placed(pieces))[1:-1])
        if len(self._kept) > NUM_KEPT:
            self._kept.popitem(last=False)
        return number

    def __contains__(self, number: int) -> bool:
        return number in self._kept

    def __getitem__(self, number: int) -> Sentence:
        return self._kept[number]


def _pieces_of(
    clip: int, spoken: Sequence[str], frames: WordFrames, num_frames: int
) -> Iterator[Piece]:
    """The silence before a clip's words, each of them, and the silence behind; none overlap.

    Two words are parted midway between the last frame that says the one and the first that says
    the other.
    """
    start = max(0, frames[0][0] - MARGIN)
    yield Piece(clip, 0, start, (), "", 0)
    for number, (word, told) in enumerate(zip(spoken, frames, strict=True), start=1):
        if number < len(frames):
            stop = (told[-1] + frames[number][0] + 1) // 2
        else:
            stop = min(num_frames, told[-1] + 1 + MARGIN)
        yield Piece(clip, start, stop, tuple(frame - start for frame in told), word, number)
        start = stop
    yield Piece(clip, start, num_frames, (), "", len(frames) + 1)


def _placed(pieces: Sequence[Piece]) -> Iterator[tuple[int, ...]]:
    """Where each piece says its word when they follow each other."""
    start = 0
    for piece in pieces:
        yield tuple(start + frame for frame in piece.told)
        start += piece.stop - piece.start
