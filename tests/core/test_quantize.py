"""Quantised weights against the numbers they stand for, alone and inside a model."""

from __future__ import annotations

import logging
import weakref
from pathlib import Path
from typing import Literal

import bitsandbytes
import pytest
import torch

from core.adapters import LoraFactors
from core.checkpoint import Checkpoint
from core.config import ModelOptions, Quantization
from core.key_map import decoder_linear_names
from core.loader import load_model
from core.model import Model
from core.nf4_weight import Nf4Weight
from core.quantize import Int8Weight, PlainWeight, Weight, quantize
from core.router import InputMode
from tests.core.reference import prompt
from tests.core.rounding import STEPS

SHAPES = [(64, 64), (96, 192), (512, 256)]
SMALL = 2**17  # numbers in a matrix whose int8 product in float32 is one
NUM_DRAWN = 40  # batches: a single row may be half as far off again as rows are
BATCHES = [(), (1,), (2, 3), (2, 40)]  # 80 rows are beyond the packed int8 kernel


def random_weight(num_out: int, num_in: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(num_out * num_in)
    return torch.randn(num_out, num_in, generator=generator).to(dtype) / num_in**0.5


def error(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """The difference's size in units of the exact one's."""
    return float((ours.double() - exact.double()).norm() / exact.double().norm())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["nf4", "int8"])
@torch.inference_mode()
def test_a_product_is_that_of_the_dequantized_matrix(
    shape: tuple[int, int], batch: tuple[int, ...], dtype: torch.dtype, kind: Quantization
) -> None:
    weight = quantize(random_weight(*shape), kind, dtype, "w")
    several = torch.randn(NUM_DRAWN, *batch, shape[1]).to(dtype)
    product = torch.stack([weight.multiply(x) for x in several])
    assert (product.shape, weight.shape) == ((NUM_DRAWN, *batch, shape[0]), shape)
    assert product.dtype == dtype
    exact = several.double() @ weight.dequantize().double().T
    is_few, is_large = several[0, ..., 0].numel() <= 32, shape[0] * shape[1] >= SMALL
    is_rounded = kind == "int8" and is_few and is_large  # by int8's kernel, to bfloat16
    is_exact = dtype == torch.float32 and not is_rounded
    assert error(product, exact) < (1e-5 if is_exact else 1.27 / STEPS)


@pytest.mark.parametrize("shape", [(32, 256), (1536, 32)])  # factors of the bundled model's
@torch.inference_mode()
def test_an_adapters_rows_are_the_same_alone_and_side_by_side(shape: tuple[int, int]) -> None:
    weight = quantize(random_weight(*shape), "int8", torch.float32, "w")
    x = torch.randn(40, shape[1])
    nudged = x * (1 + 1e-6)  # as far apart as other products' rows are, alone and side by side
    for num in (1, 4, 40):
        assert error(weight.multiply(nudged[:num])[:1], weight.multiply(x[:1])) < 1e-5


@pytest.mark.parametrize(
    ("kind", "limit"), [("nf4", 0.1), ("int4", 0.085), ("int8", 0.01), ("none", 1e-7)]
)
def test_a_quantized_matrix_stays_close_to_the_original(kind: Quantization, limit: float) -> None:
    original = random_weight(256, 128)
    weight = quantize(original, kind, torch.float32, "w")
    assert error(weight.dequantize(), original) < limit


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nf4_codes_are_those_of_bitsandbytes(dtype: torch.dtype) -> None:
    original = random_weight(160, 192, dtype)
    original[3, 64:128] = 0.0  # a block of zeros has no scale
    codes, state = bitsandbytes.functional.quantize_4bit(
        original, blocksize=64, quant_type="nf4", compress_statistics=False
    )
    theirs = bitsandbytes.functional.dequantize_4bit(codes, state)
    ours = Nf4Weight(original, dtype).dequantize()
    if dtype == torch.float32:
        assert torch.equal(ours, theirs)
    else:  # the fused kernel's scales are rounded to bfloat16
        assert error(ours, theirs) < 5e-3


def test_packing_in_pieces_packs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix, made = random_weight(160, 128, torch.bfloat16), []
    for num_rows in (4096, 64):
        monkeypatch.setattr("core.quantize._ROWS_PACKED_AT_ONCE", num_rows)
        made.append(Int8Weight(matrix, torch.bfloat16))
    whole, in_pieces = made
    assert whole.shape == in_pieces.shape == (160, 128)
    theirs, ours = whole.stored()[1], in_pieces.stored()[1]
    assert all(torch.equal(ours[part], tensor) for part, tensor in theirs.items())


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((48, 64), "nf4"), ((64, 80), "nf4"), ((40, 64), "int4"), ((64, 80), "int4")],
)
def test_a_matrix_the_kernel_cannot_take_stays_and_is_named(
    shape: tuple[int, int], kind: Quantization, caplog: pytest.LogCaptureFixture
) -> None:
    original = random_weight(*shape)
    with caplog.at_level(logging.INFO):
        weight = quantize(original, kind, torch.float32, "model.layers.9.mlp.down_proj")
    assert isinstance(weight, PlainWeight)
    assert torch.equal(weight.dequantize(), original)
    assert "model.layers.9.mlp.down_proj" in caplog.text


