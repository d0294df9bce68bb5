"""How long until the page is ready, and until the first token of each kind of question.

    .venv/bin/python -m tests.benchmarks.first_token [--json FILE]

Starts the server as a newcomer does (set-up done before), waits until /health says ready, stops
it; then asks every shipped sample five times in one process. Prints a table and one JSON line,
with the machine's memory bandwidth and matrix speed measured in the same minute.
Leaves out: comparison with other engines.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from app.samples import Sample, load_samples
from core.assistant import Assistant, open_assistant
from core.config import ModelOptions
from core.engine import EngineOptions
from core.events import RouteSelected, TurnFinished
from core.messages import Conversation, Message, Role
from core.stats import TurnStats
from tests.benchmarks.machine import in_words, machine_probe

ROOT: Final = Path(__file__).resolve().parents[2]
SAMPLES: Final = ROOT / "assets" / "samples"
NUM_RUNS: Final = 5
LONGEST_START_S: Final = 120.0


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="How long until the first token?")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    probe = machine_probe()
    ready_s = page_ready_s()
    print(f"page ready after {ready_s:.1f} s")
    nothing_kept = EngineOptions(num_kept_rows=0)  # every question is new
    assistant = open_assistant(None, ModelOptions(), engine_options=nothing_kept)
    rows = [measure(assistant, sample) for sample in load_samples(SAMPLES)]
    assistant.close()
    print(f"{'sample':<36}{'route':<15}{'first':>9}{'then (median)':>16}{'tokens/s':>10}")
    for row in rows:
        first, later = f"{row['first_ms']:.0f} ms", f"{row['median_ms']:.0f} ms"
        speed = f"{row['tokens_per_s']:.0f}"
        print(f"{row['title']!s:<36}{row['route']!s:<15}{first:>9}{later:>16}{speed:>10}")
    record = {"page_ready_s": round(ready_s, 2), "samples": rows, "machine": probe}
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


def markdown_table(record: dict[str, Any]) -> str:
    """The table of the README, from what `--json` wrote."""
    lines = [
        f"| sample | route | first token, median of {NUM_RUNS - 1} | tokens/s |",
        "|---|---|---|---|",
        *(
            f"| {row['title']} | {row['route']} | {row['median_ms']:.0f} ms "
            f"| {row['tokens_per_s']:.0f} |"
            for row in record["samples"]
        ),
        "",
        f"The page was ready after {record['page_ready_s']:.1f} s.",
        *in_words(record["machine"]),
    ]
    return "\n".join(lines)


def page_ready_s() -> float:
    """Seconds from `launch.py` to a page that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    begun = time.monotonic()
    command = [sys.executable, str(ROOT / "launch.py"), "--no-browser", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while time.monotonic() - begun < LONGEST_START_S:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as reply:
                    if reply.status == 200:
                        return time.monotonic() - begun
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise RuntimeError(f"the page was not ready within {LONGEST_START_S:.0f} s")
    finally:
        server.terminate()
        server.wait(timeout=30)


def measure(assistant: Assistant, sample: Sample) -> dict[str, str | float]:
    """Ask a sample several times; time to first token counts from submission."""
    conversation = Conversation((Message(Role.USER, sample.parts),))
    results = [_ask(assistant, conversation) for _ in range(NUM_RUNS)]
    first_tokens = [stats.time_to_first_token_ms for _, _, stats in results]
    return {
        "title": sample.title,
        "route": results[0][0],
        "reply": results[0][1],
        "first_ms": round(first_tokens[0], 1),
        "median_ms": round(statistics.median(first_tokens[1:]), 1),
        "tokens_per_s": round(statistics.median(stats.tokens_per_s for *_, stats in results), 1),
    }


def _ask(assistant: Assistant, conversation: Conversation) -> tuple[str, str, TurnStats]:
    label = ""
    for event in assistant.submit(conversation).events():
        if isinstance(event, RouteSelected):
            label = event.route.label
        if isinstance(event, TurnFinished):
            return label, event.text, event.stats
    raise RuntimeError("the turn failed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
