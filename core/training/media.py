"""Media as the recipe learns from them: drawn pictures, spoken clips, and what each clip is about.

Leaves out: how they are made and kept (materials.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.training.exchange import Look
from core.training.grammar import Language

ClipKind = Literal["world", "picture", "pair", "translation", "drill"]


@dataclass(frozen=True)
class Clip:
    """One spoken sentence: what was said, what is asked, and the right reply.

    Args:
        kind: about the "world", about one "picture" or a "pair", a sentence for "translation", or
            a "drill" of words that say nothing together.
        spoken, question, answer: see exchange.Exchange; the last two kinds have no answer.
        skill: the exchange's skill.
        scenes: indices of the pictures it asks about.
        looks: the exchange's.
        translations: of a sentence to translate, by language.
    """

    kind: ClipKind
    spoken: str
    question: str
    answer: str
    skill: str
    scenes: tuple[int, ...] = ()
    looks: tuple[Look, ...] = ()
    translations: Mapping[Language, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
    """Drawn scenes.

    Args:
        views: uint8, shape (num, 3, 140, 140): the one crop, as vision/tiles.py cuts it; the
            global view is the same picture.
        masks: bool, shape (num, 10, 10): False where a patch of the crop lies in the padding.
        labels: uint8, shape (num, 4, 10, 10): shape, colour, size and place of each patch.
        characters: uint8, shape (num, 10, 20): the character of each half patch.
    """

    views: np.ndarray
    masks: np.ndarray
    labels: np.ndarray
    characters: np.ndarray

    def __len__(self) -> int:
        return len(self.views)


@dataclass(frozen=True)
class Clips:
    """Spoken clips.

    Args:
        frames: float16 log-mel frames of all clips, one after the other, shape (total, 80).
        starts: int64, shape (num + 1,): clip i is frames[starts[i]:starts[i + 1]].
        about: what each clip is.
    """

    frames: np.ndarray
    starts: np.ndarray
    about: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.about)

    def log_mel(self, index: int) -> np.ndarray:
        """Log-mel frames of one clip, float16, shape (num_frames, 80)."""
        return self.frames[self.starts[index] : self.starts[index + 1]]

    def num_frames(self, index: int) -> int:
        """How many frames one clip has."""
        return int(self.starts[index + 1] - self.starts[index])
