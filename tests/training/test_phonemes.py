"""Phonemes: how words are pronounced, and the head that hears them in a frame's parts."""

from __future__ import annotations

import pytest
import torch

from core.training.ctc import ctc_loss
from core.training.phonemes import NUM_PARTS, PhonemeHead, pronunciations, spoken_phonemes


@pytest.mark.espeak
def test_words_are_pronounced_one_by_one() -> None:
    words = ["a", "candle", "king's", "sea", "see", "what's"]
    found = pronunciations(words)
    assert list(found) == words
    assert found["candle"][:4] == ("k", "æ", "n", "d")
    assert found["king's"] == ("k", "ɪ", "ŋ", "z")
    assert found["sea"] == found["see"]
    assert all(found.values())


def test_no_words_are_pronounced_without_espeak() -> None:
    assert pronunciations([]) == {}


@pytest.mark.espeak
def test_clips_that_sound_the_same_have_the_same_classes() -> None:
    spoken = spoken_phonemes(["See the sun.", "sea the son", "The sun!", ""])
    first, second, third, nothing = spoken.by_clip
    assert first == second
    assert third == first[-len(third) :]
    assert nothing == ()
    assert spoken.blank == len(set(first))


@pytest.mark.espeak
def test_the_recipes_longest_words_are_pronounced() -> None:
    (classes,) = spoken_phonemes(["Grandmother photographed strawberries on Wednesday."]).by_clip
    assert len(classes) > 30


def test_a_frame_is_heard_in_parts_in_their_order() -> None:
    head = PhonemeHead(8, 3)
    hidden = torch.randn(2, 5, 8)
    log_probs = head.log_probs(hidden)
    assert log_probs.shape == (5 * NUM_PARTS, 2, 3)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(5 * NUM_PARTS, 2))
    scores = head(hidden[1, 2]).view(NUM_PARTS, 3).log_softmax(-1)
    torch.testing.assert_close(log_probs[2 * NUM_PARTS : 3 * NUM_PARTS, 1], scores)


def test_a_head_learns_more_phonemes_than_there_are_frames() -> None:
    torch.manual_seed(0)
    head, hidden, truth = PhonemeHead(8, 4), torch.randn(1, 2, 8), [(0, 1, 2, 1, 0)]
    optimizer = torch.optim.Adam(head.parameters(), 0.1)
    for _ in range(60):
        loss = ctc_loss(head.log_probs(hidden), truth, 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.1
