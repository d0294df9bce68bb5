"""Tokens that tell something point to the words for it; a mistake there is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.training.items import Item, Scene
from core.training.patch_labels import CHARACTERS, NUM_PATCHES
from core.training.slots import SAID, slots_of
from core.training.word_alignment import NOTHING_WEIGHT, WordTargets
from tests.training import small_raw_tokenizer, small_tokenizer

HIDDEN = 512  # wide enough that words drawn at random point apart
RED_STAR = Item("star", "red", "large", 0)
BLUE_RING = Item("ring", "blue", "small", 5)
WHOLE = np.ones((NUM_PATCHES, NUM_PATCHES), np.bool_)


@pytest.fixture(scope="module")
def embeddings() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(small_raw_tokenizer().get_vocab_size(), HIDDEN) + 0.5


@pytest.fixture(scope="module")
def targets(embeddings: torch.Tensor) -> WordTargets:
    return WordTargets(small_tokenizer(), embeddings)


def told(*items: Item, word: str = "") -> torch.Tensor:
    """What the tokens of one picture tell."""
    return torch.from_numpy(slots_of(Scene(items, word, 0), WHOLE)).long()[None]


def said(embeddings: torch.Tensor, words: str) -> torch.Tensor:
    ids = [id_ for word in words.split() for id_ in small_tokenizer().encode_text(f" {word}")]
    mean = embeddings.mean(0)
    return mean + (embeddings[ids] - mean).sum(0)


def test_a_token_points_where_its_words_point_together(
    embeddings: torch.Tensor, targets: WordTargets
) -> None:
    found, is_told = targets.of_tokens(told(RED_STAR, BLUE_RING))
    assert found.shape == (1, 25, HIDDEN)
    torch.testing.assert_close(found[0, 0], said(embeddings, "star red large top left"))
    torch.testing.assert_close(found[0, 5 * 2 + 4], said(embeddings, "ring blue small right"))
    assert is_told[0].nonzero().flatten().tolist() == [0, 14]
    torch.testing.assert_close(found[0, 1], embeddings.mean(0))


@pytest.mark.parametrize("letter", CHARACTERS)
def test_a_letter_points_where_it_does_among_letters(
    embeddings: torch.Tensor, targets: WordTargets, letter: str
) -> None:
    """As in "The picture shows r a i n."."""
    found, _ = targets.of_tokens(told(word=letter))
    among = small_tokenizer().encode_text(f"The picture shows {letter} {letter}.")
    after = small_tokenizer().encode_text(f"The picture shows {letter}.")[-2]
    assert among.count(after) == 2
    torch.testing.assert_close(found[0, 0], embeddings[after])


def test_the_loss_is_0_there_and_tokens_of_nothing_count_less(targets: WordTargets) -> None:
    wanted, is_told = targets.of_tokens(told(RED_STAR))
    assert float(targets.loss(wanted, wanted, is_told)) == 0.0
    off_shape, off_nothing = wanted.clone(), wanted.clone()
    off_shape[0, 0] += 1
    off_nothing[0, 1] += 1
    ratio = targets.loss(off_nothing, wanted, is_told) / targets.loss(off_shape, wanted, is_told)
    assert float(ratio) == pytest.approx(NOTHING_WEIGHT)


def test_what_is_heard_is_counted_where_it_is_told(targets: WordTargets) -> None:
    truth = torch.cat([told(RED_STAR, BLUE_RING), told(word="rain")])
    right, _ = targets.of_tokens(truth)
    assert targets.shares_heard(right, truth) == dict.fromkeys(SAID, 1.0)
    as_star = Item("star", *(BLUE_RING.colour, BLUE_RING.size, BLUE_RING.place))
    said, _ = targets.of_tokens(torch.cat([told(RED_STAR, as_star), told(word="raid")]))
    expected = {"shape": 0.5, "colour": 1, "size": 1, "place": 1, "letter": 0.75}
    assert targets.shares_heard(said, truth) == expected


def test_a_projector_learns_the_words_from_what_tokens_tell(targets: WordTargets) -> None:
    torch.manual_seed(0)
    is_word = torch.rand(80, 5, 5) < 0.5
    kinds = [torch.randint(1, len(words) + 1, (80, 5, 5)) for words in SAID.values()]
    kinds = [kind * (is_word == (name == "letter")) for name, kind in zip(SAID, kinds, strict=True)]
    shown = torch.stack(kinds, 1)
    told = [F.one_hot(kind.flatten(1), 37).float() for kind in kinds]
    features = torch.cat(told, -1) @ torch.randn(185, 96) + 0.1 * torch.randn(80, 25, 96)
    projector = nn.Sequential(nn.Linear(96, 128), nn.GELU(), nn.Linear(128, HIDDEN))
    optimizer = torch.optim.AdamW(projector.parameters(), lr=1e-2)
    before = targets.shares_heard(projector(features[60:]).detach(), shown[60:])
    for _ in range(200):
        loss = targets.loss(projector(features[:60]), *targets.of_tokens(shown[:60]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = targets.shares_heard(projector(features[60:]).detach(), shown[60:])
    assert all(after[kind] > max(0.8, before[kind] + 0.2) for kind in SAID), (before, after)
