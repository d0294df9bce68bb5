"""Tests of the bundled model's recipe, and what they share: exchanges, words, a learner.

Leaves out: media files; scenes and clips are made by the recipe itself.
"""

from __future__ import annotations

import random
import re
import shutil
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

import pytest
import torch
from tokenizers import Tokenizer as RawTokenizer

from core.tokenizer import Tokenizer
from core.training import architecture, vocabulary
from core.training.exchange import Exchange, words_of
from core.training.grammar import (
    Adjective,
    Determiner,
    Noun,
    Phrase,
    Verb,
    adjectives,
    nouns,
    verbs,
)
from core.training.learner import Learner
from core.training.voices import VoiceGroup, missing_synthesizers

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


@cache
def many(maker: Callable[[random.Random], Exchange], num: int = 400) -> tuple[Exchange, ...]:
    """Many exchanges of one maker, of no particular split."""
    rng = random.Random(f"test-{maker.__name__}")
    return tuple(maker(rng) for _ in range(num))


def numbers_in(sentence: str) -> list[int]:
    """The numbers of a sentence from 0 to 100, digits or words, in order."""
    found: list[int] = []
    words = words_of(sentence).split()
    for before, word in zip(["", *words], words, strict=False):
        if word.isdigit():
            found.append(int(word))
        elif word in TENS:
            found.append(20 + 10 * TENS.index(word))
        elif word == "hundred":
            found[-1] *= 100
        elif word in ONES and before in TENS:
            found[-1] += ONES.index(word)
        elif word in ONES:
            found.append(ONES.index(word))
    return found


def named_in(sentence: str, names: Sequence[str]) -> str:
    """The one name that a sentence holds as words, in any case; the longest where several do."""
    found = [name for name in names if re.search(rf"\b{name}\b", sentence, re.IGNORECASE)]
    name = max(found, key=len)
    assert all(other in name for other in found), (sentence, found)
    return name


def noun(english: str) -> Noun:
    """The noun of the lexicon with this English singular."""
    (found,) = [each for each in nouns() if each.english[0] == english]
    return found


def adjective(english: str) -> Adjective:
    """The adjective of the lexicon with this English form."""
    (found,) = [each for each in adjectives() if each.english == english]
    return found


def verb(english: str) -> Verb:
    """The verb of the lexicon with this English base form."""
    (found,) = [each for each in verbs() if each.english[0] == english]
    return found


def phrase_of(words: str) -> Phrase:
    """A phrase by its English words, an adjective second: "the small man", "2 apples".

    The number 0 is a plural after "the" or "my": "the 0 apple".
    """
    first, *middle, name = words.split()
    number = int(first) if first.isdigit() else 1
    if middle and middle[0] == "0":
        number, middle = 0, middle[1:]
    determiner: Determiner = "number"
    if not first.isdigit():
        assert first in ("the", "a", "my")
        determiner = cast(Determiner, first)
    described = adjective(middle[0]) if middle else None
    return Phrase(noun(name), determiner, number, described)


def needs_voices(group: VoiceGroup) -> None:
    """Skip a test where a voice of the group cannot speak."""
    if missing := missing_synthesizers((group,)):
        pytest.skip(f"needs voices: apt-get install {' '.join(missing)}")


@cache
def small_raw_tokenizer() -> RawTokenizer:
    """The recipe's tokenizer, learned from fewer dialogues."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "NUM_DIALOGUES", 400)
        return vocabulary.train_tokenizer()


@cache
def small_tokenizer() -> Tokenizer:
    """The same as the rest of the code uses it."""
    return Tokenizer(small_raw_tokenizer().to_str())


def without_compiler(patch: pytest.MonkeyPatch) -> None:
    """Hide the C++ compiler, so that nothing is compiled: it takes longer than these tests."""
    which = shutil.which
    patch.setattr(shutil, "which", lambda name: None if name == "c++" else which(name))


def with_few_layers(patch: pytest.MonkeyPatch) -> None:
    """Make the recipe's model shallow: its stages are the same, and take half the time.

    The vision encoder keeps its layers: with fewer it sees no colours in so few steps.
    """
    patch.setattr(architecture, "NUM_DECODER_LAYERS", 2)
    patch.setattr(architecture, "NUM_AUDIO_BLOCKS", 2)


def random_learner(seed: int = 0) -> Learner:
    """A learner with random weights that bfloat16 can hold, LoRAs included, for a test to change.

    Weights are larger than the recipe's first ones, so that logits differ and mistakes show.
    """
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        without_compiler(patch)
        learner = Learner(small_tokenizer().full, seed, "cpu")
        _randomise(learner, seed)
    return learner


@torch.no_grad()
def _randomise(learner: Learner, seed: int) -> None:
    for name, parameter in learner.causal_lm.named_parameters():
        torch.manual_seed(zlib.crc32(f"{seed} {name}".encode()))  # whatever the vocabulary's size
        if "norm" in name and name.endswith("weight"):
            parameter.copy_(1.0 + 0.1 * torch.randn_like(parameter))
        elif parameter.ndim < 2:
            parameter.normal_(std=0.1)
        elif "embed_tokens.weight" in name or "bias_values" in name or "extensor" in name:
            parameter.normal_(std=0.3)
        else:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        parameter.copy_(parameter.bfloat16())
    normalisation = learner.media.audio_embed.encoder.encoder_embedding
    normalisation.global_mean.fill_(8.0)
    normalisation.global_invstd.fill_(0.25)
