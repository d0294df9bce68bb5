"""Options of loading and the numbers of a LoRA."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core import config
from core.config import AdapterConfig, ModelOptions
from core.errors import BadOptionError


@pytest.mark.parametrize(
    "wrong", [{"dtype": "float16"}, {"quantization": "int3"}, {"device": "tpu"}, {"dtype": ""}]
)
def test_an_unknown_value_names_the_option_and_the_choices(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(BadOptionError, match=f"{name} is .*: choose one of "):
        ModelOptions(**wrong)


@pytest.mark.parametrize(("is_fast", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_becomes_what_the_device_there_is_does_best(
    is_fast: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "has_fast_bfloat16", lambda device: is_fast)
    options = ModelOptions().resolved()
    assert options.device == ("cuda" if torch.cuda.is_available() else "cpu")
    assert options.torch_dtype == ModelOptions().torch_dtype == dtype
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
