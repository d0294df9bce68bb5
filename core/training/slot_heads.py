"""Throw-away heads that train the vision encoder to sum a picture up: what does each token tell?

Leaves out: what it should tell (slots.py) and the heads for what is shown where (patch_heads.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import nn

from core.training.examples import IGNORED
from core.training.items import Scene
from core.training.learner import pooled
from core.training.patch_heads import Guess, PatchHeads
from core.training.slots import SAID, SIDE, slots_of

NOTHING_WEIGHT: Final = 0.2  # most tokens tell nothing


class SlotHeads(nn.Module):
    """One linear a kind for pooled tokens.

    Args:
        width: numbers a patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_slot = nn.ModuleDict(
            {name: nn.Linear(width, len(words) + 1) for name, words in SAID.items()}
        )

    def guesses(self, patches: torch.Tensor, slots: torch.Tensor) -> list[Guess]:
        """What every head says of patches, (num, side * side, width), and what they should tell.

        Args:
            slots: int64, (num, num_kinds, side / 2, side / 2), as `slots_of` gives them, or
                IGNORED.
        """
        tokens = pooled(patches)
        wanted = slots.to(patches.device).flatten(2)
        return [
            Guess(f"told {name}", head(tokens).flatten(0, 1), truth.flatten(), NOTHING_WEIGHT)
            for (name, head), truth in zip(self.of_slot.items(), wanted.unbind(1), strict=True)
        ]


class VisionHeads(nn.Module):
    """All that is asked of the vision encoder.

    Args:
        width: numbers a patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.shown, self.told = PatchHeads(width), SlotHeads(width)

    def guesses(
        self, patches: torch.Tensor, patch_labels: Sequence[torch.Tensor], slots: torch.Tensor
    ) -> list[Guess]:
        """What the heads say of patches, (num, side * side, width): shown, then told."""
        return [*self.shown.guesses(patches, *patch_labels), *self.told.guesses(patches, slots)]


def slots_of_batch(scenes: Sequence[Scene], masks: torch.Tensor) -> torch.Tensor:
    """What the tokens of a batch should tell, (num, num_kinds, 5, 5).

    Args:
        scenes: what the first pictures show; nobody is asked about the others.
        masks: bool, shape (num, 10, 10).
    """
    slots = torch.full((len(masks), len(SAID), SIDE, SIDE), IGNORED)
    for number, (scene, mask) in enumerate(zip(scenes, masks.numpy(), strict=False)):
        slots[number] = torch.from_numpy(slots_of(scene, mask)).long()
    return slots


def shares_told(guesses: list[Guess], num: int) -> dict[str, float]:
    """How many pictures are told without a mistake, of those with shapes and those with a word.

    Args:
        guesses: of all kinds, none IGNORED.
        num: pictures.
    """
    wrong = torch.stack([guess.logits.argmax(1) != guess.labels for guess in guesses])
    shown = torch.stack([guess.labels > 0 for guess in guesses])
    is_right = ~wrong.view(len(guesses), num, -1).any(2).any(0)
    has = shown.view(len(guesses), num, -1).any(2)
    return {
        "told shapes": float(is_right[has[0]].float().mean()),
        "told words": float(is_right[has[-1]].float().mean()),
    }
