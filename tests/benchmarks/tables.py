"""The figures of `launch.py bench` as tables, for the terminal and the README.

Leaves out: how they are measured (turns.py, loading.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

MODELS: Final = {"bundled": "The bundled model", "full": "A model of the real size"}


def tables(record: Mapping[str, Any]) -> Iterator[str]:
    """Lines of Markdown about every model of a record."""
    for name, title in MODELS.items():
        if name in record:
            figures = record[name]
            yield ""
            yield f"{title} ({figures['dtype']}, {figures['quantization']})"
            for table in (_routes, _prefill, _rows, _ahead, _drafts, _loading):
                yield ""
                yield from table(figures)
    if "peers" in record:
        yield ""
        yield "Other engines on the same shapes, in turns with ours"
        yield ""
        yield from _peers(record["peers"])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _routes(figures: Mapping[str, Any]) -> Iterator[str]:
    stages = ("inputs_ms", "encode_ms", "prefill_ms")
    headings = [
        "turn",
        "prompt tokens",
        "first token",
        "of it: preparing, encoding, prefill",
        "tokens/s",
        "a token: median, 95 %",
        "read",
    ]
    rows = [
        [
            route["name"],
            str(route["num_prompt_tokens"]),
            f"{route['first_token_ms']:.0f} ms",
            ", ".join(f"{route[stage]:.0f}" for stage in stages) + " ms",
            f"{route['tokens_per_s']:.1f}",
            f"{route['token_ms_p50']:.1f}, {route['token_ms_p95']:.1f} ms",
            f"{route['read_gb_per_s']:.1f} GB/s",
        ]
        for route in figures["routes"]
    ]
    return _table(headings, rows)


def _prefill(figures: Mapping[str, Any]) -> Iterator[str]:
    rows = [[str(f["num_tokens"]), f"{f['tokens_per_s']:.0f}"] for f in figures["prefill"]]
    return _table(["a prompt of so many tokens", "tokens/s"], rows)


def _rows(figures: Mapping[str, Any]) -> Iterator[str]:
    rows = figures["rows"]
    cells = [
        f"{rows['in_turn_tokens_per_s']:.1f} tokens/s",
        f"{rows['together_tokens_per_s']:.1f} tokens/s",
        f"{rows['ratio']:.2f}",
    ]
    return _table(["4 turns, one after the other", "side by side", "ratio"], [cells])


def _ahead(figures: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [each["name"], f"{each['without_ms']:.0f} ms", f"{each['with_ms']:.0f} ms"]
        for each in figures["ahead"]
    ]
    return _table(["first token of", "all at once", "what is known fed ahead"], rows)


def _drafts(figures: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [each["name"], str(each["num_drafts_taken"]), f"{each['speed_up']:.2f}"]
        for each in figures["drafts"]
    ]
    return _table(["decoding with drafts", "drafts taken", "speed-up"], rows)


def _loading(figures: Mapping[str, Any]) -> Iterator[str]:
    rows = [
        [
            name,
            f"{each['load_s']:.1f} s",
            *(f"{each[key]:.1f} GB" for key in ("peak_gb", "resident_gb")),
        ]
        for name, each in figures["loading"].items()
    ]
    return _table(["start", "ready after", "peak memory", "resident"], rows)


def markdown_table(record: Mapping[str, Any]) -> str:
    """The README's table of other engines, from what `--only-peers --json` wrote."""
    return "\n".join(_peers(record["peers"]))


def _peers(peers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What each peer was measured at, and how many times as fast ours is."""
    rows = [
        [
            peer["name"] if number == 0 else "",
            name,
            f"{measure['theirs_ms']:.0f} ms",
            f"{measure['ours_ms']:.0f} ms",
            f"{measure['ratio']:.2f}",
        ]
        for peer in peers
        for number, (name, measure) in enumerate(peer.get("measures", {}).items())
    ]
    left_out = [[peer["name"], "not measured", "", "", ""] for peer in peers if "error" in peer]
    headings = ["engine", "what", "it", "ours", "ours is so many times as fast"]
    return _table(headings, [*rows, *left_out])
