"""`launch.py train`: the whole recipe of the bundled model, or one stage of it.

Kill it at any time and start it again: materials, finished stages and the running stage's
checkpoint are kept in the working folder. Leaves out: what the stages learn (stages.py).
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import sys
import time
from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Final

import torch
from tokenizers import Tokenizer as RawTokenizer

from core.errors import BadModelError, BadOptionError, TriadError
from core.tokenizer import Tokenizer
from core.training.command import not_negative
from core.training.course import Course
from core.training.export import export
from core.training.fonts import HELD_OUT_FACES, TRAINED_FACES
from core.training.learner import Learner
from core.training.loop import is_finished, learn
from core.training.materials import Materials
from core.training.packages import missing_packages, missing_sentence
from core.training.parts import PARTS, load_parts, save_parts, stages_of
from core.training.record import write_record
from core.training.stages import STAGES
from core.training.start_from import start_from, tokenizer_of
from core.training.vocabulary import train_tokenizer

ROOT: Final = Path(__file__).resolve().parents[2]
NUM_PICTURES: Final = 20_000
NUM_CLIPS: Final = 48_000
NUM_HELD_OUT: Final = 600
# What must be there before a stage; the rest of the model does not touch it.
VISION: Final = ("vision_encoder", "vision_projector", "vision_joint", "vision", "vision_pairs")
SPEECH: Final = ("speech_encoder", "speech_projector", "speech")
NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "text": (),
    "vision_encoder": (),
    "vision_projector": ("text", *VISION[:1]),
    "vision_joint": ("text", *VISION[:2]),
    "vision": ("text", *VISION[:3]),
    "vision_pairs": ("text", *VISION[:4]),
    "speech_encoder": (),
    "speech_projector": ("text", *SPEECH[:1]),
    "speech": ("text", *SPEECH[:2]),
    "vision_speech": ("text", *VISION, *SPEECH),
}
# What each stage gets of `--minutes`, in proportion.
MINUTES: Final[dict[str, float]] = {
    "text": 75.0,
    "vision_encoder": 25.0,
    "vision_projector": 1.0,
    "vision_joint": 2.5,
    "vision": 26.0,
    "vision_pairs": 8.0,
    "speech_encoder": 55.0,
    "speech_projector": 6.0,
    "speech": 31.0,
    "vision_speech": 9.0,
}


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        check_tools()
        check_device(options.device)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    if options.threads:
        torch.set_num_threads(options.threads)
    begun = time.monotonic()
    try:
        raw = _vocabulary(options)
        course = _course(options, Tokenizer(raw.to_str()))
        earlier = _load_earlier(course.learner, options)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    course.goes_on = frozenset(earlier)
    names, folder = _stages_to_run(options, course.goes_on), _checkpoint_folder(options)
    for number, name in enumerate(names):
        try:
            stage = STAGES[name](course)
            if not is_finished(stage, folder):
                stage.prepare()
            left_s = options.minutes * 60 - (time.monotonic() - begun)
            figures = learn(stage, folder, _time_for(names[number:], left_s))
        except TriadError as error:
            print(error, file=sys.stderr)
            return 2
        print(f"{name}: {figures}", flush=True)
        if name in _kept_stages(options):
            made = [each for each in names[: number + 1] if each in _kept_stages(options)]
            _keep_parts(course, raw, made, folder / "parts", earlier, options.start_from)
    if earlier.keys() | names >= STAGES.keys():
        export(course.learner, raw, options.out)
        write_record(folder, names, options.out, earlier)
        print(f"Saved the model in {options.out}.")
        known = course.goes_on.union(names)
        if behind := [name for name in earlier if name not in known]:
            print(f"Now train {' and '.join(behind)}: they do not know the new projector yet.")
    print(f"Took {(time.monotonic() - begun) / 60:.1f} minutes on {options.device}.")
    return 0


def _load_earlier(learner: Learner, options: argparse.Namespace) -> dict[str, Path]:
    """Give the learner what the command says to begin with: a whole model, parts in place of its.

    Returns:
        The stages that are finished by that, and the folder that the result of each came from.
    Raises:
        BadModelError: a folder is no model, or has no part of one, of this recipe.
    """
    earlier: dict[str, Path] = {}
    if options.start_from:
        start_from(learner, options.start_from)
        earlier = dict.fromkeys(STAGES, options.start_from)
    for folder in options.parts_from:
        # Adapters without the model that they belong to would be begun anew in any case.
        found = load_parts(learner, folder, with_adapters=bool(options.start_from))
        earlier |= dict.fromkeys(found, folder)
    return earlier


def _kept_stages(options: argparse.Namespace) -> Collection[str]:
    """Those whose results are kept apart: of adapters only where a whole model goes on."""
    return STAGES if options.start_from else PARTS


def _keep_parts(
    course: Course,
    raw: RawTokenizer,
    made: Sequence[str],
    out: Path,
    earlier: Mapping[str, Path],
    model: Path | None,
) -> None:
    """Write what differs from the model that the run began with, and what its stages said.

    Args:
        made: the stages that were run until now.
        out: a folder beside their checkpoints.
        earlier: from `_load_earlier`.
        model: what it began with, if with a whole one.
    """
    changed = {name for name, folder in earlier.items() if folder != model}.union(made)
    if "vision_joint" in made:  # the encoder learns there too
        changed.add("vision_encoder")
    save_parts(course.learner, raw, changed, out)
    belonging = stages_of(changed)
    begun_with = {name: folder for name, folder in earlier.items() if name in belonging}
    write_record(out.parent, made, out, begun_with)


def check_tools() -> None:
    """See that all that speaks and letters is installed, before hours are spent.

    Raises:
        TriadError: something is missing; the sentence says how to install it.
    """
    missing = missing_packages(("trained", "unseen voice"), (*TRAINED_FACES, *HELD_OUT_FACES))
    if missing:
        raise BadOptionError(missing_sentence(missing))


def check_device(name: str) -> None:
    """See that torch can use a device.

    Raises:
        BadOptionError: it cannot; the sentence says what to give instead.
    """
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadOptionError(f"--device {name}: torch cannot use it here; try cpu.") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py train",
        description="Train the bundled model: all stages, or some with what they need before them.",
    )
    parser.add_argument(
        "stage",
        nargs="*",
        type=_stage_name,
        metavar="STAGE",
        help=f"all (default), or some of {', '.join(STAGES)}",
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="FOLDER",
        help="go on with the finished model in this folder instead of the stages before",
    )
    parser.add_argument(
        "--parts-from",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="take the base and the encoders that are in this folder, a finished model's or the "
        "parts of an earlier run, and train the rest; given again, what another folder has comes "
        "in place of it, and beside --start-from, adapters too, in place of what that model has",
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="fewer steps, to be done in this time"
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=ROOT / "build" / "training",
        metavar="FOLDER",
        help="media and checkpoints (default: build/training)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "assets" / "bundled",
        metavar="FOLDER",
        help="the finished model (default: assets/bundled)",
    )
    parser.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="where it learns (default: a GPU where there is one, else cpu)",
    )
    _add_amounts(parser)
    return parser


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    """How much is made and learned, where from, and with what."""
    parser.add_argument("--scale", type=float, default=1.0, help="share of the steps to take")
    parser.add_argument("--materials", type=float, default=1.0, help="share of the media to make")
    parser.add_argument(
        "--first",
        type=not_negative,
        default=0,
        metavar="N",
        help="number of the first clip, sheet of text and picture of a word to learn from, and "
        "where dialogues begin: a model that goes on learns most from new ones (default: 0)",
    )
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the first weights (default: 0)")


def _stage_name(text: str) -> str:
    if text not in ("all", *STAGES):
        raise argparse.ArgumentTypeError(f"{text!r} is no stage: choose from {', '.join(STAGES)}")
    return text


def _stages_to_run(options: argparse.Namespace, ready: Set[str] = frozenset()) -> list[str]:
    """In the recipe's order: those that are named, and what they need that is not ready."""
    named = set(options.stage or ["all"])
    if "all" in named:
        return [name for name in STAGES if options.start_from or name not in ready]
    needed = named.union(*(NEEDS[name] for name in named)) - ready
    return [name for name in STAGES if name in needed | named]


