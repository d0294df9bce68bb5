"""How fast each kind of weight multiplies, at the shape of Phi-4-multimodal's largest linear.

    .venv/bin/python -m tests.benchmarks.weights [--json FILE]

Multiplies 1, 4, 64 and 256 rows by a random gate_up_proj (16384, 3072) in every packing, the kinds
taking turns, in the type that this machine computes in. Prints a table and one JSON line, with the
machine's memory bandwidth and matrix speed measured in the same minute.
Leaves out: whole models.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from core.config import ModelOptions, Quantization
from core.quantize import Weight, quantize
from tests.benchmarks.machine import in_words, machine_probe, seconds

SHAPE: Final = (16_384, 3_072)
NUM_ROWS: Final = (1, 4, 64, 256)
KINDS: Final[tuple[Quantization, ...]] = ("none", "int8", "nf4", "int4")
NUM_RUNS: Final = 5


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="How fast does each kind of weight multiply?")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    dtype = ModelOptions(device="cpu").torch_dtype
    matrix = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 0.02
    weights = {kind: quantize(matrix, kind, dtype, "gate_up_proj") for kind in KINDS}
    medians = {str(num): measure(weights, num, dtype) for num in NUM_ROWS}
    name = str(dtype).removeprefix("torch.")
    record = {"shape": SHAPE, "dtype": name, "ms": medians, "machine": machine_probe()}
    print(markdown_table(record))
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


@torch.inference_mode()
def measure(
    weights: dict[Quantization, Weight], num_rows: int, dtype: torch.dtype
) -> dict[str, float]:
    """Median milliseconds of a product with so many rows, by kind."""
    x = torch.randn(num_rows, SHAPE[1]).to(dtype)
    times: dict[str, list[float]] = {kind: [] for kind in weights}
    for run in range(NUM_RUNS + 1):
        for kind, weight in weights.items():
            taken_s = seconds(lambda weight=weight: weight.multiply(x))  # type: ignore[misc]
            if run > 0:  # the first is a warm-up
                times[kind].append(1e3 * taken_s)
    return {kind: round(statistics.median(taken), 2) for kind, taken in times.items()}


def markdown_table(record: dict[str, Any]) -> str:
    """The table of the README, from what `--json` wrote."""
    headings = " | ".join(KINDS)
    rows = [
        f"| {num_rows} | " + " | ".join(f"{by_kind[kind]:.1f} ms" for kind in KINDS) + " |"
        for num_rows, by_kind in record["ms"].items()
    ]
    lines = [
        f"| rows | {headings} |",
        f"|---|{'---|' * len(KINDS)}",
        *rows,
        "",
        f"Activations are {record['dtype']}.",
        *in_words(record["machine"]),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
