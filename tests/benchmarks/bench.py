"""`launch.py bench`: how fast models load and answer on this machine.

    python3 launch.py bench [--full [--peers [--only-peers]]] [--json FILE]

Measures the bundled model, and with --full a random checkpoint of the real model's size, which is
written first (11 GB); with --peers other engines beside it, each in an environment of its own that
is made first. Everything is measured in one run, beside what the machine reads and
multiplies in the same minutes. Prints tables and, as its last line, one JSON object, which a file
gets as it grows.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from core.config import ModelOptions
from core.hub import BUNDLED_FOLDER
from core.loader import load_model
from core.processor import Processor
from core.tokenizer import Tokenizer
from tests.benchmarks import turns
from tests.benchmarks.factory import NUM_LAYERS, write_checkpoint
from tests.benchmarks.loading import loads
from tests.benchmarks.machine import in_words, machine_probe
from tests.benchmarks.peers.compare import compare
from tests.benchmarks.peers.process import PEERS, Peer
from tests.benchmarks.tables import tables

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("torch", "transformers", "bitsandbytes")
PREFILL_WORDS: Final = (64, 256, 1024)


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.peers and not options.full:
        parser.error("--peers needs --full: no other engine runs the bundled model")
    if options.only_peers and not options.peers:
        parser.error("--only-peers needs --peers")
    name, folder = "bundled", BUNDLED_FOLDER
    if options.full:
        name, folder = "full", options.folder / f"random-{options.layers}-layers"
        if not folder.exists():
            print(f"Writing a random checkpoint of the real size to {folder}.", flush=True)
            write_checkpoint(folder, num_layers=options.layers)
    print(f"Measuring {folder.name}.", flush=True)
    record: dict[str, Any] = {**_about(), "machine": machine_probe()}
    options.folder.mkdir(parents=True, exist_ok=True)
    with packed_weights_in(options.folder):
        if not options.only_peers:
            record[name] = measure(folder, options.runs)
            _keep(record, options.json)
        if options.peers:
            loaded = loaded_from(folder)
            record["peers"] = []
            for found in compare(loaded, folder, options.peers, options.folder, options.runs):
                record["peers"].append(found)
                _keep(record, options.json)
    print("\n".join([*tables(record), "", *in_words(record["machine"])]))
    print(json.dumps(record))
    return 0


def _keep(record: dict[str, Any], path: Path | None) -> None:
    """Write what was measured so far: a long run may be stopped."""
    if path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@contextmanager
def packed_weights_in(folder: Path) -> Iterator[None]:
    """Inside, packed weights are kept in a new folder below this one, which goes in the end."""
    with (
        tempfile.TemporaryDirectory(dir=folder) as cache,
        patch.dict(os.environ, XDG_CACHE_HOME=cache),
    ):
        yield


def measure(folder: Path, num_runs: int) -> dict[str, Any]:
    """Everything about one model, whose packed weights are not in the cache yet.

    Args:
        folder: the model.
        num_runs: of each measure; medians are kept.
    """
    loading = loads(folder)
    loaded = loaded_from(folder)
    model = loaded.model
    steps = {
        "routes": lambda: turns.routes(loaded, num_runs),
        "prefill": lambda: turns.prefill(loaded, PREFILL_WORDS, num_runs),
        "rows": lambda: turns.side_by_side(loaded, num_runs),
        "ahead": lambda: turns.ahead(loaded, num_runs),
        "drafts": lambda: turns.drafts(loaded, num_runs),
    }
    figures: dict[str, Any] = {
        "quantization": model.options.quantization,
        "dtype": model.options.dtype,
        "loading": loading,
    }
    for name, step in steps.items():
        print(f"  {name}", flush=True)
        figures[name] = step()
    return figures


def loaded_from(folder: Path) -> turns.Loaded:
    """A model of which turns are measured."""
    model = load_model(folder, ModelOptions(device="cpu"))
    tokenizer = Tokenizer.from_folder(folder)
    return turns.Loaded(model, Processor.from_folder(folder, tokenizer, model.config))


def _about() -> dict[str, Any]:
    """What was measured, with which packages."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def _commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:  # there need not be a git
        return "unknown"
    return done.stdout.strip() or "unknown"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py bench",
        description="How fast does Triad load and answer on this machine? The bundled model takes "
        "some two minutes.",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="measure a random checkpoint of the real model's size instead; it is written once, 11 "
        "GB, and its packed weights lie beside it while it is measured",
    )
    parser.add_argument(
        "--peers",
        nargs="*",
        default=(),
        type=_peer,
        action=_AllIfNone,
        metavar="NAME",
        help="also measure other engines, all or some of "
        + ", ".join(map(_word, PEERS))
        + "; each "
        "is installed in a folder of its own first, and llama.cpp is built: up to half an hour",
    )
    parser.add_argument(
        "--only-peers", action="store_true", help="measure ours beside other engines, and no more"
    )
    parser.add_argument("--runs", type=_positive, default=5, help="of each measure (default: 5)")
    parser.add_argument(
        "--layers",
        type=_positive,
        default=NUM_LAYERS,
        help=f"of the random checkpoint's decoder (default: all {NUM_LAYERS})",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=ROOT / "build" / "benchmarks",
        help="for the random checkpoint (default: build/benchmarks)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    return parser


class _AllIfNone(argparse.Action):
    """An option that is given without names stands for all of them."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, values or PEERS)


def _word(peer: Peer) -> str:
    """What a peer is called on the command line."""
    return peer.name.lower().replace(" + ", "-")


def _peer(text: str) -> Peer:
    for peer in PEERS:
        if _word(peer) == text.lower():
            return peer
    raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(map(_word, PEERS))}")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
