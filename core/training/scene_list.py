"""The scenes of each split, by number. Leaves out: what a scene is (items.py, scenes.py)."""

from __future__ import annotations

import random

from core.training.exchange import Split
from core.training.items import Scene
from core.training.scenes import sample_scene


def scene_at(split: Split, index: int) -> Scene:
    """The scene with this number: of one split or the other, drawn by chance for each.

    Simple scenes come again in both; how they look in detail does not.
    """
    return sample_scene(random.Random(f"scene-{split}-{index}"))
