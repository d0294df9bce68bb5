"""What the commands about held-out cases share: their options, and a line while somebody waits.

Leaves out: what they do (evaluate.py, write_world.py).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from core.training.cases import SKILLS

ERASE_LINE: Final = "\r\x1b[K"


def add_case_options(parser: argparse.ArgumentParser, num: int) -> None:
    """The options that say which cases: --num (of each skill), --seed, --skill."""
    parser.add_argument(
        "--num", type=positive, default=num, help=f"cases of each skill (default: {num})"
    )
    parser.add_argument("--seed", type=int, default=0, help="which cases (default: 0)")
    parser.add_argument(
        "--skill",
        action="append",
        choices=SKILLS,
        metavar="SKILL",
        help=f"only this one; may be given again: {'; '.join(SKILLS)}",
    )


def positive(text: str) -> int:
    """A number of cases, as argparse reads it."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of cases: give 1 or more")
    return number


def not_negative(text: str) -> int:
    """A number that may be 0, as argparse reads it."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number: give 0 or more")
    return int(text)


def skills_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The skills that were asked for, once each; all where none was."""
    return tuple(dict.fromkeys(options.skill or SKILLS))


def problem_with_file(path: Path | None) -> str:
    """Why no file can be written there, or ""."""
    if path is None:
        return ""
    if path.is_dir():
        return "this is a folder; name a file in it"
    return "" if path.absolute().parent.is_dir() else "there is no such folder"


def show_progress(what: str, num_done: int, num_all: int) -> None:
    """One line on a terminal's stderr, gone when all is done; nothing elsewhere."""
    if sys.stderr.isatty():
        text = f"{what}: {num_done} of {num_all}" if num_done < num_all else ""
        print(f"{ERASE_LINE}{text}", end="", file=sys.stderr, flush=True)
