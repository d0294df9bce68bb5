"""Ours, as on a CPU that has AVX2 and nothing newer.

Whatever asks what the CPU has, LLVM, Numba, PyTorch, oneDNN and MKL, is told so before it asks; the
cores and the memory stay those of this machine. Runs in our own environment.
Leaves out: which instructions our loops take then (core/vector_products.py).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from worker import serve

CPU = "haswell"
NEWER = ("avx512", "avx10", "avxvnni", "avxifma", "avxneconvert", "amx")  # names begin so
TOLD = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "NUMBA_CPU_NAME": CPU,
}
ROOT = Path(__file__).resolve().parents[3]


def pretend() -> None:
    """Have this process know no newer instructions; before PyTorch is imported."""
    os.environ |= TOLD
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    for name in features:
        features[name] = features[name] and not name.startswith(NEWER)
    binding.get_host_cpu_features = lambda: features
    binding.get_host_cpu_name = lambda: CPU

    from core import config

    config.has_fast_bfloat16 = lambda device: device != "cpu"


class Ours:
    """A model of ours on such a CPU.

    Args:
        folder: the model.
    """

    def __init__(self, folder: Path) -> None:
        from tests.benchmarks.bench import loaded_from

        self._loaded = loaded_from(folder)

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        from tests.benchmarks.peers.compare import our_prefill_ms, our_stats

        if num_new == 1:
            return [our_prefill_ms(self._loaded, num_prompt)]
        stats = our_stats(self._loaded, case, num_new)
        return [stats.time_to_first_token_ms, *[1e3 / stats.tokens_per_s] * (num_new - 1)]


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    pretend()
    sys.exit(serve(Ours, ("torch", "llvmlite")))
