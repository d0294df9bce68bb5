"""Patch heads: every label in its own cell, of the patch and of the pooled token around it.

Pictures are made of labels alone, one cell marked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from core.training.examples import IGNORED
from core.training.items import COLOURS, PLACES, SHAPES, SIZES
from core.training.learner import pooled
from core.training.media import Pictures
from core.training.patch_heads import CELLS, NUM_CLASSES, Guess, PatchHeads
from core.training.patch_labels import CHARACTERS, NUM_PATCHES
from core.training.picture_augment import labelled_crops

WIDTH = 6
MARK = 2  # any label
SHAPES_MAP = 0
KINDS = tuple(enumerate(("shape", "colour", "size", "place")))


def blank_pictures(num: int = 1) -> Pictures:
    """Pictures of which nothing is labelled."""
    side = NUM_PATCHES
    return Pictures(
        np.zeros((num, 3, 1, 1), np.uint8),
        np.ones((num, side, side), np.bool_),
        np.zeros((num, 4, side, side), np.uint8),
        np.zeros((num, side, 2 * side), np.uint8),
    )


def guesses(pictures: Pictures, masks: torch.Tensor) -> dict[str, Guess]:
    """What new heads say of patches that are all alike."""
    torch.manual_seed(0)
    heads, num = PatchHeads(WIDTH), len(pictures)
    patches = torch.ones(num, NUM_PATCHES**2, WIDTH)
    labels = replace(labelled_crops(pictures, range(num)), masks=masks).patch_labels
    return {guess.name: guess for guess in heads.guesses(patches, *labels)}


def marked(guess: Guess, num_cells: int) -> list[tuple[int, int]]:
    """Which rows and cells of a guess are labelled: the place, and the cell in it."""
    labels = guess.labels.view(-1, num_cells)
    return [(int(place), int(cell)) for place, cell in (labels == MARK).nonzero()]


ALL = torch.ones(1, NUM_PATCHES, NUM_PATCHES, dtype=torch.bool)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 9), (3, 4), (4, 3), (5, 5), (9, 9)])
@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_a_patch_is_one_of_four_cells_of_its_token(
    kind: int, name: str, row: int, column: int
) -> None:
    pictures = blank_pictures()
    pictures.labels[0, kind, row, column] = MARK
    said = guesses(pictures, ALL)
    assert marked(said[name], 1) == [(row * 10 + column, 0)]
    cell = row % 2 * 2 + column % 2
    assert marked(said[f"{name} of token"], 4) == [(row // 2 * 5 + column // 2, cell)]
    for other in set(said) - {name, f"{name} of token"}:
        assert not said[other].labels.any()


@pytest.mark.parametrize(("row", "half"), [(0, 0), (0, 19), (3, 8), (4, 7), (5, 10), (9, 19)])
def test_a_half_patch_is_one_of_eight_cells_of_its_token(row: int, half: int) -> None:
    pictures = blank_pictures()
    pictures.characters[0, row, half] = MARK
    said = guesses(pictures, ALL)
    assert marked(said["character"], 2) == [(row * 10 + half // 2, half % 2)]
    cell = row % 2 * 4 + half % 4
    assert marked(said["character of token"], 8) == [(row // 2 * 5 + half // 4, cell)]


def test_cells_of_a_token_are_read_row_by_row_from_left_to_right() -> None:
    pictures = blank_pictures()
    pictures.characters[0, :2, :4] = np.arange(1, 9).reshape(2, 4)
    token = guesses(pictures, ALL)["character of token"]
    assert token.labels.view(-1, 8)[0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_the_second_picture_comes_behind_the_first() -> None:
    pictures = blank_pictures(2)
    pictures.labels[1, SHAPES_MAP, 0, 1] = MARK
    said = guesses(pictures, ALL.expand(2, -1, -1))
    assert marked(said["shape"], 1) == [(100 + 1, 0)]
    assert marked(said["shape of token"], 4) == [(25, 1)]


def test_logits_belong_to_the_patch_and_the_cell_of_their_label() -> None:
    """Heads that read labels off the patches themselves are right everywhere."""
    pictures = blank_pictures()
    generator = np.random.default_rng(0)
    pictures.labels[0, SHAPES_MAP] = generator.integers(0, NUM_CLASSES["shape"], (10, 10))
    num = NUM_CLASSES["shape"]
    truth = torch.from_numpy(pictures.labels[0, SHAPES_MAP]).long()
    cell_of = torch.arange(10)[:, None] % 2 * 2 + torch.arange(10) % 2
    # A patch tells its shape in the part of its numbers that stands for its place in the token.
    patches = torch.zeros(100, 4, num)
    patches[torch.arange(100), cell_of.flatten(), truth.flatten()] = 1.0
    heads = PatchHeads(4 * num)
    with torch.no_grad():
        for head, weight in (
            (heads.of_patch["shape"], torch.eye(num).repeat(1, 4)),
            (heads.of_token["shape"], torch.eye(4 * num)),
        ):
            assert isinstance(head, nn.Linear)
            head.weight.copy_(weight)
            head.bias.zero_()
        said = heads.guesses(patches.flatten(1)[None], *labelled_crops(pictures, [0]).patch_labels)
    by_name = {guess.name: guess for guess in said}
    assert by_name["shape"].accuracy() == by_name["shape of token"].accuracy() == 1.0


def test_padding_is_neither_learned_nor_counted() -> None:
    pictures = blank_pictures()
    pictures.labels[0] = MARK
    pictures.characters[0] = MARK
    masks = ALL.clone()
    masks[0, 6:] = False
    masks[0, :, 8:] = False
    said = guesses(pictures, masks)
    for name, guess in said.items():
        cells = CELLS[name.split()[0]]
        assert int((guess.labels == MARK).sum()) == 6 * 8 * cells
        assert int((guess.labels == IGNORED).sum()) == (100 - 6 * 8) * cells
        others = guess.labels != MARK
        guess.logits.data[others] = 1e4 * torch.randn_like(guess.logits[others])
        kept = Guess(name, guess.logits[~others], guess.labels[~others], guess.nothing_weight)
        torch.testing.assert_close(guess.loss(), kept.loss())
        assert guess.accuracy() == kept.accuracy()


def test_cells_that_show_nothing_count_less_and_are_not_hits() -> None:
    logits = torch.tensor([[5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    guess = Guess("shape", logits, torch.tensor([0, 1, 1]), nothing_weight=0.25)
    right, wrong = torch.log1p(torch.exp(torch.tensor(-5.0))), 5.0
    wrong_loss = wrong + right
    expected = (0.25 * right + right + wrong_loss) / 2.25
    torch.testing.assert_close(guess.loss(), expected)
    assert guess.accuracy() == 0.5


def test_a_kind_that_nothing_is_asked_of_costs_nothing() -> None:
    logits = torch.ones(2, 3, requires_grad=True)
    loss = Guess("place", logits, torch.tensor([IGNORED, IGNORED]), 0.2).loss()
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None and not bool(logits.grad.any())


def test_there_is_a_class_for_everything_and_one_for_nothing() -> None:
    expected = {
        "shape": len(SHAPES),
        "colour": len(COLOURS),
        "size": len(SIZES),
        "place": len(PLACES),
        "character": len(CHARACTERS),
    }
    assert {name: num - 1 for name, num in NUM_CLASSES.items()} == expected
    said = guesses(blank_pictures(), ALL)
    assert {name: guess.logits.shape[1] - 1 for name, guess in said.items()} == {
        **expected,
        **{f"{name} of token": num for name, num in expected.items()},
    }


def test_a_pooled_token_is_the_mean_of_two_by_two_patches() -> None:
    patches = torch.arange(100.0)[None, :, None]
    tokens = pooled(patches)
    assert tokens.shape == (1, 25, 1)
    assert tokens[0, 0, 0] == (0 + 1 + 10 + 11) / 4
    assert tokens[0, 6, 0] == (22 + 23 + 32 + 33) / 4
