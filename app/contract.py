"""What the app needs of an assistant; `core.assistant.Assistant` and the tests' fake both have it.

Leaves out: how a turn is computed (core/).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from core.events import Event
from core.messages import Conversation
from core.router import InputMode
from core.sampling_options import SamplingOptions


class ModelInfoLike(Protocol):
    """The loaded model, as the banner describes it."""

    @property
    def name(self) -> str:
        """What people call the model."""

    @property
    def is_bundled(self) -> bool:
        """True for the small model that comes with Triad."""

    @property
    def about(self) -> str:
        """What the model knows, one or two sentences of Markdown."""

    @property
    def device(self) -> str:
        """Where it runs, e.g. "cpu" or "cuda:0"."""

    @property
    def dtype(self) -> str:
        """What it computes in, e.g. "bfloat16"."""

    @property
    def quantization(self) -> str:
        """How its weights are packed, e.g. "nf4" or "none"."""

    @property
    def num_context_tokens(self) -> int:
        """The longest conversation it can read."""


class TurnLike(Protocol):
    """One turn under way."""

    def aevents(self) -> AsyncIterator[Event]:
        """Its events: route, deltas, then finished or failed."""

    def cancel(self) -> None:
        """Stop within one token; the last event says so. May be called twice."""


class AssistantLike(Protocol):
    """Whoever answers."""

    @property
    def info(self) -> ModelInfoLike:
        """The loaded model."""

    @property
    def is_ready(self) -> bool:
        """False while the model loads."""

    def submit(self, conversation: Conversation, options: SamplingOptions = ...) -> TurnLike:
        """Start a turn and return at once.

        Raises:
            QueueFullError: too many turns are waiting.
            EngineClosedError: the engine is shut down.
        """

    def prepare(self, conversation: Conversation, mode: InputMode | None = ...) -> TurnLike:
        """Work ahead on a turn that is about to come, while nothing else is to be done.

        Args:
            conversation: what is known of it.
            mode: what it will hold, where that is more than it holds now.
        Raises:
            QueueFullError, EngineClosedError: see submit.
        """

    def close(self) -> None:
        """Stop every turn and free the model."""
