"""Media made in chunks, by all cores, each kept as soon as it is there: a kill loses one a core.

Leaves out: what a chunk holds and what becomes of it (materials.py).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Final

import numpy as np
import torch

from core.training.exchange import Split

CHUNK: Final = 200

Arrays = dict[str, np.ndarray]
MakeChunk = Callable[[Split, int, int], Arrays]  # of a split, from one number to another
Progress = Callable[[str, int, int], None]  # what is made, how many are done, of how many


def make_chunks(
    folder: Path, make: MakeChunk, split: Split, num: int, name: str, progress: Progress
) -> list[Path]:
    """Make what is not kept yet.

    Args:
        folder: where chunks are kept: of these media alone.
        make: a function that a process of its own can import, bound to picklable arguments.
        num: of media, from 0 on.
        name: what they are, for the progress.
    Returns:
        The chunks in order; `read_chunk` reads them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    spans = [range(start, min(start + CHUNK, num)) for start in range(0, num, CHUNK)]
    missing = [span for span in spans if not _path(folder, span).exists()]
    num_done = num - sum(map(len, missing))
    for made in _in_pool(partial(_make_and_keep, folder, make, split), missing):
        num_done += len(made)
        progress(f"{name} ({split})", num_done, num)
    return [_path(folder, span) for span in spans]


def read_chunk(path: Path, *names: str) -> Arrays:
    """The arrays of a chunk, or those of these names alone."""
    with np.load(path) as chunk:
        return {name: chunk[name] for name in names or chunk.files}


def _path(folder: Path, span: range) -> Path:
    return folder / f"{span.start}.npz"


def _make_and_keep(folder: Path, make: MakeChunk, split: Split, span: range) -> range:
    """Make the chunk of some numbers, and return them.

    A chunk has its name only when all of it is written.
    """
    half_written = folder / f"{span.start}.half.npz"
    np.savez(half_written, **make(split, span.start, span.stop))  # type: ignore[arg-type]
    half_written.replace(_path(folder, span))
    return span


def _in_pool(make: Callable[[range], range], spans: Sequence[range]) -> Iterator[range]:
    """Make some chunks, a process a core; yields the numbers of each, in order."""
    # Spawned, not forked: a fork of a process with torch's threads can hang.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_begin_worker) as pool:
        futures = [pool.submit(make, span) for span in spans]
        for future in futures:
            yield future.result()


def _begin_worker() -> None:
    """In a worker: one thread, as there is a worker a core; and leave when the recipe is killed,
    instead of drawing on for nobody.
    """
    torch.set_num_threads(1)

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
