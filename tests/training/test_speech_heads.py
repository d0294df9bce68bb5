"""The audio encoder's throw-away heads: what they are given, and what learns from them."""

from __future__ import annotations

import pytest
import torch

from core.training.learner import Learner
from core.training.phonemes import NUM_PARTS
from core.training.speech_heads import SpeechHeads, run_with_middle
from tests.training import random_learner

MELS = torch.randn(2, 64, 80, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def learner() -> Learner:
    return random_learner()


@torch.no_grad()
def test_the_middle_is_two_thirds_of_the_way_up(learner: Learner) -> None:
    encoder = learner.media.audio_embed.encoder.eval()
    hidden, middle = run_with_middle(encoder, MELS)
    assert torch.equal(hidden, encoder(MELS, None))
    seen: list[torch.Tensor] = []
    with encoder.encoders[4].register_forward_pre_hook(lambda _, given: seen.append(given[0])):
        encoder(MELS, None)
    assert len(encoder.encoders) == 6
    assert torch.equal(middle, seen[0])
    assert middle.shape == hidden.shape == (2, 8, 256)


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_kept_encoder_learns_nothing_and_the_heads_do(learner: Learner, is_kept: bool) -> None:
    encoder = learner.media.audio_embed.encoder.eval()
    encoder.requires_grad_(True)
    encoder.zero_grad()
    heads = SpeechHeads(256, 5, 7)
    heard = heads.hear(encoder, MELS, is_kept)
    assert heard.words.shape == (8, 2, 5)
    assert heard.phonemes.shape == (8 * NUM_PARTS, 2, 7)
    (heard.words[..., 0].sum() + heard.phonemes[..., 0].sum()).backward()
    assert all(parameter.grad is not None for parameter in heads.parameters())
    learned = [block.self_attn.q_proj.weight.grad for block in encoder.encoders]
    assert all((grad is None) == is_kept for grad in learned)
