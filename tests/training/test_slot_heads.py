"""Slot heads: what each pooled token should tell, and how many pictures are told right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from core.training.examples import IGNORED
from core.training.items import Item, Scene
from core.training.learner import pooled
from core.training.patch_heads import NUM_CLASSES
from core.training.patch_labels import NUM_PATCHES
from core.training.slot_heads import SlotHeads, VisionHeads, shares_told, slots_of_batch
from core.training.slots import SAID

STAR = Scene((Item("star", "red", "large", 4),), "", 0)
WORD = Scene((), "rain", 0)
MASKS = torch.ones(2, NUM_PATCHES, NUM_PATCHES, dtype=torch.bool)
NUM_TOLD = sum(len(words) + 1 for words in SAID.values())


def reading_heads() -> SlotHeads:
    """Heads for which a token's numbers are their logits, kind after kind."""
    heads, begin = SlotHeads(NUM_TOLD), 0
    with torch.no_grad():
        for head in heads.of_slot.values():
            assert isinstance(head, nn.Linear)
            head.weight.zero_()
            head.weight[:, begin : begin + head.out_features] = torch.eye(head.out_features)
            head.bias.zero_()
            begin += head.out_features
    return heads


def patches_that_tell(slots: torch.Tensor) -> torch.Tensor:
    """What an encoder says that knows all, (num, 100, NUM_TOLD)."""
    kinds = [
        nn.functional.one_hot(labels, len(words) + 1)
        for labels, words in zip(slots.unbind(1), SAID.values(), strict=True)
    ]
    tokens = torch.cat(kinds, -1).float()  # (num, 5, 5, NUM_TOLD)
    return tokens.repeat_interleave(2, 1).repeat_interleave(2, 2).flatten(1, 2)


def test_an_encoder_that_knows_all_is_right_everywhere() -> None:
    slots = slots_of_batch([STAR, WORD], MASKS)
    patches = patches_that_tell(slots)
    assert pooled(patches).shape == (2, 25, NUM_TOLD)
    guesses = reading_heads().guesses(patches, slots)
    assert [guess.name for guess in guesses] == [f"told {kind}" for kind in SAID]
    assert [guess.accuracy() for guess in guesses] == [1.0] * len(SAID)
    assert shares_told(guesses, 2) == {"told shapes": 1.0, "told words": 1.0}


@pytest.mark.parametrize(
    ("row", "column", "kind", "wrong"),
    [(2, 2, 1, "told shapes"), (0, 3, 4, "told words"), (4, 4, 0, "told words")],
)
def test_one_mistake_makes_a_picture_wrong(row: int, column: int, kind: int, wrong: str) -> None:
    slots = slots_of_batch([STAR, WORD], MASKS)
    said = slots.clone()
    said[("told shapes", "told words").index(wrong), kind, row, column] = 2
    guesses = reading_heads().guesses(patches_that_tell(said), slots)
    shares = shares_told(guesses, 2)
    assert shares.pop(wrong) == 0.0
    assert set(shares.values()) == {1.0}


def test_pictures_beyond_the_scenes_are_not_asked() -> None:
    slots = slots_of_batch([STAR], MASKS)
    assert bool((slots[0] != IGNORED).all())
    assert bool((slots[1] == IGNORED).all())
    patches = torch.randn(2, NUM_PATCHES**2, NUM_TOLD)
    both = reading_heads().guesses(patches, slots)
    alone = reading_heads().guesses(patches[:1], slots[:1])
    for with_other, without in zip(both, alone, strict=True):
        torch.testing.assert_close(with_other.loss(), without.loss())
    nobody = reading_heads().guesses(patches, slots_of_batch([], MASKS))
    assert [guess.loss().item() for guess in nobody] == [0.0] * len(SAID)


def test_vision_heads_ask_what_is_shown_and_then_what_is_told() -> None:
    heads = VisionHeads(6)
    shown = [
        torch.zeros(2, NUM_PATCHES, NUM_PATCHES * (2 if kind == "character" else 1)).long()
        for kind in NUM_CLASSES
    ]
    slots = slots_of_batch([STAR, WORD], MASKS)
    guesses = heads.guesses(torch.randn(2, NUM_PATCHES**2, 6), shown, slots)
    names = [guess.name for guess in guesses]
    assert names[-len(SAID) :] == [f"told {kind}" for kind in SAID]
    assert len(names) == 2 * len(NUM_CLASSES) + len(SAID)
