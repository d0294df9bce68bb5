"""Telling a lack of memory from other failures: torch has no one error for it.

Leaves out: what people are told (engine.py).
"""

from __future__ import annotations

from typing import Final

import torch

# torch's allocators of Windows and of a GPU, and Linux's own when it allocates or maps a file.
WORDS: Final = (
    "not enough memory",
    "out of memory",
    "can't allocate memory",
    "Cannot allocate memory",
)


def is_out_of_memory(error: Exception) -> bool:
    """True for what torch raises when memory runs out, on either device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(words in text for words in WORDS)
