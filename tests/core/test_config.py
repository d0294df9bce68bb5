"""Options of loading and the numbers of a LoRA."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core import config
from core.config import AdapterConfig, ModelOptions, Quantization
from core.errors import BadOptionError


@pytest.mark.parametrize(
    "wrong", [{"dtype": "float16"}, {"quantization": "int3"}, {"device": "tpu"}, {"dtype": ""}]
)
def test_an_unknown_value_names_the_option_and_the_choices(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(BadOptionError, match=f"{name} is .*: choose one of "):
        ModelOptions(**wrong)


@pytest.mark.parametrize(
    ("is_fast", "has_loops", "quantization", "dtype", "encoder_dtype"),
    [
        (True, True, "auto", torch.bfloat16, torch.bfloat16),
        (True, False, "none", torch.bfloat16, torch.bfloat16),
        (False, False, "auto", torch.float32, torch.float32),
        (False, True, "auto", torch.bfloat16, torch.float32),
        (False, True, "none", torch.float32, torch.float32),
    ],
)
def test_auto_becomes_what_the_device_there_is_does_best(
    is_fast: bool,
    has_loops: bool,
    quantization: Quantization,
    dtype: torch.dtype,
    encoder_dtype: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "has_fast_bfloat16", lambda device: is_fast)
    monkeypatch.setattr(config, "can_run_loops", lambda: has_loops)
    auto = ModelOptions(quantization=quantization)
    options = auto.resolved()
    assert options.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert options.torch_dtype == auto.torch_dtype == dtype
    assert auto.encoder_dtype == options.encoder_dtype == encoder_dtype
    assert ModelOptions(dtype="bfloat16").torch_dtype == torch.bfloat16


def test_a_gpu_is_fast_in_bfloat16() -> None:
    assert config.has_fast_bfloat16("cuda")


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ModelOptions(device="auto").resolved().device == "cpu"
    with pytest.raises(BadOptionError, match="no CUDA device"):
        ModelOptions(device="cuda").resolved()


def test_a_lora_is_scaled_by_alpha_over_rank() -> None:
    assert AdapterConfig("speech", 320, 640.0).scale == 2.0
    assert AdapterConfig("vision", 8, 4.0).scale == 0.5