@torch.inference_mode()
def test_int8_takes_sides_its_kernel_does_not() -> None:
    weight = quantize(random_weight(7, 13), "int8", torch.float32, "w")
    assert isinstance(weight, Int8Weight)
    x = torch.randn(1, 13)
    assert error(weight.multiply(x), x @ weight.dequantize().T) < 1e-5  # without the kernel


def dequantized(lora: LoraFactors) -> LoraFactors:
    return LoraFactors(PlainWeight(lora.down.dequantize()), PlainWeight(lora.up.dequantize()))


def dequantized_twin(folder: Path, quantized: Model) -> Model:
    """The same model computing with the dequantised numbers, plainly."""
    twin = load_model(folder, ModelOptions(quantized.options.dtype, "none", "cpu"))
    for ours, theirs in zip(quantized._decoder.layers, twin._decoder.layers, strict=True):
        for name in ("qkv_proj", "o_proj", "gate_up_proj", "down_proj"):
            weight: Weight = getattr(ours, name).base
            assert not isinstance(weight, PlainWeight)
            linear = getattr(theirs, name)
            object.__setattr__(linear, "base", PlainWeight(weight.dequantize()))
            loras = {key: dequantized(lora) for key, lora in getattr(ours, name).loras.items()}
            object.__setattr__(linear, "loras", loras)
    return twin


@pytest.mark.parametrize("mode", list(InputMode))
@pytest.mark.parametrize(
    ("kind", "dtype", "limit"),
    [
        ("nf4", "float32", 1e-4),
        ("nf4", "bfloat16", 0.05),
        ("int4", "float32", 0.03),  # its kernel takes bfloat16
        ("int4", "bfloat16", 0.05),
        ("int8", "float32", 0.03),
        ("int8", "bfloat16", 0.05),
    ],
)
@torch.inference_mode()
def test_a_quantized_model_computes_what_its_dequantized_twin_computes(
    kind: Quantization,
    dtype: Literal["float32", "bfloat16"],
    limit: float,
    mode: InputMode,
    native_folder: Path,
) -> None:
    ours = load_model(native_folder, ModelOptions(dtype, kind, "cpu"))
    twin = dequantized_twin(native_folder, ours)
    inputs = prompt(mode)
    logits = [
        each.forward(
            each.embed(inputs)[None], each.new_kv_cache(1, 64), [0], [inputs.route.adapter]
        )
        for each in (ours, twin)
    ]
    assert error(logits[0], logits[1]) < limit


@pytest.mark.parametrize("kind", ["nf4", "int4", "int8"])
def test_one_unquantized_decoder_matrix_is_alive_at_a_time(
    kind: Quantization, main_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linears = {f"{name}.weight" for name in decoder_linear_names(2)}
    read = Checkpoint.tensor
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    num_alive: list[int] = []

    def counted(checkpoint: Checkpoint, name: str) -> torch.Tensor:
        tensor = read(checkpoint, name)
        if name in linears:
            alive.add(tensor)
            num_alive.append(len(alive))
        return tensor

    monkeypatch.setattr(Checkpoint, "tensor", counted)
    loaded = load_model(main_folder, ModelOptions("float32", kind, "cpu"))
    assert num_alive == [1] * len(linears)
    assert loaded is not None
    assert not alive
