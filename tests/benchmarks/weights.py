"""How fast each kind of weight multiplies, at the shape of Phi-4-multimodal's largest linear.

    .venv/bin/python -m tests.benchmarks.weights [--json FILE]

Multiplies 1, 4, 64 and 256 rows by a random gate_up_proj (16384, 3072) in every packing, the kinds
taking turns, each in the type that this machine computes in with it. Prints a table and one JSON
line, with the machine's memory bandwidth and matrix speed measured in the same minute.
Leaves out: whole models.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from functools import partial
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
    dtypes = {kind: ModelOptions(quantization=kind, device="cpu").torch_dtype for kind in KINDS}
    matrix = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0)) * 0.02
    weights = {kind: quantize(matrix, kind, dtypes[kind], "gate_up_proj") for kind in KINDS}
    medians = {str(num): measure(weights, num, dtypes) for num in NUM_ROWS}
    names = {kind: str(dtype).removeprefix("torch.") for kind, dtype in dtypes.items()}
    record = {"shape": SHAPE, "dtype": names, "ms": medians, "machine": machine_probe()}
    print(markdown_table(record))
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


@torch.inference_mode()
def measure(
    weights: dict[Quantization, Weight], num_rows: int, dtypes: dict[Quantization, torch.dtype]
) -> dict[str, float]:
    """Median milliseconds of a product with so many rows, by kind."""
    rows = torch.randn(num_rows, SHAPE[1])
    x = {kind: rows.to(dtype) for kind, dtype in dtypes.items()}
    times: dict[str, list[float]] = {kind: [] for kind in weights}
    for run in range(NUM_RUNS + 1):
        for kind, weight in weights.items():
            taken_s = seconds(partial(weight.multiply, x[kind]))
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
        f"Activations are {_in_words(record['dtype'])}.",
        *in_words(record["machine"]),
    ]
    return "\n".join(lines)


def _in_words(dtypes: Mapping[str, str]) -> str:
    """One type, or each with the kinds that it goes with."""
    kinds = {each: [kind for kind in dtypes if dtypes[kind] == each] for each in dtypes.values()}
    if len(kinds) == 1:
        return next(iter(kinds))
    return " and ".join(f"{dtype} with {', '.join(names)}" for dtype, names in kinds.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
