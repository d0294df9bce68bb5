"""What long conversations cost: attention over many tokens, kept as they are or in int8.

    .venv/bin/python -m tests.benchmarks.long_context [--tokens N ...] [--json FILE]

One layer of Phi-4-multimodal's attention over random keys and values: one new token, as when
decoding, and a prompt's chunk of 512. Both caches take turns. Prints a table, with what all layers
together take, and one JSON line with the machine's memory bandwidth.
Leaves out: the linears, which cost the same however long a conversation is (weights.py).
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

from core.config import ModelOptions
from core.int8_kv_cache import Int8KVCache
from core.kv_cache import KVCache
from core.training.command import positive
from tests.benchmarks.factory import NUM_LAYERS, full_config
from tests.benchmarks.machine import in_words, machine_probe, seconds

NUM_TOKENS: Final = (4_096, 32_768, 131_072)
NUM_NEW: Final = (1, 512)
NUM_RUNS: Final = 5


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="What does attention over many tokens cost?")
    parser.add_argument(
        "--tokens",
        type=positive,
        nargs="+",
        default=NUM_TOKENS,
        help=f"that are there already (default: {' '.join(map(str, NUM_TOKENS))})",
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    measured = [measure(num_tokens) for num_tokens in options.tokens]
    record = {"num_layers": NUM_LAYERS, "tokens": measured, "machine": machine_probe()}
    print(markdown_table(record))
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


@torch.inference_mode()
def measure(num_tokens: int) -> dict[str, Any]:
    """Memory of all layers, and median milliseconds of one layer, by cache."""
    config, device = full_config(num_layers=1), torch.device("cpu")
    dtype = ModelOptions(device="cpu").torch_dtype
    room = num_tokens + max(NUM_NEW)
    caches: dict[str, KVCache] = {
        str(dtype).removeprefix("torch."): KVCache(config, 1, room, dtype, device),
        "int8": Int8KVCache(config, 1, room, dtype, device),
    }
    head_dim = config.hidden_size // config.num_attention_heads
    found: dict[str, Any] = {"num_tokens": num_tokens, "gib": {}, "ms": {}}
    for name, cache in caches.items():
        found["gib"][name] = round(cache.token_bytes * NUM_LAYERS * num_tokens / 2**30, 2)
        _fill(cache, num_tokens, (config.num_key_value_heads, head_dim))
    for num_new in NUM_NEW:
        new = [
            torch.randn(heads, num_new, head_dim).to(dtype)
            for heads in (config.num_attention_heads, *2 * (config.num_key_value_heads,))
        ]
        mask = None if num_new == 1 else _mask(num_tokens, num_new)
        found["ms"][str(num_new)] = _medians(caches, new, mask)
    return found


def _fill(cache: KVCache, num_tokens: int, shape: tuple[int, int]) -> None:
    """Give row 0 random tokens, in pieces."""
    num_heads, head_dim = shape
    for start in range(0, num_tokens, 4096):
        num = min(4096, num_tokens - start)
        keys, values = torch.randn(2, num_heads, num, head_dim).unbind(0)
        cache.append(0, 0, keys, values)
        cache.advance(0, num)


def _mask(num_tokens: int, num_new: int) -> torch.Tensor:
    return torch.ones(num_new, num_tokens + num_new, dtype=torch.bool).tril(num_tokens)


def _medians(
    caches: dict[str, KVCache], new: Sequence[torch.Tensor], mask: torch.Tensor | None
) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in caches}
    queries, keys, values = new
    for run in range(NUM_RUNS + 1):
        for name, cache in caches.items():
            taken_s = seconds(
                lambda cache=cache: cache.attend(0, 0, queries, keys, values, mask)  # type: ignore[misc]
            )
            if run > 0:  # the first is a warm-up
                times[name].append(1e3 * taken_s)
    return {name: round(statistics.median(taken), 2) for name, taken in times.items()}


def markdown_table(record: dict[str, Any]) -> str:
    """A row a length: memory, and the time of all layers, from what `--json` wrote."""
    names = list(record["tokens"][0]["ms"]["1"])
    headings = [
        "tokens",
        *(f"{name}: memory" for name in names),
        *(f"{name}: {num} new" for num in NUM_NEW for name in names),
    ]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for each in record["tokens"]:
        times = (each["ms"][str(num)][name] for num in NUM_NEW for name in names)
        cells = [
            f"{each['num_tokens']}",
            *(f"{each['gib'][name]:.2f} GiB" for name in names),
            *(f"{record['num_layers'] * taken:.0f} ms" for taken in times),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *in_words(record["machine"])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
