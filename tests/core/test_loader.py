"""Which 4 bits a model gets where nobody says."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
from transformers import Phi4MultimodalConfig

from core import loader
from core.config import ModelOptions, Quantization
from core.errors import BadOptionError
from core.loader import load_model

LARGE = Phi4MultimodalConfig(hidden_size=3072, num_hidden_layers=32)


def decided(
    monkeypatch: pytest.MonkeyPatch,
    options: ModelOptions,
    fast_nf4: bool = False,
    fast_int4: bool = True,
) -> Quantization:
    monkeypatch.setattr("core.nf4_weight.has_quick_nf4", lambda: fast_nf4)
    monkeypatch.setattr(loader, "has_fast_int4_cpu", lambda: fast_int4)
    return loader.with_quantization(options, LARGE).quantization


@pytest.mark.parametrize(
    ("dtype", "fast_nf4", "fast_int4", "quantization"),
    [
        ("bfloat16", True, True, "nf4"),
        ("bfloat16", False, True, "int4"),
        ("float32", True, True, "int4"),
        ("float32", False, False, "nf4"),
    ],
)
def test_a_large_model_gets_the_4_bits_that_are_quick(
    dtype: str,
    fast_nf4: bool,
    fast_int4: bool,
    quantization: Quantization,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ModelOptions(dtype=dtype, device="cpu")  # type: ignore[arg-type]
    assert decided(monkeypatch, options, fast_nf4, fast_int4) == quantization


@pytest.mark.parametrize("wanted", ["nf4", "int4", "int8", "none"])
def test_what_somebody_asks_for_stays(
    wanted: Quantization, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = ModelOptions("float32", wanted, "cpu")
    assert decided(monkeypatch, options) == wanted
    is_slow = wanted == "nf4"
    assert ("--quantization int4 answers sooner" in caplog.text) == is_slow


def test_without_any_quick_4_bits_8_are_advised(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        decided(monkeypatch, ModelOptions("float32", "auto", "cpu"), fast_int4=False)
    assert "--quantization int8 answers sooner" in caplog.text


def test_a_small_model_is_in_nf4_everywhere(native_folder: Path) -> None:
    loaded = load_model(native_folder, ModelOptions(device="cpu"))
    assert loaded.options.quantization == "nf4"


def test_a_gpu_takes_nf4(monkeypatch: pytest.MonkeyPatch) -> None:
    options = ModelOptions("bfloat16", "auto", "cuda")
    assert decided(monkeypatch, options) == "nf4"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(BadOptionError, match="int4 is for CPUs: choose quantization nf4"):
        ModelOptions("bfloat16", "int4", "cuda").resolved()
