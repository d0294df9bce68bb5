"""Decoding on a GPU without asking the CPU for every kernel: steps recorded as CUDA graphs.

A step of one token starts hundreds of small kernels, and a fast GPU waits for the CPU between them.
Rows that decode side by side for some steps have theirs recorded once and replayed from then on.
A recording is only kept where it says what the plain step says.
Leaves out: what is recorded (static_step.py).
Source: CUDA graphs, https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
Not measured yet on a GPU; the tests run it on a CPU without recording.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import torch

from core.decoder import Decoder
from core.kv_cache import KVCache
from core.router import AdapterName
from core.static_step import StaticStep

LOGGER: Final = logging.getLogger(__name__)
NUM_PLAIN_STEPS: Final = 4  # rows that stay together for so many are worth a recording
NUM_KEPT: Final = 8
MAX_DIFFERENCE: Final = 0.05  # of the logits, as a share of their size: what rounding may do
NUM_WARMUPS: Final = 2
NUM_STEPS_OF_PATIENCE: Final = 200  # before rows that memory was short for are recorded

Run = Callable[[], torch.Tensor]
Record = Callable[[Run], Run]
Plain = Callable[[torch.Tensor, KVCache, Sequence[int], Sequence[AdapterName | None]], torch.Tensor]
_Key = tuple[tuple[int, ...], tuple[AdapterName, ...]]


def recorded(run: Run) -> Run:
    """Record what `run` starts on the GPU; calling the result starts it again.

    Returns:
        Gives the same tensor each time, which the next call overwrites.
    Raises:
        RuntimeError: something in it cannot be recorded, or memory is short.
    """
    own, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(own)
    with torch.cuda.stream(stream):
        for _ in range(NUM_WARMUPS):  # libraries set themselves up
            run()
    own.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        # Other threads may go on asking for memory.
        with torch.cuda.graph(graph, pool=_shared_pool(), capture_error_mode="thread_local"):
            result = run()
    finally:
        torch.cuda.set_stream(own)  # a recording that breaks off leaves its own one set

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


@cache
def _shared_pool() -> Any:  # torch names no type
    """Memory for what is computed on the way, by one recording at a time."""
    return torch.cuda.graph_pool_handle()


class StepGraphs:
    """Decoding steps, recorded where that pays.

    Args:
        decoder: whose steps they are.
        plain: the step that needs no recording, as `Model.forward`.
        record: makes a recording.
    """

    def __init__(self, decoder: Decoder, plain: Plain, record: Record = recorded) -> None:
        self._decoder, self._plain, self._record = decoder, plain, record
        self._kept: dict[_Key, tuple[StaticStep, Run]] = {}  # the one unused for longest first
        self._last: _Key | None = None
        self._num_in_a_row = 0
        self._is_trusted = True

    @property
    def num_kept(self) -> int:
        """How many recordings there are."""
        return len(self._kept)

    def forward(
        self,
        hidden: torch.Tensor,
        kv_cache: KVCache,
        rows: Sequence[int],
        adapters: Sequence[AdapterName | None],
    ) -> torch.Tensor:
        """Feed one token to each of some rows; everything as in `Model.forward`."""
        used = tuple(sorted({adapter for adapter in adapters if adapter is not None}))
        key = tuple(rows), used
        self._num_in_a_row = self._num_in_a_row + 1 if key == self._last else 1
        self._last = key
        if (kept := self._valid(key, kv_cache)) is not None:
            return self._replayed(*kept, hidden, kv_cache, rows, adapters)
        if not self._is_trusted or self._num_in_a_row <= NUM_PLAIN_STEPS:
            return self._plain(hidden, kv_cache, rows, adapters)
        step = StaticStep(self._decoder, kv_cache, rows, used, hidden)
        step.set(hidden, adapters)
        found = self._recording(step)
        # Last, so that what a wrong recording left in the cache is written over.
        logits = self._plain(hidden, kv_cache, rows, adapters)
        if found is not None and self._is_right(found[1], logits):
            self._kept[key] = step, found[0]
            while len(self._kept) > NUM_KEPT:
                self._kept.pop(next(iter(self._kept)))
        return logits

    def forget(self) -> None:
        """Give back the memory of all recordings."""
        self._kept.clear()

    def _valid(self, key: _Key, kv_cache: KVCache) -> tuple[StaticStep, Run] | None:
        """The recording for these rows; those that are not this cache's as it is are forgotten."""
        self._kept = {
            other: kept for other, kept in self._kept.items() if kept[0].is_valid(kv_cache)
        }
        if key in self._kept:
            self._kept[key] = self._kept.pop(key)
        return self._kept.get(key)

    def _replayed(
        self,
        step: StaticStep,
        replay: Run,
        hidden: torch.Tensor,
        kv_cache: KVCache,
        rows: Sequence[int],
        adapters: Sequence[AdapterName | None],
    ) -> torch.Tensor:
        step.set(hidden, adapters)
        logits = replay().clone()
        for row in rows:
            kv_cache.advance(row, 1)
        return logits

    def _recording(self, step: StaticStep) -> tuple[Run, torch.Tensor] | None:
        """A recording and what it says; None where there is none."""
        try:
            replay = self._record(step.run)
            return replay, replay().clone()
        except torch.OutOfMemoryError:
            self._num_in_a_row = -NUM_STEPS_OF_PATIENCE  # there may be memory later
        except RuntimeError as error:
            self._distrust(f"recording failed: {error}")
        return None

    def _is_right(self, logits: torch.Tensor, plain: torch.Tensor) -> bool:
        """Whether a recording gives a plain step's logits, but for rounding."""
        difference = float((logits - plain).norm() / plain.norm())
        if difference <= MAX_DIFFERENCE:
            return True
        self._distrust(f"a recording's logits differ by {difference:.3f} of their size")
        return False

    def _distrust(self, why: str) -> None:
        LOGGER.warning("Decoding without CUDA graphs from now on, %s", why)
        self._kept.clear()
        self._is_trusted = False
