"""Tokens that show a shape point to the words for it; a mistake there is seen."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.training.draw import draw
from core.training.items import COLOURS, PLACES, SHAPES, SIZES, Item, Scene
from core.training.patch_labels import NUM_PATCHES
from core.training.word_alignment import NOTHING_WEIGHT, SAID, WordTargets
from tests.training import small_raw_tokenizer, small_tokenizer

HIDDEN = 64
RED_STAR = (SHAPES.index("star"), list(COLOURS).index("red"), SIZES.index("large"), 0)
BLUE_RING = (SHAPES.index("ring"), list(COLOURS).index("blue"), SIZES.index("small"), 5)


@pytest.fixture(scope="module")
def embeddings() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(small_raw_tokenizer().get_vocab_size(), HIDDEN) + 0.5


@pytest.fixture(scope="module")
def targets(embeddings: torch.Tensor) -> WordTargets:
    return WordTargets(small_tokenizer(), embeddings)


def labels(*shown: tuple[int, int, tuple[int, ...]]) -> torch.Tensor:
    """Of one picture: (row, column, labels from 0 on) of each patch that shows something."""
    maps = torch.zeros(1, 4, NUM_PATCHES, NUM_PATCHES, dtype=torch.long)
    for row, column, kinds in shown:
        maps[0, :, row, column] = torch.tensor(kinds) + 1
    return maps


def said(embeddings: torch.Tensor, words: str) -> torch.Tensor:
    ids = [id_ for word in words.split() for id_ in small_tokenizer().encode_text(f" {word}")]
    mean = embeddings.mean(0)
    return mean + (embeddings[ids] - mean).sum(0)


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_words_are_those_of_the_shape_that_a_patch_is_labelled_with(place: int) -> None:
    item = Item(SHAPES[place % 8], tuple(COLOURS)[-1 - place % 8], SIZES[place % 2], place)
    labelled = draw(Scene((item,), "", place)).patch_labels.reshape(len(SAID), -1).max(1)
    words = [words[label - 1] for words, label in zip(SAID.values(), labelled, strict=True)]
    assert words == [item.shape, item.colour, item.size, PLACES[place]]


def test_a_token_points_where_its_words_point_together(
    embeddings: torch.Tensor, targets: WordTargets
) -> None:
    found, is_shown = targets.of_tokens(
        labels((2, 4, RED_STAR), (3, 5, RED_STAR), (9, 0, BLUE_RING))
    )
    assert found.shape == (1, 25, HIDDEN)
    star = said(embeddings, "star red large top left")
    ring = said(embeddings, "ring blue small right")
    torch.testing.assert_close(found[0, 5 * 1 + 2], star)
    torch.testing.assert_close(found[0, 5 * 4 + 0], ring)
    assert is_shown[0].nonzero().flatten().tolist() == [7, 20]
    torch.testing.assert_close(found[0, 0], embeddings.mean(0))


def test_a_token_of_two_shapes_points_between_them(targets: WordTargets) -> None:
    both, _ = targets.of_tokens(labels((0, 0, RED_STAR), (0, 1, BLUE_RING)))
    star, _ = targets.of_tokens(labels((0, 0, RED_STAR)))
    ring, _ = targets.of_tokens(labels((0, 0, BLUE_RING)))
    torch.testing.assert_close(both[0, 0], (star[0, 0] + ring[0, 0]) / 2)


def test_the_loss_is_0_there_and_tokens_of_nothing_count_less(targets: WordTargets) -> None:
    wanted, is_shown = targets.of_tokens(labels((0, 0, RED_STAR)))
    assert float(targets.loss(wanted, wanted, is_shown)) == 0.0
    off_shape, off_nothing = wanted.clone(), wanted.clone()
    off_shape[0, 0] += 1
    off_nothing[0, 1] += 1
    ratio = targets.loss(off_nothing, wanted, is_shown) / targets.loss(off_shape, wanted, is_shown)
    assert float(ratio) == pytest.approx(NOTHING_WEIGHT)


def test_what_is_heard_is_counted_where_one_shape_is_shown(targets: WordTargets) -> None:
    shown = labels((0, 0, RED_STAR), (0, 1, BLUE_RING), (4, 4, RED_STAR), (8, 8, BLUE_RING))
    right, _ = targets.of_tokens(shown)
    assert set(targets.shares_heard(right, shown).values()) == {1.0}
    as_stars, _ = targets.of_tokens(labels((4, 4, RED_STAR), (8, 8, RED_STAR)))
    assert set(targets.shares_heard(as_stars, shown).values()) == {0.5}
    of_one, _ = targets.of_tokens(labels((4, 4, RED_STAR), (8, 8, (*BLUE_RING[:3], 0))))
    assert targets.shares_heard(of_one, shown) == {"shape": 1, "colour": 1, "size": 1, "place": 0.5}


def test_a_projector_learns_the_words_from_what_tokens_show(targets: WordTargets) -> None:
    torch.manual_seed(0)
    kinds = [torch.randint(1, len(words) + 1, (40, 5, 5)) for words in SAID.values()]
    shown = torch.stack(kinds, 1).repeat_interleave(2, 2).repeat_interleave(2, 3)
    told = [F.one_hot(kind.flatten(1), 10).float() for kind in kinds]
    features = torch.cat(told, -1) @ torch.randn(40, 48) + 0.1 * torch.randn(40, 25, 48)
    projector = nn.Sequential(nn.Linear(48, 96), nn.GELU(), nn.Linear(96, HIDDEN))
    optimizer = torch.optim.AdamW(projector.parameters(), lr=1e-2)
    before = targets.shares_heard(projector(features[30:]).detach(), shown[30:])
    for _ in range(150):
        loss = targets.loss(projector(features[:30]), *targets.of_tokens(shown[:30]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    after = targets.shares_heard(projector(features[30:]).detach(), shown[30:])
    assert all(after[kind] > max(0.9, before[kind] + 0.2) for kind in SAID), (before, after)
