"""How fast turns are: to the first token, by stage, and after it; alone and side by side.

Everything goes through the engine, as a person's turn does. Leaves out: loading (loading.py) and
other engines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from core.engine import Engine, EngineOptions
from core.events import TextDelta, TurnFailed, TurnFinished
from core.messages import Conversation, Message, TextPart
from core.model import Model
from core.processor import Processor
from core.router import ROUTES, route
from core.sampling_options import SamplingOptions
from core.stats import TurnStats
from core.turn import Turn
from tests.benchmarks.cases import (
    NUM_REPLY_TOKENS,
    Case,
    cases,
    long_text,
    picture,
    reply,
    said,
    sound,
)

GREEDY: Final = SamplingOptions(max_new_tokens=NUM_REPLY_TOKENS)
NOTHING_KEPT: Final = EngineOptions(num_kept_rows=0, drafts=False)
COPIED: Final = "The old farmer sells three red apples to the young teacher near the big house."


@dataclass(frozen=True)
class Loaded:
    """A model and its processor, on which one engine at a time is started."""

    model: Model
    processor: Processor

    @contextmanager
    def engine(self, options: EngineOptions) -> Iterator[Engine]:
        """An engine with nothing in its cache."""
        engine = Engine(self.model, self.processor, options)
        try:
            yield engine
        finally:
            engine.close()


@dataclass(frozen=True)
class Answer:
    """One turn as it was seen from outside.

    Args:
        stats: what the engine says of it.
        gaps_ms: between one piece of the reply and the next.
    """

    stats: TurnStats
    gaps_ms: tuple[float, ...]


def answered(turn: Turn) -> Answer:
    """Wait for a turn.

    Raises:
        RuntimeError: it failed; the sentence is the turn's.
    """
    moments: list[float] = []
    for event in turn.events():
        if isinstance(event, TextDelta):
            moments.append(time.perf_counter())
        if isinstance(event, TurnFailed):
            raise RuntimeError(event.message)
        if isinstance(event, TurnFinished):
            gaps = tuple(1e3 * (later - earlier) for earlier, later in pairwise(moments))
            return Answer(event.stats, gaps)
    raise AssertionError("a turn without an end")


def ask(engine: Engine, conversation: Conversation, options: SamplingOptions = GREEDY) -> Answer:
    """Submit a turn and wait for it."""
    return answered(engine.submit(conversation, options))


def routes(loaded: Loaded, num_runs: int) -> list[dict[str, Any]]:
    """Each route's turn, new every time, in turns; the first run is a warm-up."""
    asked = cases()
    answers: dict[str, list[Answer]] = {case.name: [] for case in asked}
    with loaded.engine(NOTHING_KEPT) as engine:
        for run in range(num_runs + 1):
            for case in asked:
                answer = ask(engine, case.conversation)
                if run > 0:
                    answers[case.name].append(answer)
    return [_route(case, answers[case.name]) for case in asked]


