"""Norms and activations in one loop: PyTorch's and transformers' own, number by number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core import quick_rows
from core.instructions import can_run_loops
from core.quick_rows import gated, gelu_tanh, normed

needs_instructions = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
SHAPES = [(1, 16), (3, 48), (2, 5, 512), (7, 528), (300, 1040)]


def random_numbers(*shape: int, size: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return (size * torch.randn(*shape, generator=generator)).bfloat16()


def apart(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest distance in bfloat16's own steps, of about 2 ** -8 of a number."""
    steps = wanted.float().abs().clamp(min=2**-8) * 2**-8
    return float(((found.float() - wanted.float()).abs() / steps).max())


@needs_instructions
@pytest.mark.parametrize("shape", SHAPES)
def test_a_norm_is_transformers_own(shape: tuple[int, ...]) -> None:
    x, weight = random_numbers(*shape, size=3.0), random_numbers(shape[-1])
    mean = x.float().pow(2).mean(-1, keepdim=True)
    scaled = (x.float() * torch.rsqrt(mean + 1e-5)).bfloat16()
    assert apart(normed(x, weight, 1e-5), weight * scaled) <= 2.0
    assert (normed(x, weight, 1e-5) == weight * scaled).float().mean() > 0.99


@needs_instructions
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_a_gate_is_pytorchs(shape: tuple[int, ...], size: float) -> None:
    x = random_numbers(*shape[:-1], 2 * shape[-1], size=size)
    gate, up = x.chunk(2, dim=-1)
    assert gated(x).shape == shape
    assert apart(gated(x), F.silu(gate) * up) <= 2.0


@needs_instructions
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1.0, 30.0])
def test_gelu_is_pytorchs(shape: tuple[int, ...], size: float) -> None:
    x = random_numbers(*shape, size=size)
    wanted = F.gelu(x.double(), approximate="tanh")
    assert apart(gelu_tanh(x.clone()), wanted) <= 1.0


@needs_instructions
def test_the_ends_of_bfloat16_are_what_they_should_be() -> None:
    largest = torch.finfo(torch.bfloat16).max
    ends = torch.tensor([largest, -largest, 0.0, -0.0, 1e-30, -1e-30, 88.0, -88.0] * 2).bfloat16()
    assert apart(gelu_tanh(ends.clone()), F.gelu(ends, approximate="tanh")) <= 1.0
    ones = torch.ones_like(ends)
    assert apart(gated(torch.cat((ends, ones))), F.silu(ends)) <= 1.0
    assert torch.equal(normed(0 * ones, ones, 1e-5), 0 * ones)


@needs_instructions
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_a_row_is_the_same_whatever_is_beside_it(num_threads: int) -> None:
    x, weight = random_numbers(40, 1056), random_numbers(1056)
    wanted = [
        torch.cat([of(row[None]).clone() for row in x])
        for of in (lambda row: normed(row, weight, 1e-6), gated)
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        assert torch.equal(normed(x, weight, 1e-6), wanted[0])
        assert torch.equal(gated(x), wanted[1])
    finally:
        torch.set_num_threads(before)


@needs_instructions
def test_rows_that_lie_apart_are_taken_as_they_are_meant() -> None:
    x = random_numbers(6, 128)
    apart_, weight = x[:, ::2], random_numbers(128)[::2]
    assert torch.equal(normed(apart_, weight, 1e-6), normed(apart_.clone(), weight.clone(), 1e-6))
    assert torch.equal(gated(apart_).clone(), gated(apart_.contiguous()))
    before = x.clone()
    assert torch.equal(gelu_tanh(apart_), F.gelu(apart_, approximate="tanh"))
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_where_there_is_no_loop_pytorch_computes(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_rows, "can_run_loops", lambda: False)
    x, weight = random_numbers(4, 64).to(dtype), random_numbers(64).to(dtype)
    assert torch.equal(normed(x, weight, 1e-6), F.rms_norm(x, (64,), weight, 1e-6))
    assert torch.equal(gelu_tanh(x), F.gelu(x, approximate="tanh"))
    assert torch.equal(gated(x), F.silu(x[:, :32]) * x[:, 32:])


def test_odd_widths_and_other_types_are_pytorchs() -> None:
    for x in (random_numbers(3, 20), random_numbers(3, 32).float()):
        weight = torch.ones(x.shape[1], dtype=x.dtype)
        assert torch.equal(normed(x, weight, 1e-6), F.rms_norm(x, x.shape[1:], weight, 1e-6))
