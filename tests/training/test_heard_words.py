"""Frames that say something point to the word for it, and CTC finds which frames those are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.ctc import SpokenTokens, collapsed
from core.training.heard_words import HeardWords

NUM_WORDS, HIDDEN = 12, 64


@pytest.fixture
def words() -> HeardWords:
    torch.manual_seed(0)
    return HeardWords(torch.randn(40, HIDDEN) * 0.2 + 0.1, tuple(range(20, 20 + NUM_WORDS)))


def test_a_class_is_surest_where_its_embedding_is(words: HeardWords) -> None:
    surest = words.log_probs(words.centres).argmax(-1)
    assert surest.tolist() == list(range(NUM_WORDS + 1))


def test_the_middle_of_all_embeddings_says_nothing_new() -> None:
    embeddings = torch.randn(40, HIDDEN)
    words = HeardWords(embeddings, (3, 5))
    assert int(words.log_probs(embeddings.mean(0)).argmax()) == 2
    assert int(words.log_probs(embeddings[5]).argmax()) == 1


def test_chances_add_up_and_fall_with_the_distance(words: HeardWords) -> None:
    there, on_the_way = words.centres[0], (2 * words.centres[0] + words.centres[1]) / 3
    near, far = words.log_probs(torch.stack([there, on_the_way]))
    assert float(near.exp().sum()) == pytest.approx(1.0, abs=1e-5)
    assert near[0] > far[0] > far[1]


def test_nobody_is_surer_of_a_word_by_going_beyond_it(words: HeardWords) -> None:
    middle = words.centres[-1]
    there, beyond, far_out = (middle + (words.centres[0] - middle) * by for by in (1, 2, 4))
    chances = words.log_probs(torch.stack([there, beyond, far_out]))[:, 0]
    assert chances[0] > chances[1] > chances[2]


def test_nearness_is_counted_from_the_nearest(words: HeardWords) -> None:
    step = torch.zeros(HIDDEN)
    step[0] = 0.1
    assert float(words.distance(words.centres)) == pytest.approx(0.0, abs=1e-9)
    assert float(words.distance(words.centres + step)) == pytest.approx(0.01, rel=1e-3)


def test_the_loss_is_least_where_what_is_known_is_said(words: HeardWords) -> None:
    known = torch.eye(NUM_WORDS + 1)
    right = float(words.loss(words.centres, known))
    assert right < float(words.loss(words.centres.roll(1, 0), known))
    assert right < float(words.loss(words.centres + 0.1, known))


def test_a_projector_learns_the_words_without_being_told_when_they_come(words: HeardWords) -> None:
    """Each word is four frames long; which of them says it is for the projector to choose."""
    generator = torch.Generator().manual_seed(0)
    said = torch.randint(NUM_WORDS, (60, 5), generator=generator)
    sounds = torch.randn(NUM_WORDS, 4, 32, generator=generator)
    frames = sounds[said].flatten(1, 2)
    frames = frames + 0.1 * torch.randn(frames.shape, generator=generator)
    truth = [tuple(row) for row in said.tolist()]
    spoken = SpokenTokens((), (), tuple(range(20, 20 + NUM_WORDS)), (1,) * NUM_WORDS)
    projector = nn.Sequential(nn.Linear(32, 96), nn.GELU(), nn.Linear(96, HIDDEN))
    optimizer = torch.optim.AdamW(projector.parameters(), lr=1e-2)

    def share_read(first: int, last: int) -> float:
        with torch.no_grad():
            paths = words.log_probs(projector(frames[first:last])).argmax(-1).tolist()
        read = [collapsed(path, NUM_WORDS) for path in paths]
        return sum(map(tuple.__eq__, read, truth[first:last])) / (last - first)

    assert share_read(40, 60) == 0.0
    for _ in range(150):
        projected = projector(frames[:40])
        loss = spoken.loss(words.log_probs(projected).transpose(0, 1), truth[:40])
        (loss + words.distance(projected)).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert share_read(40, 60) > 0.8