def _checkpoint_folder(options: argparse.Namespace) -> Path:
    """Where stages are kept: those that build on a finished model or on parts apart, for each."""
    work: Path = options.work
    if not (begun_with := _begun_with(options)):
        return work
    weights = hashlib.sha256()
    for folder in begun_with:
        weights.update((folder / "model.safetensors").read_bytes())
    return work / f"from-{weights.hexdigest()[:12]}"


def _begun_with(options: argparse.Namespace) -> list[Path]:
    """The folders of the model, or of the parts, that this run goes on with."""
    return [folder for folder in (options.start_from, *options.parts_from) if folder]


def _time_for(names: Sequence[str], left_s: float) -> float:
    """The first stage's part of the time that is left for all of them."""
    return left_s * MINUTES[names[0]] / sum(MINUTES[name] for name in names)


def _vocabulary(options: argparse.Namespace) -> RawTokenizer:
    """That of the weights to begin with, or of the stages in the working folder, or a new one.

    Raises:
        BadModelError: there is none beside the weights, or not the same beside all of them.
    """
    if begun_with := _begun_with(options):
        first, *others = [tokenizer_of(folder) for folder in begun_with]
        for folder, other in zip(begun_with[1:], others, strict=True):
            if other.get_vocab() != first.get_vocab():
                raise BadModelError(
                    f"{folder} has another vocabulary than {begun_with[0]}: only parts that began "
                    "with the same one fit together."
                )
        return first
    path = options.work / "tokenizer.json"
    if not path.exists():
        options.work.mkdir(parents=True, exist_ok=True)
        train_tokenizer().save(str(path))
    return RawTokenizer.from_file(str(path))


def _course(options: argparse.Namespace, tokenizer: Tokenizer) -> Course:
    num_pictures = max(64, round(NUM_PICTURES * options.materials))
    num_clips = max(64, round(NUM_CLIPS * options.materials))
    materials = Materials(
        options.work / "materials",
        num_pictures,
        num_clips,
        min(NUM_HELD_OUT, num_clips, num_pictures),
        print_progress,
        options.first,
    )
    learner = Learner(tokenizer.full, options.seed, options.device)
    return Course(learner, tokenizer, materials, options.scale)


def print_progress(what: str, num_done: int, num_all: int) -> None:
    """Say how many media of a kind are made; on a terminal in one line."""
    is_last, is_terminal = num_done == num_all, sys.stdout.isatty()
    if is_terminal or is_last or num_done % 5000 == 0:
        end = "\r" if is_terminal and not is_last else "\n"
        print(f"  {what}: {num_done}/{num_all}", end=end, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    sys.exit(main(sys.argv[1:]))
