"""Memory for what is soon dropped, used again and again by each thread.

Memory that is new costs a page fault every 4 KiB, which takes as long as what large products do
with it. Leaves out: memory for results.
"""

from __future__ import annotations

import math
import threading
from typing import Final

import torch

_KEPT: Final = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A tensor on the CPU of any content, good until this thread asks for the name again.

    Args:
        name: what it is for: another use at the same time has another name.
        shape, dtype: of the tensor; the memory grows to the largest that was asked for.
    """
    num_bytes = math.prod(shape) * dtype.itemsize
    kept: torch.Tensor | None = getattr(_KEPT, name, None)
    if kept is None or kept.numel() < num_bytes:
        kept = torch.empty(num_bytes, dtype=torch.uint8)
        setattr(_KEPT, name, kept)
    return kept[:num_bytes].view(dtype).view(shape)
