"""`launch.py train`: the whole recipe of the bundled model, or one stage of it.

Kill it at any time and start it again: materials, finished stages and the running stage's
checkpoint are kept in the working folder. Leaves out: what the stages learn (stages.py).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from core.tokenizer import Tokenizer
from core.training.course import Course
from core.training.export import export
from core.training.learner import Learner
from core.training.loop import learn
from core.training.materials import Materials
from core.training.speech import has_synthesizer
from core.training.stages import STAGES
from core.training.vocabulary import train_tokenizer

ROOT: Final = Path(__file__).resolve().parents[2]
NUM_PICTURES: Final = 20_000
NUM_CLIPS: Final = 24_000
NUM_HELD_OUT: Final = 600
# What must be there before a stage; the rest of the model does not touch it.
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "text": (),
    "vision_encoder": (),
    "vision_projector": ("text", "vision_encoder"),
    "vision": ("text", "vision_encoder", "vision_projector"),
    "speech_encoder": (),
    "speech_projector": ("text", "speech_encoder"),
    "speech": ("text", "speech_encoder", "speech_projector"),
    "vision_speech": (
        "text",
        "vision_encoder",
        "vision_projector",
        "vision",
        "speech_encoder",
        "speech_projector",
        "speech",
    ),
}


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    if not has_synthesizer():
        print("Training needs espeak-ng to speak: install it (apt install espeak-ng).")
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    begun = time.monotonic()
    raw = train_tokenizer()
    course = _course(options, Tokenizer(raw.to_str()))
    names = list(STAGES) if options.stage == "all" else [*NEEDS[options.stage], options.stage]
    for name in names:
        figures = learn(STAGES[name](course), options.work)
        print(f"{name}: {figures}", flush=True)
    if options.stage in ("all", "vision_speech"):
        export(course.learner, raw, options.out)
        print(f"Saved the model in {options.out}.")
    print(f"Took {(time.monotonic() - begun) / 60:.1f} minutes on {options.device}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py train",
        description="Train the bundled model, all stages or one (with what it needs before it).",
    )
    parser.add_argument("stage", nargs="?", default="all", choices=["all", *STAGES])
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "training")
    parser.add_argument("--out", type=Path, default=ROOT / "assets" / "bundled")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps to take")
    parser.add_argument("--materials", type=float, default=1.0, help="share of the media to make")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _course(options: argparse.Namespace, tokenizer: Tokenizer) -> Course:
    num_pictures = max(64, round(NUM_PICTURES * options.materials))
    num_clips = max(64, round(NUM_CLIPS * options.materials))
    materials = Materials(
        options.work / "materials",
        num_pictures,
        num_clips,
        min(NUM_HELD_OUT, num_clips, num_pictures),
        _print_progress,
    )
    learner = Learner(tokenizer.full, options.seed, options.device)
    return Course(learner, tokenizer, materials, options.scale)


def _print_progress(what: str, num_done: int, num_all: int) -> None:
    is_last = num_done == num_all
    if sys.stdout.isatty() or is_last or num_done % 5000 == 0:
        print(f"  {what}: {num_done}/{num_all}", end="\n" if is_last else "\r", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(sys.argv[1:]))
