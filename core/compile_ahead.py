"""Loops are compiled in the background while a large model loads, before a turn waits for them.

Leaves out: the loops (nf4_pack_loop.py, nf4_unpack_loop.py).
"""

from __future__ import annotations

from threading import Thread

from core import nf4_pack, nf4_unpack


def compile_ahead() -> None:
    """Begin, and return at once."""
    Thread(target=_compile_all, daemon=True).start()


def _compile_all() -> None:
    for user in (nf4_pack, nf4_unpack):
        user.compiled()
