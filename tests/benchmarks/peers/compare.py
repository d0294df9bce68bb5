"""Ours against every peer, on the same shapes, in turns.

Each peer in its own process answers between ours, so that both meet the machine as it is in that
minute. Leaves out: how a peer is installed and asked (process.py).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from core.messages import Conversation
from core.stats import TurnStats
from tests.benchmarks.cases import cases, long_text
from tests.benchmarks.peers.process import Peer, PeerError, PeerProcess, provide, running
from tests.benchmarks.text_twin import write_text_twin
from tests.benchmarks.turns import GREEDY, NOTHING_KEPT, Loaded, ask

CASES: Final = ("text", "speech", "picture")  # as the peers call them
NUM_PROMPT: Final = 12  # tokens of text beside what is shown or said
NUM_NEW: Final = 17  # tokens of a reply
BYTES_A_WORD: Final = 5
PREFILL_TOKENS: Final = (256, 1024)
Times = dict[str, dict[str, list[float]]]  # by measure, by who took them: milliseconds


def compare(
    loaded: Loaded, model: Path, peers: Sequence[Peer], folder: Path, num_runs: int
) -> Iterator[dict[str, Any]]:
    """Measure ours beside one peer after the other; one that cannot be had is told, and they go on.

    Args:
        loaded: ours, of the checkpoint in `model`.
        model: what a peer with adapters loads.
        folder: for environments and twins.
        num_runs: of each measure, after a warm-up; medians are kept.
    """
    for peer in peers:
        print(f"  {peer.name}", flush=True)
        try:
            yield _compared(loaded, model, peer, folder, num_runs)
        except PeerError as error:
            print(f"  {peer.name} is left out: {error}", flush=True)
            yield {"name": peer.name, "error": str(error)}


def _compared(
    loaded: Loaded, model: Path, peer: Peer, folder: Path, num_runs: int
) -> dict[str, Any]:
    python = provide(peer, folder / "peers")
    num_all = loaded.model.config.num_hidden_layers
    by_layers: dict[int, Times] = {}
    for num_layers in sorted({min(each or num_all, num_all) for each in peer.layers}):
        path = _twin(folder, num_layers) if peer.wants_twin else model
        with running(peer, python, path, torch.get_num_threads()) as process:
            by_layers[num_layers] = take_turns(loaded, process, peer.cases, num_runs)
            about = {**process.loaded, "peak_gb": round(process.peak_gb(), 2)}
    return {"name": peer.name, **about, "layers": sorted(by_layers), **summary(by_layers, num_all)}


def _twin(folder: Path, num_layers: int) -> Path:
    path = folder / f"text-twin-{num_layers}-layers"
    return path if path.exists() else write_text_twin(path, num_layers)


def take_turns(loaded: Loaded, process: PeerProcess, named: Sequence[str], num_runs: int) -> Times:
    """Every measure, ours and the peer's one after the other; the first run is a warm-up."""
    times: dict[str, dict[str, list[float]]] = {}

    def keep(name: str, ours_ms: float, theirs_ms: float) -> None:
        both = times.setdefault(name, {"ours": [], "theirs": []})
        both["ours"].append(ours_ms)
        both["theirs"].append(theirs_ms)

    for _ in range(num_runs + 1):
        for name in named:
            ours = our_stats(loaded, name, NUM_NEW)
            first_ms, *token_ms = process.reply_ms(NUM_PROMPT, NUM_NEW, name)
            keep(f"first token, {name}", ours.time_to_first_token_ms, first_ms)
            keep(f"a token, {name}", 1e3 / ours.tokens_per_s, statistics.median(token_ms))
        for num in PREFILL_TOKENS:
            theirs_ms = process.reply_ms(num, 1, "text")[0]
            keep(f"prefill, {num} tokens", our_prefill_ms(loaded, num), theirs_ms)
    return {name: {who: kept[1:] for who, kept in both.items()} for name, both in times.items()}


def our_stats(loaded: Loaded, case: str, num_new: int) -> TurnStats:
    """Of one of CASES, answered with so many tokens."""
    conversation = dict(zip(CASES, cases(), strict=False))[case].conversation
    return _stats(loaded, conversation, num_new)


def our_prefill_ms(loaded: Loaded, num: int) -> float:
    """What so many tokens of text take; the prompt may be some tokens longer or shorter."""
    stats = _stats(loaded, long_text(num // BYTES_A_WORD), 1)
    return stats.prefill_ms / stats.num_prompt_tokens * num


def _stats(loaded: Loaded, conversation: Conversation, num_new: int) -> TurnStats:
    """Of a turn that finds nothing in any cache."""
    loaded.model.forget_media()
    with loaded.engine(NOTHING_KEPT) as engine:
        return ask(engine, conversation, replace(GREEDY, max_new_tokens=num_new)).stats


def summary(by_layers: Mapping[int, Times], num_all: int) -> dict[str, Any]:
    """Medians and how many times as fast ours is.

    Args:
        by_layers: what was measured, by the peer's number of layers; ours had all of them.
        num_all: layers of ours.
    """
    measures: dict[str, dict[str, float]] = {}
    for name in next(iter(by_layers.values())):
        ours = [ms for times in by_layers.values() for ms in times[name]["ours"]]
        theirs = {num: statistics.median(times[name]["theirs"]) for num, times in by_layers.items()}
        ours_ms, theirs_ms = statistics.median(ours), at_layers(theirs, num_all)
        measures[name] = {
            "ours_ms": round(ours_ms, 2),
            "theirs_ms": round(theirs_ms, 2),
            "ratio": round(theirs_ms / ours_ms, 2),
        }
    return {"measures": measures}


def at_layers(times: Mapping[int, float], num_layers: int) -> float:
    """What so many layers take, on the straight line through two measurements; or the only one."""
    few, many = min(times), max(times)
    if few == many:
        return times[few]
    return times[few] + (times[many] - times[few]) / (many - few) * (num_layers - few)
