"""`launch.py eval`: asks a model held-out questions and says how often it is right.

An answer is right when its words are; transcription is also counted as word error rate.
Leaves out: the cases (cases.py).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from core.assistant import Assistant, open_assistant
from core.config import ModelOptions
from core.errors import TriadError
from core.events import TurnFailed, TurnFinished
from core.sampling_options import SamplingOptions
from core.training.cases import SKILLS, Case, cases
from core.training.speech import has_synthesizer
from core.training.world import words_of
from core.turn import Turn

OPTIONS: Final = SamplingOptions(max_new_tokens=64)
NUM_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Score:
    """How one skill went.

    Args:
        skill: its name.
        num: cases asked.
        exact: share of right replies; low, high: its 95 % Wilson interval.
        word_error_rate: word edits by words said, for transcription, else None.
        wrong: some of the wrong replies: what was said, expected and replied.
    """

    skill: str
    num: int
    exact: float
    low: float
    high: float
    word_error_rate: float | None
    wrong: tuple[tuple[str, str, str], ...]


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args(argv)
    if not has_synthesizer():
        print("Evaluation needs espeak-ng to speak: install it (apt install espeak-ng).")
        return 2
    try:
        model_options = ModelOptions(quantization=options.quantization, device=options.device)
        assistant = open_assistant(options.model, model_options)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{'skill':<32}{'right':>8}   95 % interval   n")
    scores = []
    for skill in options.skill or SKILLS:
        scores.append(score(assistant, skill, options.num, options.seed))
        print(_line(scores[-1]), flush=True)
        for said, expected, reply in scores[-1].wrong if options.show_wrong else ():
            print(f"    {said!r}: {reply!r}, not {expected!r}")
    info = asdict(assistant.info)
    assistant.close()
    record = {"model": info, "seed": options.seed, "scores": [asdict(item) for item in scores]}
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
    parser.add_argument("--num", type=int, default=200, help="questions a skill (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="which questions (default: 0)")
    parser.add_argument("--skill", action="append", choices=SKILLS, help="only this skill")
    parser.add_argument("--quantization", choices=["nf4", "int8", "none"], default="nf4")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--json", type=Path, help="also write the scores to this file")
    parser.add_argument("--show-wrong", action="store_true", help="print wrong replies")
    return parser


def score(assistant: Assistant, skill: str, num: int, seed: int) -> Score:
    """Ask `num` held-out questions of a skill."""
    num_right, num_edits, num_words = 0, 0, 0
    wrong: list[tuple[str, str, str]] = []
    for case, reply in _answers(assistant, cases(skill, num, seed)):
        expected_words, words = words_of(case.expected).split(), words_of(reply).split()
        num_right += words == expected_words
        num_edits += edit_distance(expected_words, words)
        num_words += len(expected_words)
        if words != expected_words:
            wrong.append((case.said, case.expected, reply))
    low, high = wilson_interval(num_right, num)
    error_rate = num_edits / num_words if skill == "transcription" else None
    return Score(skill, num, num_right / num, low, high, error_rate, tuple(wrong[:20]))


def _answers(assistant: Assistant, asked: Iterable[Case]) -> Iterator[tuple[Case, str]]:
    """Ask cases a few at a time, in order."""
    under_way: deque[tuple[Case, Turn]] = deque()
    for case in asked:
        under_way.append((case, assistant.submit(case.conversation, OPTIONS)))
        if len(under_way) >= NUM_AT_ONCE:
            yield _answered(*under_way.popleft())
    while under_way:
        yield _answered(*under_way.popleft())


def _answered(case: Case, turn: Turn) -> tuple[Case, str]:
    for event in turn.events():
        if isinstance(event, TurnFinished):
            return case, event.text
        if isinstance(event, TurnFailed):
            return case, f"[failed: {event.message}]"
    raise AssertionError("a turn ends with its last event")


def edit_distance(expected: Sequence[str], words: Sequence[str]) -> int:
    """Fewest insertions, deletions and substitutions from one list of words to the other."""
    row = list(range(len(words) + 1))
    for i, wanted in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, word in enumerate(words, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (wanted != word))
    return row[-1]


def wilson_interval(num_right: int, num: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z = 1.96
    share = num_right / num
    centre = (share + z * z / (2 * num)) / (1 + z * z / num)
    reach = z / (1 + z * z / num) * math.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def markdown_table(record: dict[str, Any]) -> str:
    """The table of the README, from what `--json` wrote."""
    lines = ["| held-out skill | exactly right | 95 % interval | questions |", "|---|---|---|---|"]
    for item in record["scores"]:
        rate = item["word_error_rate"]
        extra = "" if rate is None else f" (word error rate {rate * 100:.1f} %)"
        lines.append(
            f"| {item['skill']}{extra} | {item['exact'] * 100:.1f} % "
            f"| {item['low'] * 100:.1f} to {item['high'] * 100:.1f} | {item['num']} |"
        )
    return "\n".join(lines)


def _line(item: Score) -> str:
    interval = f"{item.low * 100:5.1f} - {item.high * 100:5.1f}"
    rate = item.word_error_rate
    extra = "" if rate is None else f"   WER {rate * 100:.1f} %"
    return f"{item.skill:<32}{item.exact * 100:>6.1f} %   {interval}   {item.num}{extra}"
