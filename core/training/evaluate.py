"""`launch.py eval`: asks a model held-out questions and says how often it is right.

With --compare the same questions go to the same model as it is before quantisation.
Leaves out: the cases (cases.py) and the figures (scores.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
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
from core.training.command import add_case_options, show_progress, skills_of
from core.training.packages import Provide, missing_sentence, provide_nothing
from core.training.scores import (
    HEADING,
    Answer,
    Score,
    identity_line,
    line,
    markdown_table,
    row,
    score,
)

__all__ = ["main", "markdown_table"]  # the second: what becomes of the record

OPTIONS: Final = SamplingOptions(max_new_tokens=160)  # six shapes, described, take half of them
NUM_AT_ONCE: Final = 4


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
        parser.error("--compare asks the model unquantised too: give --quantization nf4 or int8")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"--json {options.json}: there is no such folder")  # not after an hour
    skills = skills_of(options)
    missing = provide(partial(missing_for, skills))
    if missing:
        print(missing_sentence(missing), file=sys.stderr)
        return 2
    try:
        record = evaluate(options, skills)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(markdown_table(record))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py eval",
        description="Ask a model held-out questions of its small world: how often is it right?",
    )
    parser.add_argument("--model", help="a model folder (default: the bundled model)")
    add_case_options(parser, num=400)
    parser.add_argument("--quantization", choices=["nf4", "int8", "none"], default="nf4")
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
    wanted = ModelOptions(quantization=options.quantization, device=options.device)
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
            if options.show_wrong:
                _print_wrong(scores[0])
    infos = [asdict(assistant.info) for assistant in assistants]
    record = {
        "model": infos[0],
        **({"compared_model": infos[1]} if options.compare else {}),
        "seed": options.seed,
        "synthesizers": synthesizers(skills),
        "scores": rows,
    }
    if "text" in skills:
        typed = (case.conversation for case in cases("text", options.num, options.seed))
        num = num_identical(model_folder(options.model), wanted, typed)
        if num is not None:
            record["identical_text_logits"] = {"num": options.num, "num_identical": num}
            print(identity_line(record))
    return record


def _open(model: str | None, options: ModelOptions) -> Any:
    return open_assistant(model, options)


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
            return Answer(case.said, case.expected, event.text)
        if isinstance(event, TurnFailed):
            return Answer(case.said, case.expected, f"[failed: {event.message}]")
    raise AssertionError("a turn ends with its last event")
