"""Tiles against the image processor of transformers, and against the formulas on their own."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import Phi4MultimodalVisionConfig
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalVisionModel

from tests.media import picture
from tests.vision.reference import reference_tiles
from vision.errors import PictureError
from vision.tiles import Detail, TileOptions, num_picture_tokens, tile_picture

FULL = TileOptions()
SMALL = TileOptions(crop_px=224, patch_px=14, max_crops=1)

# Pillow and torch round each of the two resizing passes on their own: one step of 256.
ONE_STEP = 1 / 127.5 + 1e-6

SIZES_PX = [
    *((448, 448), (1, 1), (20, 20), (447, 448), (448, 447), (449, 448), (448, 449), (449, 449)),
    *((224, 224), (300, 200), (200, 300), (100, 448), (448, 100), (10, 448), (448, 10)),
    *((896, 1344), (1344, 896), (896, 896), (897, 897), (640, 480), (480, 640), (1024, 768)),
    *((1280, 720), (720, 1280), (1920, 1080), (1080, 1920), (2560, 1440), (1170, 2532)),
    *((2688, 2688), (2689, 2689), (3000, 3000), (4032, 3024), (3024, 4032), (6000, 4000)),
    *((5000, 500), (500, 5000), (4480, 448), (448, 4480), (16128, 448), (448, 16128)),
    *((16129, 448), (8000, 401), (401, 8000), (20000, 1000), (1000, 20000), (3333, 777)),
    *((16128, 10), (10, 16128), (7000, 7), (1793, 4033), (2245, 2244), (12000, 9000)),
]


def tokens_by_formula(width_px: int, height_px: int, crop_px: int, max_crops: int) -> int | None:
    """The price worked out from the formulas alone, with plain loops; None for too narrow."""
    columns, rows = -(-width_px // crop_px), -(-height_px // crop_px)
    if columns * rows > max_crops:
        columns, rows = _nearest_grid(width_px, height_px, crop_px, max_crops)
    padded_width, padded_height = columns * crop_px, rows * crop_px
    across, down = padded_width / width_px, padded_height / height_px
    width = padded_width if across < down else int(width_px * down)
    height = int(height_px * across) if across < down else padded_height
    if min(width, height) < 10:
        return None
    mask = np.ones((padded_height // 14, padded_width // 14), bool)
    mask[mask.shape[0] - (padded_height - height) // 14 :] = False
    mask[:, mask.shape[1] - (padded_width - width) // 14 :] = False
    pooled = mask[::2, ::2]
    side = crop_px // 28
    return side * side + 1 + int(pooled.sum()) + int(pooled[:, 0].sum()) + side


def _nearest_grid(width_px: int, height_px: int, crop_px: int, max_crops: int) -> tuple[int, int]:
    """The nearest ratio; of equal ones, ever larger grids while the picture fills half of one."""
    best = (1, 1)
    for area in range(1, max_crops + 1):
        for columns in range(1, area + 1):
            if area % columns:
                continue
            grid = (columns, area // columns)
            aim = width_px / height_px
            new, old = abs(aim - grid[0] / grid[1]), abs(aim - best[0] / best[1])
            if new < old or (new == old and width_px * height_px > crop_px**2 * area / 2):
                best = grid
    return best


@pytest.mark.parametrize("max_crops", [1, 4, 16, 36])
@pytest.mark.parametrize("crop_px", [224, 448])
@pytest.mark.parametrize(("width_px", "height_px"), SIZES_PX)
def test_tokens_follow_the_formula(
    width_px: int, height_px: int, crop_px: int, max_crops: int
) -> None:
    options = TileOptions(crop_px, 14, max_crops)
    expected = tokens_by_formula(width_px, height_px, crop_px, max_crops)
    if expected is None:
        with pytest.raises(PictureError, match=f"{width_px} x {height_px} px, too narrow"):
            num_picture_tokens(width_px, height_px, options)
    else:
        assert num_picture_tokens(width_px, height_px, options) == expected


@pytest.mark.parametrize(
    ("width_px", "height_px", "num_crops", "num_tokens"),
    [(1344, 896, 6, 1841), (896, 1344, 6, 1857), (448, 448, 1, 545), (300, 300, 1, 545)],
)
def test_known_pictures_cost_what_the_published_processor_says(
    width_px: int, height_px: int, num_crops: int, num_tokens: int
) -> None:
    tiles = tile_picture(picture(width_px, height_px))
    assert tiles.num_tokens == num_picture_tokens(width_px, height_px) == num_tokens
    assert tiles.pixel_values.shape == (1 + num_crops, 3, 448, 448)
    assert tiles.patch_mask.shape == (1 + num_crops, 32, 32)


def test_the_small_model_pays_for_one_crop_and_one_view() -> None:
    tiles = tile_picture(picture(224, 224), SMALL)
    assert tiles.pixel_values.shape == (2, 3, 224, 224)
    assert tiles.num_tokens == 8 * 9 + 1 + 8 * 9


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, 5_000), st.integers(1, 5_000), st.integers(1, 36), st.sampled_from([224, 448])
)
def test_tokens_of_any_size_follow_the_formula(
    width_px: int, height_px: int, max_crops: int, crop_px: int
) -> None:
    expected = tokens_by_formula(width_px, height_px, crop_px, max_crops)
    try:
        ours = num_picture_tokens(width_px, height_px, TileOptions(crop_px, 14, max_crops))
    except PictureError:
        assert expected is None
    else:
        assert ours == expected


@pytest.mark.parametrize(
    ("width_px", "height_px", "crop_px", "max_crops"),
    [
        *((448, 448, 448, 36), (200, 150, 448, 36), (30, 400, 448, 36), (896, 1344, 448, 36)),
        *((1344, 896, 448, 36), (640, 480, 448, 36), (1000, 333, 448, 36), (333, 1000, 448, 36)),
        *((1111, 777, 448, 4), (777, 1111, 448, 4), (3000, 200, 448, 4), (200, 3000, 448, 4)),
        *((1500, 1500, 448, 9), (4000, 300, 448, 36), (300, 4000, 448, 36)),
        *(
            (224, 224, 224, 1),
            (55, 55, 448, 36),
            (640, 480, 224, 1),
            (37, 500, 224, 1),
            (1200, 90, 224, 1),
        ),
        *((700, 500, 224, 12), (90, 90, 224, 12), (448, 449, 224, 4)),
    ],
)
def test_tiles_equal_the_reference(
    width_px: int, height_px: int, crop_px: int, max_crops: int
) -> None:
    drawn = picture(width_px, height_px)
    ours = tile_picture(drawn, TileOptions(crop_px, 14, max_crops))
    expected = reference_tiles(drawn, crop_px, 14, max_crops)
    side = crop_px // 28
    assert (ours.height_px, ours.width_px) == (expected.height_px, expected.width_px)
    assert torch.equal(ours.patch_mask, expected.patch_mask)
    # The reference counts its global view as 256 + 16 whatever the crop.
    assert ours.num_tokens == expected.num_tokens - 272 + side * (side + 1)
    difference = (ours.pixel_values - expected.pixel_values).abs()
    assert ours.pixel_values.dtype == torch.float32
    assert difference[1:].max() <= ONE_STEP
    assert difference[0].max() <= 2 * ONE_STEP  # bicubic weights add up to 1.9 in magnitude
    assert difference.mean() < 0.1 / 127.5


def test_a_picture_already_of_crop_size_equals_the_reference_exactly() -> None:
    drawn = picture(896, 448)
    expected = reference_tiles(drawn, 448, 14, 36).pixel_values
    assert torch.allclose(tile_picture(drawn).pixel_values, expected, atol=2e-6)


@pytest.mark.parametrize(("width_px", "height_px"), [(5000, 4), (4, 5000), (449, 1)])
def test_the_reference_refuses_the_same_narrow_pictures(width_px: int, height_px: int) -> None:
    drawn = picture(width_px, height_px)
    with pytest.raises(ValueError, match="aspect ratio"):
        reference_tiles(drawn, 448, 14, 1)
    with pytest.raises(PictureError, match="too narrow"):
        tile_picture(drawn, TileOptions(max_crops=1))


@pytest.fixture(scope="module")
def encoder() -> Phi4MultimodalVisionModel:
    torch.manual_seed(0)
    config = Phi4MultimodalVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2
    )
    return Phi4MultimodalVisionModel(config).eval()


@pytest.mark.parametrize(("width_px", "height_px"), [(448, 300), (700, 500)])
def test_embeddings_equal_those_of_the_reference(
    encoder: Phi4MultimodalVisionModel, width_px: int, height_px: int
) -> None:
    drawn = picture(width_px, height_px)
    expected = reference_tiles(drawn, 448, 14, 36)
    ours = tile_picture(drawn)
    with torch.inference_mode():
        features = encoder(ours.pixel_values, ours.patch_mask).last_hidden_state
        wanted = encoder(expected.pixel_values, expected.patch_mask).last_hidden_state
    seen = ours.patch_mask.flatten(1)
    error = (features - wanted)[seen].norm() / wanted[seen].norm()
    assert error < 0.01


def test_crops_lie_row_by_row() -> None:
    quarters = Image.new("RGB", (896, 896))
    shades = [0, 85, 170, 255]
    for index, shade in enumerate(shades):
        corner = (448 * (index % 2), 448 * (index // 2))
        quarters.paste((shade, shade, shade), (*corner, corner[0] + 448, corner[1] + 448))
    crops = tile_picture(quarters).pixel_values[1:]
    means = crops.mean(dim=(1, 2, 3))
    assert torch.allclose(means, torch.tensor([-1.0, -1 / 3, 1 / 3, 1.0]), atol=1e-5)


@pytest.mark.parametrize(("width_px", "height_px"), [(448, 200), (200, 448)])
def test_padding_is_white_and_masked(width_px: int, height_px: int) -> None:
    tiles = tile_picture(Image.new("RGB", (width_px, height_px), "black"))
    crop, mask = tiles.pixel_values[1], tiles.patch_mask[1]
    assert (crop[:, :height_px, :width_px] == -1).all()
    assert (crop[:, height_px:] == 1).all()
    assert (crop[:, :, width_px:] == 1).all()
    assert int(mask.sum()) == 32 * math.ceil(200 / 14)
    assert tiles.patch_mask[0].all()


def test_a_picture_of_one_crop_is_its_own_global_view() -> None:
    values = tile_picture(picture(640, 480), SMALL).pixel_values
    assert torch.equal(values[0], values[1])


@pytest.mark.parametrize(("detail", "num_crops"), [("low", 1), ("auto", 6), ("high", 6)])
def test_detail_decides_how_many_crops_are_spent(detail: Detail, num_crops: int) -> None:
    tiles = tile_picture(picture(896, 1344), FULL, detail)
    assert len(tiles.pixel_values) == 1 + num_crops
    assert tiles.num_tokens == num_picture_tokens(896, 1344, FULL, detail)


def test_low_detail_is_the_same_as_a_model_of_one_crop() -> None:
    drawn = picture(1000, 600)
    low, one = tile_picture(drawn, FULL, "low"), tile_picture(drawn, TileOptions(max_crops=1))
    assert torch.equal(low.pixel_values, one.pixel_values)
    assert torch.equal(low.patch_mask, one.patch_mask)


@pytest.mark.parametrize(
    ("crop_px", "patch_px", "max_crops", "expected"),
    [(450, 14, 36, "even number"), (210, 14, 36, "even number"), (448, 14, 0, "at least one")],
)
def test_options_that_do_not_fit_together_are_refused(
    crop_px: int, patch_px: int, max_crops: int, expected: str
) -> None:
    with pytest.raises(ValueError, match=expected):
        TileOptions(crop_px, patch_px, max_crops)
