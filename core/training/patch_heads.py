"""Throw-away heads that train the vision encoder on its own: what does each patch show?

They ask twice: each patch, and each token that pooling makes of two by two patches, because that
is all the decoder will see. A token has to tell its four patches apart, and the order of the
letters in them.
Leaves out: the stage (vision_stages.py) and where labels come from (patch_labels.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import nn

from core.training.examples import IGNORED
from core.training.learner import pooled
from core.training.patch_labels import CHARACTERS
from core.training.scenes import COLOURS, PLACES, SHAPES, SIZES

NUM_CLASSES: Final = {
    "shape": len(SHAPES) + 1,
    "colour": len(COLOURS) + 1,
    "size": len(SIZES) + 1,
    "place": len(PLACES) + 1,
    "character": len(CHARACTERS) + 1,
}
# In a patch, side by side.
CELLS: Final = {"shape": 1, "colour": 1, "size": 1, "place": 1, "character": 2}
# Most patches show no shape and no character.
NOTHING_WEIGHTS: Final = {
    "shape": 0.2,
    "colour": 0.2,
    "size": 0.2,
    "place": 0.2,
    "character": 0.03,
}


@dataclass(frozen=True)
class Guess:
    """What a head says of cells, and what is true.

    Args:
        name: of the head.
        logits: (num, num_classes).
        labels: int64, (num,); 0 is nothing, IGNORED is padding.
        nothing_weight: how much a cell counts that shows nothing.
    """

    name: str
    logits: torch.Tensor
    labels: torch.Tensor
    nothing_weight: float

    def loss(self) -> torch.Tensor:
        """Weighted mean cross entropy; 0 where nothing is asked."""
        if not bool((self.labels != IGNORED).any()):
            return self.logits.sum() * 0.0
        weight = torch.ones(self.logits.shape[1], device=self.logits.device)
        weight[0] = self.nothing_weight
        return F.cross_entropy(self.logits.float(), self.labels, weight, ignore_index=IGNORED)

    def accuracy(self) -> float:
        """Share of the cells that show something and are named right."""
        shown = self.labels > 0
        return float((self.logits.argmax(1) == self.labels)[shown].float().mean())


class PatchHeads(nn.Module):
    """One linear a kind for patches, and one a kind for pooled tokens.

    Args:
        width: numbers a patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_patch = nn.ModuleDict(
            {name: nn.Linear(width, num * CELLS[name]) for name, num in NUM_CLASSES.items()}
        )
        self.of_token = nn.ModuleDict(
            {name: nn.Linear(width, num * CELLS[name] * 4) for name, num in NUM_CLASSES.items()}
        )

    def guesses(self, patches: torch.Tensor, *labels: torch.Tensor) -> list[Guess]:
        """What every head says of patches, (num, side * side, width), and their labels."""
        side = int(patches.shape[1] ** 0.5)
        tokens = pooled(patches)
        found = []
        for (name, num_classes), truth in zip(NUM_CLASSES.items(), labels, strict=True):
            truth, cells = truth.to(patches.device), CELLS[name]
            by_patch = truth.view(-1, side * side, cells)
            rows = truth.view(-1, side // 2, 2, side // 2, 2 * cells)
            by_token = rows.transpose(2, 3).reshape(len(truth), -1, 4 * cells)
            for kind, source, wanted in (
                ("", self.of_patch[name](patches), by_patch),
                (" of token", self.of_token[name](tokens), by_token),
            ):
                logits = source.unflatten(-1, (wanted.shape[-1], num_classes)).flatten(0, 2)
                found.append(Guess(name + kind, logits, wanted.flatten(), NOTHING_WEIGHTS[name]))
        return found
