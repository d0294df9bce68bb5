"""What packing costs: distributions are compared token by token, on the right replies."""

from __future__ import annotations

import pytest
import torch

from core import sources
from core.config import ModelOptions
from core.encoders import PackedLinear
from core.hub import BUNDLED_FOLDER
from core.instructions import can_run_loops
from core.int8_weight import Int8RowsWeight
from core.loader import load_model
from core.model import Model
from core.nf4_kernel import has_fused_kernel
from core.nf4_rows_weight import Nf4RowsWeight
from core.quantize import quantize
from core.training.cases import cases
from tests.benchmarks import fidelity


def test_a_model_is_no_way_from_itself() -> None:
    asked = list(cases("text", 2, 1))
    model = load_model(BUNDLED_FOLDER, ModelOptions("float32", "none", "cpu"))
    found = fidelity.scores(model, asked)
    assert all(torch.allclose(each.exp().sum(-1), torch.ones(len(each))) for each in found)
    assert fidelity.apart(found, found) == {"kl": 0.0, "same": 1.0}


def test_the_likeliest_token_ends_a_right_reply() -> None:
    """The last distribution is that of the token behind the reply."""
    model = load_model(BUNDLED_FOLDER, ModelOptions("float32", "none", "cpu"))
    last = fidelity.scores(model, list(cases("text", 1, 1)))[0][-1]
    assert int(last.argmax()) in model.config.eos_token_id


def test_distributions_that_differ_are_apart() -> None:
    even, uneven = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.25, 0.75]]).log()
    assert fidelity.apart([even], [uneven]) == {"kl": pytest.approx(0.14384), "same": 0.0}


@pytest.mark.skipif(
    not (has_fused_kernel() and can_run_loops()), reason="this CPU has no AVX512-BF16"
)
def test_matrices_are_multiplied_in_bfloat16_only_inside() -> None:
    def are_in_int8() -> set[bool]:
        matrix = torch.ones(64, 64)
        lora = quantize(matrix, "int8", torch.bfloat16, "lora")
        return {
            isinstance(quantize(matrix, "nf4", torch.bfloat16, "base"), Nf4RowsWeight),
            isinstance(lora, Int8RowsWeight),
        }

    with fidelity.decoder_in_bfloat16():
        assert are_in_int8() == {False}
    assert are_in_int8() == {True}


@pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
def test_encoders_are_in_int8_only_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "is_int8_quick", lambda _: True)
    options = ModelOptions("float32", "nf4", "cpu")
    with fidelity.encoders_in_int8():
        assert has_packed_encoders(load_model(BUNDLED_FOLDER, options))
    assert not has_packed_encoders(load_model(BUNDLED_FOLDER, options))


def has_packed_encoders(model: Model) -> bool:
    encoders = model._vision_encoder._siglip, model._audio_encoder._conformer
    has = [any(isinstance(each, PackedLinear) for each in it.modules()) for it in encoders]
    assert len(set(has)) == 1
    return has[0]


def test_a_cpu_without_the_fused_kernel_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fidelity, "has_fused_kernel", lambda: False)
    assert fidelity.main([]) == 2
    assert "AVX512-BF16" in capsys.readouterr().err
