"""Learning beside what will be served: the base language model's matrices rounded to NF4.

The app serves the base in 4 bits. Adapters that learned beside 16 bits meet other numbers there,
and lose a point or two by it; beside the rounded ones they learn what they will meet (QLoRA,
arXiv 2305.14314). A frozen base is rounded for good: packing it changes nothing any more. One that
still learns is rounded while a step looks at it, and learns as if it were not (the
straight-through estimator, arXiv 1308.3432).
Leaves out: how NF4 is packed and multiplied (core/nf4_weight.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import nn

from core.nf4_weight import Nf4Weight, fits_nf4
from core.training.learner import Learner

_LAYERS: Final = "model.layers."


def is_of_base(name: str) -> bool:
    """Whether a parameter, by its native name, is of the base's layers."""
    return name.startswith(_LAYERS)


def base_matrices(learner: Learner) -> tuple[nn.Parameter, ...]:
    """The base's matrices that are served in NF4: those of its layers, but for the LoRAs'."""
    layers = learner.parameters(_LAYERS)
    return tuple(each for each in layers.values() if each.ndim == 2 and fits_nf4(each.shape))


@torch.no_grad()
def round_to_nf4(matrices: Sequence[torch.Tensor]) -> None:
    """Round matrices in place, to what NF4 keeps of them; what is rounded already stays.

    Args:
        matrices: of shapes that fit (`fits_nf4`).
    """
    for matrix in matrices:
        matrix.copy_(nf4_of(matrix))


@torch.no_grad()
def nf4_of(matrix: torch.Tensor) -> torch.Tensor:
    """What NF4 keeps of a matrix, in its own type.

    It begins with bfloat16, which is how matrices are stored: so rounded ones that were stored and
    are read again stay as they are.
    """
    seen = matrix.to(torch.bfloat16).float()
    return Nf4Weight(seen, torch.float32).dequantize().to(matrix.dtype)


@contextmanager
def rounded(matrices: Sequence[nn.Parameter]) -> Iterator[None]:
    """Inside, the matrices are what NF4 keeps of them; behind, what they were.

    Gradients that are computed inside belong to the rounded ones and move the others.
    """
    exact = [matrix.data for matrix in matrices]
    try:
        for matrix in matrices:
            matrix.data = nf4_of(matrix.data)
        yield
    finally:
        for matrix, data in zip(matrices, exact, strict=True):
            matrix.data = data