def _route(case: Case, answers: Sequence[Answer]) -> dict[str, Any]:
    def middle(figure: Callable[[TurnStats], float]) -> float:
        return round(statistics.median(figure(answer.stats) for answer in answers), 2)

    gaps = sorted(gap for answer in answers for gap in answer.gaps_ms) or [0.0]
    return {
        "name": case.name,
        "num_prompt_tokens": answers[0].stats.num_prompt_tokens,
        "num_reply_tokens": answers[0].stats.num_reply_tokens,
        "first_token_ms": middle(lambda stats: stats.time_to_first_token_ms),
        "inputs_ms": middle(lambda stats: stats.inputs_ms),
        "encode_ms": middle(lambda stats: stats.encode_ms),
        "prefill_ms": middle(lambda stats: stats.prefill_ms),
        "tokens_per_s": middle(lambda stats: stats.tokens_per_s),
        "read_gb_per_s": middle(lambda stats: stats.read_gb_per_s),
        "token_ms_p50": round(gaps[len(gaps) // 2], 2),
        "token_ms_p95": round(gaps[int(0.95 * (len(gaps) - 1))], 2),
    }


def prefill(loaded: Loaded, num_words: Sequence[int], num_runs: int) -> list[dict[str, Any]]:
    """Tokens a second of long prompts of text."""
    first_only = replace(GREEDY, max_new_tokens=1)
    figures = []
    with loaded.engine(NOTHING_KEPT) as engine:
        for num in num_words:
            answers = [ask(engine, long_text(num), first_only) for _ in range(num_runs + 1)][1:]
            num_tokens = answers[0].stats.num_prompt_tokens
            taken_ms = statistics.median(answer.stats.prefill_ms for answer in answers)
            speed = round(1e3 * num_tokens / taken_ms, 1)
            figures.append({"num_tokens": num_tokens, "tokens_per_s": speed})
    return figures


def side_by_side(loaded: Loaded, num_runs: int) -> dict[str, float]:
    """Tokens a second of one turn of each route, decoded together and one after the other."""
    conversations = [case.conversation for case in cases()]
    speeds: dict[str, list[float]] = {"together": [], "in_turn": []}
    with loaded.engine(EngineOptions(max_rows=4, num_kept_rows=8, drafts=False)) as engine:
        for conversation in conversations:
            ask(engine, conversation)  # from now on only decoding takes time
        for _ in range(num_runs):
            for kind, kept in speeds.items():
                begun = time.perf_counter()
                if kind == "together":
                    turns = [engine.submit(each, GREEDY) for each in conversations]
                    answers = [answered(turn) for turn in turns]
                else:
                    answers = [ask(engine, each) for each in conversations]
                num_tokens = sum(answer.stats.num_reply_tokens for answer in answers)
                kept.append(num_tokens / (time.perf_counter() - begun))
    together, in_turn = (statistics.median(kept) for kept in speeds.values())
    return {
        "together_tokens_per_s": round(together, 1),
        "in_turn_tokens_per_s": round(in_turn, 1),
        "ratio": round(together / in_turn, 2),
    }


def ahead(loaded: Loaded, num_runs: int) -> list[dict[str, Any]]:
    """Time to the first token with what is known already fed ahead of time, and without."""
    history = Conversation((*long_text(100).messages, reply("I see.")))
    shown = Conversation((said(picture()),))
    kinds = {
        "a question after a long chat": (history, _then(history, said(TextPart("And now?")))),
        "a spoken question after it": (history, _then(history, said(sound(3.0)))),
        "a spoken question on a picture": (shown, Conversation((said(picture(), sound(3.0)),))),
    }
    first_only = replace(GREEDY, max_new_tokens=1)
    figures = []
    for name, (known, whole) in kinds.items():
        mode = next(mode for mode, each in ROUTES.items() if each == route(whole))
        times: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(num_runs + 1):
            for kind, kept in times.items():
                loaded.model.forget_media()
                with loaded.engine(replace(NOTHING_KEPT, num_kept_rows=4)) as engine:
                    if kind == "with":
                        answered(engine.prepare(known, mode))
                    stats = ask(engine, whole, first_only).stats
                    kept.append(stats.time_to_first_token_ms)
        without, with_ = (statistics.median(kept[1:]) for kept in times.values())
        figures.append({"name": name, "without_ms": round(without, 1), "with_ms": round(with_, 1)})
    return figures


def _then(before: Conversation, message: Message) -> Conversation:
    return Conversation((*before.messages, message))


def drafts(loaded: Loaded, num_runs: int) -> list[dict[str, Any]]:
    """Speed of decoding with drafts over that without: where text is copied, and elsewhere."""
    copying = Conversation((said(TextPart(f"Repeat: {COPIED}")),))
    predicted = replace(GREEDY, prediction=COPIED)
    kinds = {
        "a text that is repeated": (copying, GREEDY),
        "a text that is predicted": (copying, predicted),
        **{case.name: (case.conversation, GREEDY) for case in cases()},
    }
    times: dict[str, dict[bool, list[float]]] = {name: {False: [], True: []} for name in kinds}
    taken: dict[str, int] = {}
    for is_on in (False, True) * num_runs:
        with loaded.engine(replace(NOTHING_KEPT, drafts=is_on)) as engine:
            for name, (conversation, options) in kinds.items():
                for _ in range(2):  # the first one warms up, and learns what a pass costs
                    stats = ask(engine, conversation, options).stats
                times[name][is_on].append(stats.decode_ms)
                taken[name] = stats.num_drafts_taken
    return [
        {
            "name": name,
            "num_drafts_taken": taken[name],
            "speed_up": round(
                statistics.median(kept[False]) / max(statistics.median(kept[True]), 1e-9), 2
            ),
        }
        for name, kept in times.items()
    ]
