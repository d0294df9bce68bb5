"""Options of loading and the numbers of a LoRA."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.config import AdapterConfig, ModelOptions
from core.errors import BadOptionError


@pytest.mark.parametrize(
    "wrong", [{"dtype": "float16"}, {"quantization": "int4"}, {"device": "tpu"}, {"dtype": ""}]
)
def test_an_unknown_value_names_the_option_and_the_choices(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(BadOptionError, match=f"{name} is .*: choose one of "):
        ModelOptions(**wrong)


def test_auto_becomes_bfloat16_and_the_device_there_is() -> None:
    options = ModelOptions().resolved()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    assert (options.dtype, options.device) == ("bfloat16", device)
    assert options.torch_dtype == ModelOptions().torch_dtype == torch.bfloat16


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert ModelOptions(device="auto").resolved().device == "cpu"
    with pytest.raises(BadOptionError, match="no CUDA device"):
        ModelOptions(device="cuda").resolved()


def test_a_lora_is_scaled_by_alpha_over_rank() -> None:
    assert AdapterConfig("speech", 320, 640.0).scale == 2.0
    assert AdapterConfig("vision", 8, 4.0).scale == 0.5
