"""Muon in float32 moves weights as torch's own does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import Muon

from core.training import optimizers
from core.training.float32_muon import Float32Muon, orthogonalised

COEFFICIENTS = (3.4445, -4.775, 2.0315)


def moved(kind: type[Muon], shape: tuple[int, int]) -> torch.Tensor:
    """How a weight has moved after three gradients."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(*shape, generator=generator)
    weight = nn.Parameter(first.clone())
    optimizer = kind([weight], lr=0.1, weight_decay=0.5, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        weight.grad = torch.randn(*shape, generator=generator)
        optimizer.step()
    return weight.detach() - first


@pytest.mark.parametrize("shape", [(24, 8), (8, 24), (16, 16)])
def test_it_moves_weights_as_torch_does_but_for_rounding(shape: tuple[int, int]) -> None:
    theirs, ours = moved(Muon, shape), moved(Float32Muon, shape)
    assert (theirs - ours).abs().max() < 0.03 * theirs.abs().max()
    assert (theirs != ours).any()  # theirs is rounded to bfloat16 on the way


@pytest.mark.parametrize("shape", [(24, 8), (8, 24)])
def test_singular_values_come_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonalised(matrix, COEFFICIENTS, 5, 1e-7))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


def test_a_gradient_of_nothing_moves_nothing() -> None:
    assert not orthogonalised(torch.zeros(4, 6), COEFFICIENTS, 5, 1e-7).any()


@pytest.mark.parametrize(("is_fast", "kind"), [(True, Muon), (False, Float32Muon)])
def test_it_is_taken_where_bfloat16_is_slow(
    monkeypatch: pytest.MonkeyPatch, is_fast: bool, kind: type[Muon]
) -> None:
    monkeypatch.setattr(optimizers, "has_fast_bfloat16", lambda device: is_fast)
    weight = nn.Parameter(torch.ones(4, 4))
    made = optimizers.make_optimizers({"model.layers.0.o_proj.weight": weight}, 0.1, 0.0)
    assert [type(optimizer) for optimizer in made] == [kind]


def test_a_closure_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="closure"):
        Float32Muon([nn.Parameter(torch.ones(2, 2))]).step(lambda: 0.0)
