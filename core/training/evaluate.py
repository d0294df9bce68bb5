"""`launch.py eval`: asks a model held-out questions and says how often it is right.

With --compare the same questions go to the same model as it is before quantisation.
Leaves out: the cases (cases.py) and the figures (scores.py).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import textwrap
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from core.assistant import open_assistant
from core.config import ModelOptions
from core.errors import TriadError
from core.events import Event, TurnFailed, TurnFinished
from core.hub import model_folder
from core.messages import Conversation
from core.sampling_options import SamplingOptions
from core.training.bare_base import num_identical
from core.training.cases import TRANSCRIPTION, Case, cases, missing_for, synthesizers
from core.training.command import (
    add_case_options,
    problem_with_file,
    show_progress,
    skills_of,
)
from core.training.packages import Provide, missing_sentence, provide_nothing
from core.training.scores import (
    HEADING,
    Answer,
    Score,
    identity_line,
    kinds_line,
    line,
    markdown_table,
    row,
    score,
)

__all__ = ["main", "markdown_table"]  # the second: what becomes of the record

OPTIONS: Final = SamplingOptions(max_new_tokens=160)  # six shapes, described, take half of them
NUM_AT_ONCE: Final = 4
NO_BREAK: Final = "\N{NO-BREAK SPACE}"


class AnyTurn(Protocol):
    """A reply under way (core/turn.py)."""

    def events(self) -> Iterator[Event]:
        """All events from the first to the last."""


class AnyAssistant(Protocol):
    """Who is asked (core/assistant.py)."""

    def submit(self, conversation: Conversation, options: SamplingOptions) -> AnyTurn:
        """Begin to answer a conversation."""


def main(argv: Sequence[str], provide: Provide = provide_nothing) -> int:
    """Run the command line; returns the exit code.

    Args:
        argv: the options.
        provide: installs what is missing, where it may.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.compare and options.quantization == "none":
        parser.error(
            "--compare asks the model unquantised too: give --quantization nf4, int4 or int8"
        )
    if problem := problem_with_file(options.json):
        parser.error(f"--json {options.json}: {problem}")  # not after an hour
    skills = skills_of(options)
    missing = provide(partial(missing_for, skills))
    if missing:
        print(missing_sentence(missing), file=sys.stderr)
        return 2
    try:
        record = evaluate(options, skills)
        _write(record, options.json)  # the next step needs more memory: nothing is lost by it
        if "text" in skills:
            _compare_text(record, options)
            _write(record, options.json)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(markdown_table(record))
    return 0


def _write(record: dict[str, Any], path: Path | None) -> None:
    if path:
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py eval",
        description="Ask a model held-out questions of its small world: how often is it right?",
    )
    parser.add_argument("--model", help="a model folder (default: the bundled model)")
    add_case_options(parser, num=400)
    parser.add_argument("--quantization", choices=["nf4", "int4", "int8", "none"], default="nf4")
    parser.add_argument(
        "--compare", action="store_true", help="ask the model unquantised too: what does it cost?"
    )
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--json", type=Path, help="also write the scores to this file")
    parser.add_argument("--show-wrong", action="store_true", help="print wrong replies")
    return parser


def evaluate(options: argparse.Namespace, skills: Sequence[str]) -> dict[str, Any]:
    """Ask every skill, a printed line each; returns the record.

    Raises:
        TriadError: the model cannot be loaded, or a typeface is missing.
    """
    wanted = _wanted(options)
    with ExitStack() as opened:
        models = [wanted, replace(wanted, quantization="none")] if options.compare else [wanted]
        assistants = [opened.enter_context(closing(_open(options.model, it))) for it in models]
        print(HEADING)
        rows = []
        for skill in skills:
            asked: Iterable[Case] = cases(skill, options.num, options.seed)
            if options.compare:
                asked = list(asked)  # both are asked the same: nothing is spoken twice
            scores = [ask(it, skill, asked, options.num) for it in assistants]
            rows.append(row(*scores))
            print(line(rows[-1]), flush=True)
            _print_kinds(rows[-1])
            _print_failures(scores)
            if options.show_wrong:
                _print_wrong(scores[0])
    infos = [asdict(assistant.info) for assistant in assistants]
    return {
        "model": infos[0],
        **({"compared_model": infos[1]} if options.compare else {}),
        "weights_sha256": weights_sha256(model_folder(options.model)),
        "seed": options.seed,
        "synthesizers": synthesizers(skills),
        "scores": rows,
    }


def _compare_text(record: dict[str, Any], options: argparse.Namespace) -> None:
    """Count the typed conversations whose logits the adapters leave alone, into the record."""
    typed = (case.conversation for case in cases("text", options.num, options.seed))
    num = num_identical(model_folder(options.model), _wanted(options), typed)
    if num is not None:
        record["identical_text_logits"] = {"num": options.num, "num_identical": num}
        print(identity_line(record))


def weights_sha256(folder: Path) -> str:
    """Of all weights in a model folder, so that figures can be told to be of them."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _wanted(options: argparse.Namespace) -> ModelOptions:
    return ModelOptions(quantization=options.quantization, device=options.device)


def _open(model: str | None, options: ModelOptions) -> Any:
    return open_assistant(model, options)


def _print_kinds(item: Mapping[str, Any]) -> None:
    whole = kinds_line(item).replace(" ", NO_BREAK).replace(f",{NO_BREAK}", ", ")
    if lines := textwrap.wrap(whole, 96, initial_indent="    ", subsequent_indent="    "):
        print("\n".join(lines).replace(NO_BREAK, " "), flush=True)


def _print_failures(scores: Sequence[Score]) -> None:
    for item in scores:
        for message in item.failures:
            print(f"    failed: {message}", file=sys.stderr)


def _print_wrong(item: Score) -> None:
    for said, expected, reply in item.wrong:
        print(f"    {said!r}: {reply!r}, not {expected!r}")


def ask(assistant: AnyAssistant, skill: str, asked: Iterable[Case], num: int) -> Score:
    """Ask the cases of a skill; a terminal is shown how many of the `num` are answered."""
    answers = []
    for answer in _answers(assistant, asked):
        answers.append(answer)
        show_progress(skill, len(answers), num)
    return score(skill, answers, counts_words=skill in TRANSCRIPTION)


def _answers(assistant: AnyAssistant, asked: Iterable[Case]) -> Iterator[Answer]:
    """Ask cases a few at a time, in order."""
    under_way: deque[tuple[Case, AnyTurn]] = deque()
    for case in asked:
        under_way.append((case, assistant.submit(case.conversation, OPTIONS)))
        if len(under_way) >= NUM_AT_ONCE:
            yield _answered(*under_way.popleft())
    while under_way:
        yield _answered(*under_way.popleft())


def _answered(case: Case, turn: AnyTurn) -> Answer:
    for event in turn.events():
        if isinstance(event, TurnFinished):
            return Answer(case.said, case.expected, event.text, kind=case.kind)
        if isinstance(event, TurnFailed):
            return Answer(case.said, case.expected, "", failure=event.message, kind=case.kind)
    raise AssertionError("a turn ends with its last event")
