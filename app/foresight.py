"""Work ahead while somebody writes or speaks: what is there already is read by the model.

An attached picture is encoded and a chat's history fed before the message is sent, so that its
first token comes sooner. Leaves out: the work itself, which is the engine's (core/engine.py).
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from app.history import History
from app.media import in_turn_order, part_from_file
from app.turns import RunningTurns
from core.errors import BadMediaError
from core.messages import AudioPart, ImagePart, Part
from core.router import InputMode


class Foresight:
    """What the page's events ask for; the browser's ids come first, as in every handler.

    Args:
        history: what was said before.
        turns: has the work done.
    """

    def __init__(self, history: History, turns: RunningTurns) -> None:
        self._history = history
        self._turns = turns

    async def writing(self, owner: str, chat: str, box: dict[str, Any]) -> None:
        """Somebody begins to write, or has attached something."""
        await self._turns.prepare(chat, await _attached(box))

    async def speech(self, owner: str, chat: str, box: dict[str, Any]) -> None:
        """Somebody begins to speak: there will be a sound in the chat."""
        parts = await _attached(box)
        messages = await asyncio.to_thread(self._history.messages, chat)
        shown = [*parts, *(part for stored in messages for part in stored.message.parts)]
        has_picture = any(isinstance(part, ImagePart) for part in shown)
        mode = InputMode.VISION_SPEECH if has_picture else InputMode.SPEECH
        await self._turns.prepare(chat, parts, mode)


async def _attached(box: dict[str, Any]) -> tuple[Part, ...]:
    """What is attached to the message, but for what cannot be used: that is said later."""
    media: list[ImagePart | AudioPart] = []
    for path in box["files"]:
        with contextlib.suppress(BadMediaError):
            media.append(await asyncio.to_thread(part_from_file, Path(path)))
    return in_turn_order(media, "")
