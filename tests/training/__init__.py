"""Tests of the bundled model's recipe, and what they share: a small tokenizer, a learner.

Leaves out: media files; scenes and clips are made by the recipe itself.
"""

from __future__ import annotations

import shutil
from functools import cache

import pytest
import torch
from tokenizers import Tokenizer as RawTokenizer

from core.tokenizer import Tokenizer
from core.training import vocabulary
from core.training.learner import Learner


@cache
def small_raw_tokenizer() -> RawTokenizer:
    """The recipe's tokenizer, learned from fewer sentences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "NUM_SENTENCES", 1000)
        return vocabulary.train_tokenizer()


@cache
def small_tokenizer() -> Tokenizer:
    """The same as the rest of the code uses it."""
    return Tokenizer(small_raw_tokenizer().to_str())


def without_compiler(patch: pytest.MonkeyPatch) -> None:
    """Hide the C++ compiler, so that nothing is compiled: it takes longer than these tests."""
    which = shutil.which
    patch.setattr(shutil, "which", lambda name: None if name == "c++" else which(name))


def random_learner(seed: int = 0) -> Learner:
    """A learner with random weights that bfloat16 can hold, LoRAs included, for a test to change.

    Weights are larger than the recipe's first ones, so that logits differ and mistakes show.
    """
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        without_compiler(patch)
        learner = Learner(small_tokenizer().full, seed, "cpu")
        torch.manual_seed(seed)
        _randomise(learner)
    return learner


@torch.no_grad()
def _randomise(learner: Learner) -> None:
    for name, parameter in learner.causal_lm.named_parameters():
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
