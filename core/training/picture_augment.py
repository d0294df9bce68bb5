"""Pictures moved, mirrored and inverted while the vision encoder learns, with their labels.

Few pictures become many: patches change their places as a whole, so that labels stay exact.
Leaves out: drawing (draw.py) and the stage (vision_stages.py).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

import torch

from core.training.examples import IGNORED
from core.training.learner import picture_tensors
from core.training.media import Pictures
from core.training.patch_labels import CELLS_PER_PATCH, NUM_PATCHES, PATCH_PX

MIRRORED_SHARE: Final = 0.5  # of the batches of shapes
INVERTED_SHARE: Final = 0.3  # of the batches of text


@dataclass(frozen=True)
class LabelledCrops:
    """A batch for the vision encoder.

    Args:
        crops: float32, shape (num, 3, 140, 140), in [-1, 1].
        masks: bool, shape (num, 10, 10), False where a patch is padding.
        shapes, colours, sizes, places: int64, shape (num, 10, 10).
        characters: int64, shape (num, 10, 20).
    """

    crops: torch.Tensor
    masks: torch.Tensor
    shapes: torch.Tensor
    colours: torch.Tensor
    sizes: torch.Tensor
    places: torch.Tensor
    characters: torch.Tensor

    @property
    def patch_labels(self) -> tuple[torch.Tensor, ...]:
        """Shapes, colours, sizes, places and characters, IGNORED in padding."""
        of_patches = (self.shapes, self.colours, self.sizes, self.places)
        cells = self.masks.repeat_interleave(CELLS_PER_PATCH, 2)
        return (
            *(labels.masked_fill(~self.masks, IGNORED) for labels in of_patches),
            self.characters.masked_fill(~cells, IGNORED),
        )

    def without_padding(self) -> LabelledCrops:
        """As in the global view: what fills a picture up counts as picture."""
        return replace(self, masks=torch.ones_like(self.masks))

    def mirrored(self, chosen: torch.Tensor) -> LabelledCrops:
        """With some pictures mirrored left to right, masks and labels alike."""
        tensors = (getattr(self, field.name) for field in fields(self))
        return LabelledCrops(
            *(torch.where(chosen.view(-1, *[1] * (it.ndim - 1)), it.flip(-1), it) for it in tensors)
        )


def labelled_crops(pictures: Pictures, indices: Sequence[int]) -> LabelledCrops:
    """Some pictures with their labels."""
    crops, masks = picture_tensors(pictures, tuple(indices))
    labels = torch.from_numpy(pictures.labels[list(indices)]).long()
    characters = torch.from_numpy(pictures.characters[list(indices)]).long()
    shapes, colours, sizes, places = labels.unbind(1)
    return LabelledCrops(crops, masks, shapes, colours, sizes, places, characters)


def joined(batches: Sequence[LabelledCrops]) -> LabelledCrops:
    """Batches as one."""
    names = [field.name for field in fields(LabelledCrops)]
    return LabelledCrops(*(torch.cat([getattr(it, name) for it in batches]) for name in names))


def augment(batch: LabelledCrops, has_text: torch.Tensor, rng: random.Random) -> LabelledCrops:
    """A batch without padding, changed by chance; nobody is asked for the places that were.

    Args:
        batch: its masks are all True.
        has_text: bool, shape (num,): pictures that mirroring would make unreadable, and whose
            colours nobody asks for.
        rng: decides everything.
    """
    batch = replace(batch, places=torch.full_like(batch.places, IGNORED))
    if rng.random() < MIRRORED_SHARE:
        batch = batch.mirrored(~has_text)
    batch = _moved(batch, rng.randrange(NUM_PATCHES), rng.randrange(NUM_PATCHES))
    if rng.random() < INVERTED_SHARE:
        signs = torch.where(has_text, -1.0, 1.0)[:, None, None, None]
        batch = replace(batch, crops=batch.crops * signs)
    return batch


def _moved(batch: LabelledCrops, num_rows: int, num_columns: int) -> LabelledCrops:
    """Moved by whole patches; what leaves on one side comes in on the other."""
    rows_px, columns_px = num_rows * PATCH_PX, num_columns * PATCH_PX
    by_patch = (num_rows, num_columns)
    return LabelledCrops(
        batch.crops.roll((rows_px, columns_px), (2, 3)),
        batch.masks.roll(by_patch, (1, 2)),
        batch.shapes.roll(by_patch, (1, 2)),
        batch.colours.roll(by_patch, (1, 2)),
        batch.sizes.roll(by_patch, (1, 2)),
        batch.places.roll(by_patch, (1, 2)),
        batch.characters.roll((num_rows, num_columns * CELLS_PER_PATCH), (1, 2)),
    )
