"""Telling a lack of memory from other failures: torch has no one error for it.

Leaves out: what people are told (engine.py).
"""

from __future__ import annotations

import torch


def is_out_of_memory(error: Exception) -> bool:
    """True for what torch raises when memory runs out, on either device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "not enough memory" in text or "out of memory" in text
    )
