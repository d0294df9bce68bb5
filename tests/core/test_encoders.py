"""Encoders whose matrices are in int8: nearly the same embeddings, and which models have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core import loader, sources
from core.config import ModelOptions, Quantization
from core.encoders import PackedLinear, _distinct
from core.inputs import Picture
from core.instructions import can_run_loops
from core.int8_weight import Int8RowsWeight
from core.loader import load_model
from core.model import Model
from core.prepared import prepared_folder
from core.router import InputMode
from tests.core.reference import prompt
from vision.tiles import tile_picture

MODES = [mode for mode in InputMode if mode != InputMode.LANGUAGE]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache of prepared models, which small ones are not kept in."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def quick_int8(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Any CPU that can is quick at int8, and no matrix too small for it."""
    if not can_run_loops():
        pytest.skip("this CPU has no AVX2")
    with monkeypatch.context() as patch:
        patch.setattr(sources, "is_int8_quick", lambda _: True)
        patch.setattr(sources, "ENCODER_LEAST_NUMBERS", 0)
        yield


def loaded(folder: Path, quantization: Quantization = "int8") -> Model:
    return load_model(folder, ModelOptions("float32", quantization, "cpu"))


def num_packed(model: Model) -> int:
    modules = (*model._vision_encoder._siglip.modules(), *model._audio_encoder._conformer.modules())
    return sum(isinstance(module, PackedLinear) for module in modules)


def media_of(model: Model, mode: InputMode) -> torch.Tensor:
    """Embeddings of what is shown and said."""
    inputs = prompt(mode)
    return model.embed(inputs)[(inputs.token_ids >= 310)]


def error(ours: torch.Tensor, exact: torch.Tensor) -> float:
    """The difference's size in units of the exact one's."""
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("quick_int8")
def test_embeddings_are_nearly_those_of_the_exact_encoders(
    mode: InputMode, native_folder: Path
) -> None:
    packed, exact = loaded(native_folder), loaded(native_folder, "none")
    assert num_packed(packed) > 10
    assert num_packed(exact) == 0
    ours, theirs = (media_of(model, mode) for model in (packed, exact))
    assert 1e-4 < error(ours, theirs) < 0.05


@pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
def test_a_bias_is_added() -> None:
    weight = Int8RowsWeight(torch.eye(32), torch.float32)
    linear = PackedLinear(weight)
    rows = torch.ones(40, 32)
    assert torch.allclose(linear(rows), rows, atol=1e-2)
    linear.bias = torch.nn.Parameter(torch.arange(32.0), requires_grad=False)
    assert torch.allclose(linear(rows), rows + torch.arange(32), atol=1e-2)


def test_small_matrices_and_slow_machines_go_without(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "is_int8_quick", lambda _: True)
    assert num_packed(loaded(native_folder)) == 0
    monkeypatch.setattr(sources, "ENCODER_LEAST_NUMBERS", 0)
    monkeypatch.setattr(sources, "is_int8_quick", lambda _: False)
    assert num_packed(loaded(native_folder)) == 0


@pytest.mark.usefixtures("quick_int8")
def test_the_next_start_finds_them_packed(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader, "SMALL_MODEL", 0)
    first = loaded(native_folder)
    assert prepared_folder(native_folder, first.options).is_dir()
    monkeypatch.setattr(sources, "quantize", lambda *_: pytest.fail("packed again"))
    again = loaded(native_folder)
    assert num_packed(again) == num_packed(first)
    for mode in MODES:
        assert torch.equal(media_of(again, mode), media_of(first, mode))


@pytest.mark.parametrize(
    ("height_px", "width_px", "num_looked_at"),
    [(448, 448, 1), (200, 200, 1), (300, 448, 2), (896, 896, 5)],
)
def test_a_picture_that_fills_its_crop_is_looked_at_once(
    height_px: int, width_px: int, num_looked_at: int
) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (height_px, width_px, 3), np.uint8)
    tiles = tile_picture(Image.fromarray(pixels))
    sizes = tiles.height_px, tiles.width_px, tiles.num_tokens
    looked_at, place_of = _distinct(Picture(tiles.pixel_values, tiles.patch_mask, *sizes))
    assert len(looked_at) == num_looked_at
    assert [looked_at[place] for place in place_of] == (
        [0, 0] if num_looked_at == 1 else list(range(num_looked_at))
    )


def test_blank_crops_are_looked_at_once() -> None:
    page = Image.new("RGB", (448, 4 * 448), "white")
    page.paste("black", (10, 10, 200, 200))
    tiles = tile_picture(page)
    sizes = tiles.height_px, tiles.width_px, tiles.num_tokens
    looked_at, place_of = _distinct(Picture(tiles.pixel_values, tiles.patch_mask, *sizes))
    assert looked_at == [0, 1, 2]  # the whole, the square, and one that is white
    assert place_of == [0, 1, 2, 2, 2]
