"""Augmented pictures: every label stays with the pixels that it is the label of."""

from __future__ import annotations

import random

import pytest
import torch

from core.training.examples import IGNORED
from core.training.patch_labels import NUM_PATCHES, PATCH_PX, VIEW_PX
from core.training.picture_augment import LabelledCrops, augment, joined

NUM = 6
HAS_TEXT = torch.tensor([True, False] * (NUM // 2))


def painted() -> LabelledCrops:
    """Pictures whose pixels are their labels, hundredths each; text has no shapes."""
    torch.manual_seed(0)
    side = NUM_PATCHES
    shapes = torch.randint(1, 9, (NUM, side, side)) * ~HAS_TEXT[:, None, None]
    colours = torch.randint(1, 9, (NUM, side, side)) * ~HAS_TEXT[:, None, None]
    characters = torch.randint(1, 37, (NUM, side, 2 * side)) * HAS_TEXT[:, None, None]
    planes = [spread(labels) for labels in (shapes, colours, characters)]
    crops = torch.stack(planes, 1) / 100
    masks = torch.ones_like(shapes).bool()
    sizes, places = shapes % 3, colours + 1  # told from those that are painted
    return LabelledCrops(crops, masks, shapes, colours, sizes, places, characters)


def spread(labels: torch.Tensor) -> torch.Tensor:
    """Labels of cells, (num, rows, columns), as pixels, (num, 140, 140)."""
    width = VIEW_PX // labels.shape[2]
    return labels.repeat_interleave(PATCH_PX, 1).repeat_interleave(width, 2).float()


@pytest.mark.parametrize("seed", range(12))
def test_labels_move_with_their_pixels(seed: int) -> None:
    found = augment(painted(), HAS_TEXT, random.Random(seed))
    for plane, labels in enumerate((found.shapes, found.colours, found.characters)):
        torch.testing.assert_close(found.crops[:, plane].abs() * 100, spread(labels))
    assert torch.equal(found.sizes, found.shapes % 3)


def test_nobody_is_asked_where_a_shape_was() -> None:
    found = augment(painted(), HAS_TEXT, random.Random(0))
    assert bool((found.places == IGNORED).all())
    assert not bool((found.sizes == IGNORED).any())


def test_everything_happens_and_text_is_never_mirrored() -> None:
    before = painted()
    moved = mirrored = inverted = 0
    for seed in range(60):
        found = augment(before, HAS_TEXT, random.Random(seed))
        assert not bool((found.crops[~HAS_TEXT] < 0).any())
        inverted += bool((found.crops[HAS_TEXT] < 0).any())
        places = [
            (down, across)
            for down in range(NUM_PATCHES)
            for across in range(NUM_PATCHES)
            if torch.equal(
                found.characters[HAS_TEXT],
                before.characters[HAS_TEXT].roll((down, 2 * across), (1, 2)),
            )
        ]
        (place,) = places  # the text only moved
        moved += place != (0, 0)
        mirrored += not torch.equal(
            found.shapes[~HAS_TEXT], before.shapes[~HAS_TEXT].roll(place, (1, 2))
        )
    assert moved > 50
    assert 15 < mirrored < 45
    assert 8 < inverted < 30


def test_padding_has_no_labels_until_it_counts_as_picture() -> None:
    batch = painted()
    batch.masks[:, 7:] = False
    assert all(bool((labels[:, 7:] == IGNORED).all()) for labels in batch.patch_labels)
    assert all(bool((labels[:, :7] >= 0).all()) for labels in batch.patch_labels)
    whole = batch.without_padding()
    assert bool(whole.masks.all())
    assert all(bool((labels >= 0).all()) for labels in whole.patch_labels)


def test_batches_are_joined_in_order() -> None:
    batch = painted()
    twice = joined([batch, batch])
    assert len(twice.crops) == 2 * NUM
    assert torch.equal(twice.characters[NUM:], batch.characters)
