"""NF4 unpacked for long prompts: the matrix that the fused kernel's layout holds, in int8."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

import numba
import pytest
import torch

from core import loader, nf4_unpack, nf4_weight
from core.config import ModelOptions
from core.nf4_unpack import unpacked
from core.nf4_weight import Nf4Weight


@pytest.fixture(autouse=True)
def layout(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Weights are laid out for the fused kernel, whether this machine has one or not."""
    monkeypatch.setattr(nf4_weight, "has_fast_nf4_cpu", lambda: True)
    nf4_unpack.compiled.cache_clear()
    yield
    nf4_unpack.compiled.cache_clear()


def random_matrix(num_out: int, num_in: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_out)
    return torch.randn(num_out, num_in, generator=generator).bfloat16()


def numbers_of(matrix: torch.Tensor) -> torch.Tensor:
    """What NF4 makes of a matrix, by its definition, with scales rounded to bfloat16."""
    codes, state = nf4_weight._nf4_quantize(matrix)
    indices = torch.cat((codes >> 4, codes & 15), 1).flatten().long()
    scales = state.absmax.bfloat16().float().repeat_interleave(64)
    return (state.code[indices] * scales).view(matrix.shape)


@pytest.mark.parametrize("shape", [(32, 64), (96, 192), (512, 128)])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_unpacking_gives_the_numbers_to_half_a_step(
    shape: tuple[int, int], num_threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    matrix = random_matrix(*shape)
    weight = Nf4Weight(matrix, torch.bfloat16)
    levels, scales = unpacked(weight._codes, weight._state.absmax, weight._state.code)
    assert levels.dtype == torch.int8
    off = (levels.float() * scales[:, None] - numbers_of(matrix)).abs()
    assert (off <= scales[:, None] * 0.5001).all()


def test_a_long_prompt_is_multiplied_in_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nf4_weight, "INT8_LEAST_NUMBERS", 0)
    matrix = random_matrix(96, 192)
    weight = Nf4Weight(matrix, torch.bfloat16)
    monkeypatch.setattr(weight, "_quick", lambda _: pytest.fail("not in int8"))
    num = nf4_weight.INT8_LEAST_ROWS
    rows = torch.randn(2, num // 2, 192, generator=torch.Generator().manual_seed(2)).bfloat16()
    product = weight.multiply(rows)
    assert (product.shape, product.dtype) == ((2, num // 2, 96), torch.bfloat16)
    exact = rows.double() @ numbers_of(matrix).double().T
    assert (product - exact).norm() < 0.03 * exact.norm()
    with pytest.raises(pytest.fail.Exception, match="not in int8"):
        weight.multiply(rows[:1])


def test_a_small_matrix_is_left_to_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = Nf4Weight(random_matrix(96, 192), torch.bfloat16)
    monkeypatch.setattr(weight, "_quick", lambda x: x)
    rows = torch.ones(nf4_weight.INT8_LEAST_ROWS, 192).bfloat16()
    assert weight.multiply(rows) is rows


def test_where_machine_code_cannot_be_kept_it_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make = numba.njit

    made: list[str] = []

    def njit(signature: str | None, **how: Any) -> Any:
        if how.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        made.append(signature or "")
        return make(signature, **how)

    monkeypatch.setattr(numba, "njit", njit)
    monkeypatch.delitem(sys.modules, "core.nf4_unpack_loop", raising=False)
    matrix = random_matrix(32, 64)
    weight = Nf4Weight(matrix, torch.bfloat16)
    levels, _ = unpacked(weight._codes, weight._state.absmax, weight._state.code)
    assert levels.shape == (32, 64)
    assert len(made) > 3


@pytest.mark.parametrize("is_quick", [True, False])
def test_a_large_model_has_the_loop_compiled_while_it_loads(
    is_quick: bool, native_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loader, "SMALL_MODEL", 0)
    monkeypatch.setattr(loader, "is_nf4_quick", lambda dtype: is_quick)
    monkeypatch.setattr(loader, "compile_ahead", lambda: asked.append(True))
    loader.load_model(native_folder, ModelOptions("float32", "nf4", "cpu"))
    assert asked == [True] * is_quick


def test_the_loop_is_compiled_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Event()
    monkeypatch.setattr(nf4_unpack, "compiled", cache(done.set))
    nf4_unpack.compile_ahead()
    assert done.wait(10)
