"""Machine code that is kept for the next start, where there is room for it.

To compile the loops takes longer than to load the bundled model. What is kept is found by all that
it was made from, and is not run unless it is whole. What nobody has asked for in a long time
makes room for what is new: the loops, or torch, have changed since.
Leaves out: what is compiled (vector_code.py).
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.cache_folder import cache_folder

KIND: Final = "code"
UNUSED_S: Final = 60 * 86_400.0
FORMAT: Final = "1"  # of a file: the digest of the code, and the code


def key(*parts: str) -> str:
    """A name for what is made from these."""
    return hashlib.sha256("\0".join((FORMAT, *parts)).encode()).hexdigest()


def find(name: str) -> bytes | None:
    """What was kept by a name; None where it was not, or is damaged."""
    place = cache_folder(KIND) / name
    try:
        kept = place.read_bytes()
    except OSError:
        return None
    with suppress(OSError):
        os.utime(place)
    size = hashlib.sha256().digest_size
    digest, code = kept[:size], kept[size:]
    return code if hashlib.sha256(code).digest() == digest else None


def keep(name: str, code: bytes) -> None:
    """Keep code by a name, or do without where that cannot be."""
    place = cache_folder(KIND) / name
    partial = place.with_name(f"{name}.{os.getpid()}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(hashlib.sha256(code).digest() + code)
        partial.replace(place)
        _remove_unused(place.parent)
    except OSError:
        with suppress(OSError):
            partial.unlink()


def _remove_unused(folder: Path) -> None:
    for place in folder.iterdir():
        with suppress(OSError):  # another start may have been sooner
            if time.time() - place.stat().st_mtime > UNUSED_S:
                place.unlink()
