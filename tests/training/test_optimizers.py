"""Which optimizer moves which weight, and what it remembers."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import AdamW, Muon

from core.training.optimizers import (
    is_hidden_matrix,
    make_optimizers,
    restore_state,
    state_tensors,
)
from tests.training import random_learner


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))))


def made() -> dict[str, nn.Parameter]:
    return {
        "model.layers.0.mlp.down_proj.weight": parameter(8, 12),
        "model.embed_tokens.weight": parameter(20, 8),
        "patch_embedding.weight": parameter(8, 3, 2, 2),
        "head.weight": parameter(5, 8),
        "model.norm.weight": parameter(8),
    }


def test_every_weight_belongs_to_one_optimizer() -> None:
    parameters = made()
    muon, adam = make_optimizers(parameters, 0.1, 0.01)
    assert isinstance(muon, Muon)
    assert isinstance(adam, AdamW)
    groups = [*muon.param_groups, *adam.param_groups]
    moved = [id(p) for group in groups for p in group["params"]]
    assert sorted(moved) == sorted(id(p) for p in parameters.values())
    assert [id(p) for p in muon.param_groups[0]["params"]] == moved[:1]


def test_only_maps_between_layers_are_orthogonalised_in_the_bundled_model() -> None:
    hidden = {
        name.rsplit(".", 2)[-2]
        for name, weight in random_learner().named_parameters()
        if is_hidden_matrix(name, weight) and ".lora_" not in name
    }
    assert {"qkv_proj", "o_proj", "gate_up_proj", "down_proj", "fc1", "out"} <= hidden
    assert not {"embed_tokens", "position_embedding", "patch_embedding", "bias_values"} & hidden


def test_parameters_that_begin_so_get_their_share_of_the_rate() -> None:
    parameters = made()
    slower = {"model.layers.": 0.5, "model.norm": 0.25}
    shares = {
        id(p): group["share"]
        for optimizer in make_optimizers(parameters, 0.1, 0.01, slower)
        for group in optimizer.param_groups
        for p in group["params"]
    }
    wanted = dict.fromkeys(parameters, 1.0)
    wanted |= {"model.layers.0.mlp.down_proj.weight": 0.5, "model.norm.weight": 0.25}
    assert {name: shares[id(p)] for name, p in parameters.items()} == wanted


@pytest.mark.parametrize(
    "names", [["model.norm.weight"], ["model.layers.0.mlp.down_proj.weight"], []]
)
def test_optimizers_without_weights_are_not_made(names: list[str]) -> None:
    parameters = {name: weight for name, weight in made().items() if name in names}
    assert len(make_optimizers(parameters, 0.1, 0.01)) == len(names)


def test_one_step_moves_a_matrix_as_far_in_every_direction() -> None:
    parameters = made()
    matrix = parameters["model.layers.0.mlp.down_proj.weight"]
    before = matrix.detach().clone()
    matrix.grad = torch.randn(8, 12, generator=torch.Generator().manual_seed(7))
    make_optimizers(parameters, 0.1, 0.0)[0].step()
    moved = torch.linalg.svdvals(before - matrix.detach())
    assert moved.max() < 2.5 * moved.min()
    assert torch.linalg.svdvals(matrix.grad).max() > 2.5 * torch.linalg.svdvals(matrix.grad).min()


def test_what_is_remembered_of_a_weight_can_be_given_back() -> None:
    parameters = made()
    optimizers = make_optimizers(parameters, 0.1, 0.01)
    for weight in parameters.values():
        weight.grad = torch.ones_like(weight)
    for optimizer in optimizers:
        optimizer.step()
    others = make_optimizers(parameters, 0.1, 0.01)
    for weight in parameters.values():
        assert not state_tensors(others, weight)
        restore_state(others, weight, state_tensors(optimizers, weight))
        before, after = state_tensors(optimizers, weight), state_tensors(others, weight)
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
