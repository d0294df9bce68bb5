"""`launch.py bench`: how fast models load and answer on this machine.

    python3 launch.py bench [--full] [--json FILE]

Measures the bundled model, and with --full a random checkpoint of the real model's size, which is
written first (11 GB). Everything is measured in one run, beside what the machine reads and
multiplies in the same minutes. Prints tables and, as its last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from core.config import ModelOptions
from core.hub import BUNDLED_FOLDER
from core.loader import load_model
from core.processor import Processor
from core.tokenizer import Tokenizer
from tests.benchmarks import turns
from tests.benchmarks.factory import NUM_LAYERS, write_checkpoint
from tests.benchmarks.loading import loads
from tests.benchmarks.machine import in_words, machine_probe
from tests.benchmarks.tables import tables

ROOT: Final = Path(__file__).resolve().parents[2]
PACKAGES: Final = ("torch", "transformers", "bitsandbytes")
PREFILL_WORDS: Final = (64, 256, 1024)


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    options = _parser().parse_args(argv)
    models: dict[str, Path] = {"bundled": BUNDLED_FOLDER}
    if options.full:
        folder = options.folder / f"random-{options.layers}-layers"
        if not folder.exists():
            print(f"Writing a random checkpoint of the real size to {folder}.", flush=True)
            write_checkpoint(folder, num_layers=options.layers)
        models = {"full": folder}
    record: dict[str, Any] = {**_about(), "machine": machine_probe()}
    for name, folder in models.items():
        print(f"Measuring the {name} model: {folder.name}.", flush=True)
        record[name] = measure(folder, options.runs, options.folder)
    print("\n".join([*tables(record), "", *in_words(record["machine"])]))
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


def measure(folder: Path, num_runs: int, scratch: Path) -> dict[str, Any]:
    """Everything about one model.

    Args:
        folder: the model.
        num_runs: of each measure; medians are kept.
        scratch: where packed weights may be kept while it lasts.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as cache:
        loading = loads(str(folder), Path(cache))
    model = load_model(folder, ModelOptions(device="cpu"))
    tokenizer = Tokenizer.from_folder(folder)
    loaded = turns.Loaded(model, Processor.from_folder(folder, tokenizer, model.config))
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


def _about() -> dict[str, Any]:
    """What was measured, with which packages."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    asked = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    return {
        "commit": commit.stdout.strip() or "unknown",
        "python": platform.python_version(),
        "versions": versions,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py bench",
        description="How fast does Triad load and answer on this machine? The bundled model takes "
        "some two minutes.",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="measure a random checkpoint of the real model's size instead (16 GB of memory and "
        "20 GB of disk; written once)",
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


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
