"""The vision encoder begins with heads that look at neighbours and with an even first layer."""

from __future__ import annotations

import pytest
import torch

from core.training.locality import FAR, NEAR, NUM_FREQUENCIES, begin_local, begin_whitened
from tests.training import random_learner

SIDE = 10
WIDTH = 4 * NUM_FREQUENCIES  # of a head, and of what says where a patch is


def vision() -> torch.nn.Module:
    tower: torch.nn.Module = random_learner().media.image_embed.img_processor
    return tower


def looked_at(tower: torch.nn.Module, layer: int, head: int, place: int) -> int:
    """The patch that a head looks at most from a place, by where the patches are alone."""
    attention = tower.get_submodule(f"encoder.layers.{layer}.self_attn")
    span = slice(head * WIDTH, (head + 1) * WIDTH)
    where = tower.get_parameter("embeddings.position_embedding.weight")[:, :WIDTH]
    queries = where @ attention.get_parameter("q_proj.weight")[span, :WIDTH].T
    keys = where @ attention.get_parameter("k_proj.weight")[span, :WIDTH].T
    return int((queries[place] @ keys.T).argmax())


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("head", range(4))
def test_each_of_four_heads_looks_at_its_neighbour(layer: int, head: int) -> None:
    tower = vision()
    begin_local(tower, SIDE)
    row_step, column_step = (NEAR if layer % 2 == 0 else FAR)[head]
    for row in range(1, SIDE - 1):
        for column in range(1, SIDE - 1):
            expected = (row + row_step) * SIDE + column + column_step
            assert looked_at(tower, layer, head, row * SIDE + column) == expected


def test_a_whitened_first_layer_hears_all_of_a_patch_about_equally() -> None:
    torch.manual_seed(0)
    tower = vision()
    begin_local(tower, SIDE)
    # Smooth pictures: most of a patch is its mean colour, and little is its edges.
    coarse = torch.rand(40, 3, 20, 20)
    crops = torch.nn.functional.interpolate(coarse, (140, 140), mode="bilinear") * 2 - 1
    begin_whitened(tower, crops)
    embedding = tower.get_submodule("embeddings.patch_embedding")
    with torch.no_grad():
        heard = embedding(crops).flatten(2).transpose(1, 2).flatten(0, 1)[:, WIDTH:]
    loud = heard.std(0)[:20]  # the first components, far above the floor
    assert float(loud.max() / loud.min()) < 1.5
    assert float(heard.mean(0).abs().max()) < 0.01
