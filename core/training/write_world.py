"""`launch.py world`: writes held-out cases with their media, so that anyone can test any model.

A folder gets `cases.jsonl`, the pictures and clips it names, and a README.md that says what its
fields are. Leaves out: the cases (cases.py) and asking them (evaluate.py).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from core.errors import BadOptionError
from core.training.cases import Case, cases, missing_for
from core.training.command import add_case_options, show_progress, skills_of
from core.training.packages import Provide, missing_sentence, provide_nothing

TITLE: Final = "# Held-out cases of Triad's small world\n"
README: Final = (
    TITLE
    + """
Written by `python3 launch.py world`: questions, pictures and clips that were kept from training,
and their right replies. Questions about the world and sentences to translate are worded as training
never had them; pictures are drawn anew and words printed in other typefaces, but it knows the words
and what is asked about a picture; voices are others. The same seed writes the same cases. Writing
here again replaces them.

`cases.jsonl` has one case a line, in UTF-8:

| field | what it is |
|---|---|
| `id` | the skill, the seed and a number: unique in all folders of this kind |
| `skill` | what is tested |
| `kind` | of question, where the skill has several, or "" |
| `prompt` | what is typed, or "" |
| `spoken` | what is said in the clip, or "": for reading, not for the model |
| `pictures` | PNG files in the order in which they are shown, from this folder on; often none |
| `sound` | a WAV file (mono, 16 kHz) from this folder on, or null |
| `history` | earlier turns to give first: {"role": "user" or "assistant", "text"}; often none |
| `expected` | the right reply |

The message to answer is: the pictures, then the sound, then the prompt. A reply counts as right
when its words are, whatever their case and punctuation. In `<transcript> <sep> <translation>`,
`<sep>` is meant as it stands.
"""
)
MEDIA: Final = (("pictures", "*.png"), ("sounds", "*.wav"))


def main(argv: Sequence[str], provide: Provide = provide_nothing) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the options.
        provide: installs what is missing, where it may.
    Raises:
        BadOptionError: the folder holds something else.
    """
    options = _parser().parse_args(argv)
    skills = skills_of(options)
    require_own(options.out)
    missing = provide(partial(missing_for, skills))
    if missing:
        print(missing_sentence(missing), file=sys.stderr)
        return 2
    num = write_world(options.out, skills, options.num, options.seed)
    print(f"Wrote {num} cases of {len(skills)} skills in {options.out}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py world",
        description="Write held-out questions with their pictures, clips and right replies.",
    )
    add_case_options(parser, num=20)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to")
    return parser


def require_own(folder: Path) -> None:
    """Pass a folder that is empty, not there yet, or written by this command.

    Raises:
        BadOptionError: it is anything else.
    """
    if folder.is_dir():
        readme = folder / "README.md"
        is_own = readme.is_file() and readme.read_text("utf-8", "replace").startswith(TITLE)
        if is_own or not any(folder.iterdir()):
            return
    elif not folder.exists():
        return
    raise BadOptionError(f"{folder} holds something else: name a new or an empty folder.")


def write_world(folder: Path, skills: Sequence[str], num: int, seed: int) -> int:
    """Write `num` cases of each skill, in place of those that are there; returns how many.

    `cases.jsonl` is written last: a folder that has it is complete.
    """
    _clear(folder)
    (folder / "README.md").write_text(README, "utf-8")
    lines = []
    for skill in skills:
        for number, case in enumerate(cases(skill, num, seed)):
            lines.append(json.dumps(_write_case(folder, case, seed, number), ensure_ascii=False))
            show_progress(skill, number + 1, num)
    (folder / "cases.jsonl").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return len(lines)


def _clear(folder: Path) -> None:
    """Make the folder, without an earlier run's files."""
    (folder / "cases.jsonl").unlink(missing_ok=True)
    for name, pattern in MEDIA:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).glob(pattern):
            path.unlink()


def _write_case(folder: Path, case: Case, seed: int, number: int) -> dict[str, Any]:
    """Write a case's media; returns its line."""
    slug = re.sub(r"\W+", "-", case.skill)
    name = f"{slug}-{seed}-{number:04}"
    pictures = [f"pictures/{name}-{place}.png" for place in range(1, len(case.pictures) + 1)]
    for path, data in zip(pictures, case.pictures, strict=True):
        (folder / path).write_bytes(data)
    sound = None
    if case.sound is not None:
        sound = f"sounds/{name}.wav"
        (folder / sound).write_bytes(case.sound)
    history = [
        {"role": role, "text": text}
        for turn in case.history
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    return {
        "id": name,
        "skill": case.skill,
        "kind": case.kind,
        "prompt": case.prompt,
        "spoken": case.spoken,
        "pictures": pictures,
        "sound": sound,
        "history": history,
        "expected": case.expected,
    }
