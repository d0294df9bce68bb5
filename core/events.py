"""What a turn tells its listeners, in this order: route, deltas, then finished or failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.router import Route
from core.stats import TurnStats

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True)
class RouteSelected:
    """The first event of every turn that is begun: which adapter answers."""

    route: Route


@dataclass(frozen=True)
class TextDelta:
    """The next piece of the reply: whole characters, never half of one."""

    text: str


@dataclass(frozen=True)
class TurnFinished:
    """The last event of a turn that was answered.

    Args:
        text: the whole reply.
        finish_reason: "stop" the model ended it, "length" it ran into a limit,
            "cancelled" somebody stopped it.
        stats: what it cost.
    """

    text: str
    finish_reason: FinishReason
    stats: TurnStats


@dataclass(frozen=True)
class TurnFailed:
    """The last event of a turn that could not be answered.

    Args:
        message: one sentence for people: what is wrong and what to do.
        is_bad_input: True when the request was at fault, False when we were.
    """

    message: str
    is_bad_input: bool


Event = RouteSelected | TextDelta | TurnFinished | TurnFailed
