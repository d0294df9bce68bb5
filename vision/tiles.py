"""A picture -> the tiles the vision encoder takes, and how many tokens they cost.

The picture is fitted into a grid of square crops that suits its shape, padded with white on the
right and at the bottom, and accompanied by one small view of the whole.
Leaves out: decoding (load.py) and everything that needs the model.
Source: Phi4MultimodalImageProcessor of transformers, whose resizing needs torchvision; ours uses
Pillow, which differs from it by at most one step of 256 per pixel of the crops.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from vision.errors import PictureError

Detail = Literal["low", "auto", "high"]

# (x / 255 - 0.5) / 0.5 in one step, so that 0..255 becomes -1..1.
HALF_RANGE: Final = 127.5
WHITE: Final = 1.0

# The training code refuses a picture that is thinner than this once it is fitted.
MIN_FITTED_PX: Final = 10


@dataclass(frozen=True)
class TileOptions:
    """The vision encoder's sizes.

    Args:
        crop_px: side of a crop.
        patch_px: side of a patch; an even number of patches has to make a crop, because the
            encoder's output is pooled two by two.
        max_crops: the most crops a picture is cut into, the global view not counted.
    """

    crop_px: int = 448
    patch_px: int = 14
    max_crops: int = 36

    def __post_init__(self) -> None:
        if self.crop_px % (2 * self.patch_px):
            raise ValueError(
                f"A crop of {self.crop_px} px is no even number of {self.patch_px} px patches."
            )
        if self.max_crops < 1:
            raise ValueError("A picture needs at least one crop; set max_crops to 1 or more.")

    @property
    def patches_per_side(self) -> int:
        """Patches along one side of a crop, an even number."""
        return self.crop_px // self.patch_px


DEFAULT_OPTIONS: Final = TileOptions()


@dataclass(frozen=True)
class Tiles:
    """One picture, cut up.

    Args:
        pixel_values: float32, shape (1 + num_crops, 3, crop_px, crop_px); first the global view,
            then the crops row by row. Crops lie in [-1, 1]; the global view of several crops may
            overshoot a little at sharp edges, as bicubic interpolation does.
        patch_mask: bool, shape (1 + num_crops, patches_per_side, patches_per_side); False where
            a patch lies wholly in the padding.
        height_px, width_px: the padded picture the crops tile, multiples of crop_px.
        num_tokens: how many placeholder tokens stand for it.
    """

    pixel_values: torch.Tensor
    patch_mask: torch.Tensor
    height_px: int
    width_px: int
    num_tokens: int


@dataclass(frozen=True)
class _Fit:
    """How a picture lies in its grid of crops."""

    num_columns: int
    num_rows: int
    fitted_width_px: int
    fitted_height_px: int
    padded_width_px: int
    padded_height_px: int


def tile_picture(
    picture: Image.Image, options: TileOptions = DEFAULT_OPTIONS, detail: Detail = "auto"
) -> Tiles:
    """Cut a picture into tiles.

    Args:
        picture: mode RGB, as `load_picture` returns it.
        options: the encoder's sizes.
        detail: "low" spends one crop; "auto" and "high" as many as the picture needs.
    Returns:
        The tiles, their masks, and their price in tokens.
    Raises:
        PictureError: the picture is so narrow that nothing would be left of it.
    """
    assert picture.mode == "RGB", "pictures come from load_picture"
    fit = _fit(*picture.size, options, detail)
    canvas = _canvas(picture, fit)  # (3, padded_height_px, padded_width_px)
    crops = _split(canvas, fit, options.crop_px)
    view = _global_view(canvas, options.crop_px)
    return Tiles(
        pixel_values=torch.cat([view, crops]),
        patch_mask=_patch_mask(fit, options),
        height_px=fit.padded_height_px,
        width_px=fit.padded_width_px,
        num_tokens=_num_tokens(fit, options),
    )


def num_picture_tokens(
    width_px: int, height_px: int, options: TileOptions = DEFAULT_OPTIONS, detail: Detail = "auto"
) -> int:
    """What a picture of this size costs, without having it.

    Raises:
        PictureError: as `tile_picture`.
    """
    return _num_tokens(_fit(width_px, height_px, options, detail), options)


def _fit(width_px: int, height_px: int, options: TileOptions, detail: Detail) -> _Fit:
    """Choose the grid, and scale the picture until it touches two opposite sides of it."""
    max_crops = 1 if detail == "low" else options.max_crops
    num_columns, num_rows = _grid(width_px, height_px, options.crop_px, max_crops)
    padded_width_px, padded_height_px = num_columns * options.crop_px, num_rows * options.crop_px
    # Kept as two quotients: their rounding decides the last pixel, and with it a patch.
    scale_x, scale_y = padded_width_px / width_px, padded_height_px / height_px
    fitted_width_px, fitted_height_px = padded_width_px, padded_height_px
    if scale_x < scale_y:
        fitted_height_px = int(height_px * scale_x)
    else:
        fitted_width_px = int(width_px * scale_y)
    if min(fitted_width_px, fitted_height_px) < MIN_FITTED_PX:
        raise PictureError(
            f"The picture has {width_px} x {height_px} px, too narrow to make anything out; "
            "cut it into pieces."
        )
    return _Fit(
        num_columns,
        num_rows,
        fitted_width_px,
        fitted_height_px,
        padded_width_px,
        padded_height_px,
    )


def _grid(width_px: int, height_px: int, crop_px: int, max_crops: int) -> tuple[int, int]:
    """Columns and rows: enough for every pixel, or else the grid nearest in shape."""
    num_columns, num_rows = math.ceil(width_px / crop_px), math.ceil(height_px / crop_px)
    if num_columns * num_rows <= max_crops:
        return num_columns, num_rows
    ratio, area_px = width_px / height_px, width_px * height_px
    best, best_difference = (1, 1), math.inf
    for candidate in _grids(max_crops):
        difference = abs(ratio - candidate[0] / candidate[1])
        # Of grids equally near, the larger if the picture fills more than half of it.
        fills = area_px > 0.5 * crop_px * crop_px * candidate[0] * candidate[1]
        if difference < best_difference or (difference == best_difference and fills):
            best, best_difference = candidate, difference
    return best


@cache
def _grids(max_crops: int) -> tuple[tuple[int, int], ...]:
    """Every (columns, rows) of at most `max_crops` crops, small ones first."""
    sides = range(1, max_crops + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if columns * rows <= max_crops]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def _canvas(picture: Image.Image, fit: _Fit) -> torch.Tensor:
    """The fitted picture on white, in -1..1: float32, shape (3, height, width)."""
    fitted_size = (fit.fitted_width_px, fit.fitted_height_px)
    fitted = picture.resize(fitted_size, Image.Resampling.BILINEAR)  # Pillow always antialiases
    pixels = torch.from_numpy(np.array(fitted)).permute(2, 0, 1)  # uint8
    canvas = torch.full((3, fit.padded_height_px, fit.padded_width_px), WHITE)
    inside = canvas[:, : fit.fitted_height_px, : fit.fitted_width_px]
    inside.copy_(pixels).sub_(HALF_RANGE).div_(HALF_RANGE)
    return canvas


def _split(canvas: torch.Tensor, fit: _Fit, crop_px: int) -> torch.Tensor:
    """(3, height, width) -> (num_crops, 3, crop_px, crop_px), row by row."""
    grid = canvas.view(3, fit.num_rows, crop_px, fit.num_columns, crop_px)
    return grid.permute(1, 3, 0, 2, 4).reshape(-1, 3, crop_px, crop_px)


def _global_view(canvas: torch.Tensor, crop_px: int) -> torch.Tensor:
    """The whole padded picture as one crop, shape (1, 3, crop_px, crop_px)."""
    if canvas.shape[1:] == (crop_px, crop_px):
        return canvas[None]
    return F.interpolate(canvas[None], size=(crop_px, crop_px), mode="bicubic", antialias=False)


def _seen_patches(fit: _Fit, patch_px: int) -> tuple[int, int]:
    """Columns and rows of patches that hold at least one pixel of the picture."""
    return math.ceil(fit.fitted_width_px / patch_px), math.ceil(fit.fitted_height_px / patch_px)


def _patch_mask(fit: _Fit, options: TileOptions) -> torch.Tensor:
    """True where a patch holds picture; the global view counts as wholly seen."""
    per_side = options.patches_per_side
    columns, rows = _seen_patches(fit, options.patch_px)
    mask = torch.zeros(fit.num_rows * per_side, fit.num_columns * per_side, dtype=torch.bool)
    mask[:rows, :columns] = True
    grid = mask.view(fit.num_rows, per_side, fit.num_columns, per_side)
    crops = grid.transpose(1, 2).reshape(-1, per_side, per_side)
    return torch.cat([torch.ones(1, per_side, per_side, dtype=torch.bool), crops])


def _num_tokens(fit: _Fit, options: TileOptions) -> int:
    """One token for every two by two patches seen, one to end each row, one between the views."""
    columns, rows = (math.ceil(seen / 2) for seen in _seen_patches(fit, options.patch_px))
    side = options.patches_per_side // 2
    return rows * (columns + 1) + 1 + side * (side + 1)
