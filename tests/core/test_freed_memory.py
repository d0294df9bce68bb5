"""What was freed below something that is in use goes back to the system when it is asked for."""

from __future__ import annotations

import ctypes
import sys

import pytest

from core import freed_memory
from core.stats import process_memory_bytes

KEPT = 4096  # between pieces: too small for a mapping of its own, and so are they
PIECE, NUM_PIECES = 64 * 1024, 4000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_memory_that_was_freed_goes_back() -> None:
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "malloc_trim"):
        pytest.skip("another C library")
    libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    freed_memory.give_back()
    pieces, kept = [], []
    for _ in range(NUM_PIECES):
        pieces.append(libc.malloc(PIECE))
        ctypes.memset(pieces[-1], 1, PIECE)
        kept.append(libc.malloc(KEPT))
    for piece in pieces:
        libc.free(piece)
    before = process_memory_bytes("VmRSS")
    freed_memory.give_back()
    given_back = before - process_memory_bytes("VmRSS")
    for each in kept:
        libc.free(each)
    assert given_back > 0.5 * PIECE * NUM_PIECES


def test_a_c_library_that_cannot_be_asked_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def without_it(name: object) -> object:
        asked.append(name)
        return object()

    monkeypatch.setattr(freed_memory, "CDLL", without_it)
    freed_memory.give_back()
    assert asked == [None]
