"""The image processor of transformers, run as it is, without the torchvision it asks for.

Its own code does the fitting, padding, cutting and counting; only the primitives it would take
from torchvision are stood in for: resize and pad in uint8, as torchvision does them, by torch.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from transformers.image_utils import SizeDict

PACKAGE = "transformers.models.phi4_multimodal"


@dataclass(frozen=True)
class ReferenceTiles:
    """What the reference returns for one picture."""

    pixel_values: torch.Tensor
    patch_mask: torch.Tensor
    height_px: int
    width_px: int
    num_tokens: int


def reference_tiles(
    picture: Image.Image, crop_px: int, patch_px: int, max_crops: int
) -> ReferenceTiles:
    """Run the reference on one RGB picture; its ValueError passes through."""
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    batch = _processor()._preprocess(
        [pixels],
        do_resize=True,
        size=SizeDict(height=crop_px, width=crop_px),
        resample=None,
        do_rescale=True,
        rescale_factor=1 / 255,
        do_normalize=True,
        image_mean=[0.5] * 3,
        image_std=[0.5] * 3,
        patch_size=patch_px,
        dynamic_hd=max_crops,
        return_tensors=None,
    )
    height_px, width_px = batch["image_sizes"][0].tolist()
    return ReferenceTiles(
        batch["image_pixel_values"][0],
        batch["image_attention_mask"][0].bool(),
        height_px,
        width_px,
        batch["num_img_tokens"][0],
    )


@cache
def _processor() -> Any:
    """The reference's class with its base class's primitives given by torch."""
    reference = _module().Phi4MultimodalImageProcessor

    class Processor(reference):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:  # the base class would ask for torchvision
            pass

        def resize(self, image: torch.Tensor, size: SizeDict, **_: object) -> torch.Tensor:
            return F.interpolate(image[None], (size.height, size.width), mode="bicubic")[0]

        def rescale_and_normalize(self, image: torch.Tensor, *_: object) -> torch.Tensor:
            return (image / 255 - 0.5) / 0.5

    return Processor()


@cache
def _module() -> ModuleType:
    """Load the reference's file beside its package, with stand-ins where it imports torchvision."""
    folder = Path(transformers.__file__).parent / "models" / "phi4_multimodal"
    spec = importlib.util.spec_from_file_location(
        f"{PACKAGE}.image_processing_under_test", folder / "image_processing_phi4_multimodal.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    importlib.import_module("transformers.image_processing_backends")  # before the stand-ins
    with pytest.MonkeyPatch.context() as patch:
        for name, stand_in in {**_stand_ins(), spec.name: module}.items():
            patch.setitem(sys.modules, name, stand_in)
        spec.loader.exec_module(module)
    return module


def _stand_ins() -> dict[str, ModuleType]:
    names = ["torchvision", "torchvision.transforms", "torchvision.transforms.v2"]
    modules = {name: ModuleType(name) for name in names}
    functional: Any = ModuleType("torchvision.transforms.v2.functional")
    functional.resize, functional.pad = _resize, _pad
    modules[names[-1]].functional = functional  # type: ignore[attr-defined]
    return modules


def _resize(image: torch.Tensor, size: list[int]) -> torch.Tensor:
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]


def _pad(image: torch.Tensor, padding: list[int], fill: list[int]) -> torch.Tensor:
    left, top, right, bottom = padding
    return F.pad(image, (left, right, top, bottom), value=fill[0])
