"""What a machine can do in this minute, beside which a benchmark's figures are read.

Leaves out: the benchmarks.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch


def machine_probe() -> dict[str, str | float | int]:
    """What this machine reads and multiplies, in this minute."""
    numbers = torch.ones(2**26)  # 256 MiB
    read_s = min(seconds(lambda: numbers.sum()) for _ in range(5))
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "read_gb_per_s": round(numbers.nbytes / read_s / 1e9, 1),
        "bfloat16_gflop_per_s": _gflop_per_s(torch.bfloat16),
        "float32_gflop_per_s": _gflop_per_s(torch.float32),
    }


def in_words(probe: Mapping[str, Any]) -> list[str]:
    """Two lines for the README about what `machine_probe` found."""
    return [
        f"In the same minute the machine ({probe['threads']} threads) read "
        f"{probe['read_gb_per_s']:.1f} GB/s and multiplied",
        f"matrices at {probe['float32_gflop_per_s']:.0f} GFLOP/s in float32 and "
        f"{probe['bfloat16_gflop_per_s']:.1f} in bfloat16.",
    ]


def _gflop_per_s(dtype: torch.dtype) -> float:
    left, right = torch.ones(256, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    least_s = min(seconds(lambda: left @ right) for _ in range(3))
    return round(2 * 256 * 1024 * 1024 / least_s / 1e9, 1)


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
