"""A turn's events from any thread and any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from core.events import Event, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.router import ROUTES, InputMode
from core.stats import TurnStats
from core.turn import Turn

EVENTS: tuple[Event, ...] = (
    RouteSelected(ROUTES[InputMode.SPEECH]),
    *(TextDelta(f"word {i} ") for i in range(200)),
    TurnFinished("all words", "stop", TurnStats()),
)
FAILED = TurnFailed("The picture is broken: attach another.", True)


def told(turn: Turn, events: Sequence[Event]) -> None:
    """What the engine does."""
    for event in events:
        turn.emit(event)


async def gathered(turn: Turn) -> list[Event]:
    """What an event loop's reader gets."""
    return [event async for event in turn.aevents()]


def test_readers_in_threads_and_loops_each_get_every_event_in_order() -> None:
    turn, half = Turn(), len(EVENTS) // 2
    with ThreadPoolExecutor(6) as pool:
        readers: list[Future[list[Event]]] = []
        for _ in range(3):
            readers.append(pool.submit(lambda: list(turn.events())))
            readers.append(pool.submit(lambda: asyncio.run(gathered(turn))))
        told(turn, EVENTS[:half])
        told(turn, EVENTS[half:])
        for reader in readers:
            assert reader.result(timeout=60) == list(EVENTS)
    assert turn.is_over


def test_two_readers_of_one_loop_each_get_every_event() -> None:
    turn = Turn()

    async def both() -> list[list[Event]]:
        engine = threading.Thread(target=told, args=(turn, EVENTS))
        engine.start()
        first, second = gathered(turn), gathered(turn)
        return list(await asyncio.wait_for(asyncio.gather(first, second), 60))

    assert asyncio.run(both()) == [list(EVENTS)] * 2


def test_a_loop_goes_on_while_its_reader_waits() -> None:
    turn = Turn()

    async def scene() -> list[Event]:
        reader = asyncio.create_task(gathered(turn))
        for event in EVENTS:  # emitted by the very loop that the reader waits in
            await asyncio.sleep(0)
            turn.emit(event)
        return await asyncio.wait_for(reader, 60)

    assert asyncio.run(scene()) == list(EVENTS)


def test_a_reader_that_comes_late_gets_everything() -> None:
    turn = Turn()
    told(turn, EVENTS)
    assert list(turn.events()) == list(EVENTS) == list(turn.events())
    assert asyncio.run(gathered(turn)) == list(EVENTS)


@pytest.mark.parametrize("last", [EVENTS[-1], FAILED])
def test_reading_ends_with_the_last_event(last: Event) -> None:
    turn = Turn()
    was_over = []
    for event in (EVENTS[0], last):
        turn.emit(event)
        was_over.append(turn.is_over)
    assert was_over == [False, True]
    assert list(turn.events()) == [EVENTS[0], last]


def test_nothing_is_told_after_the_last_event() -> None:
    turn = Turn()
    turn.emit(FAILED)
    with pytest.raises(AssertionError):
        turn.emit(TextDelta("more"))


def test_a_reader_that_leaves_and_takes_its_loop_along_disturbs_nobody() -> None:
    turn = Turn()

    async def read_one() -> Event:
        return await anext(turn.aevents())

    turn.emit(EVENTS[0])
    assert asyncio.run(read_one()) == EVENTS[0]
    told(turn, EVENTS[1:])
    assert list(turn.events()) == list(EVENTS)


def test_a_loop_that_closes_in_the_middle_of_an_event_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = Turn()

    async def scene() -> None:
        reader = asyncio.create_task(gathered(turn))
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        # As if it closed right after it was asked.
        monkeypatch.setattr(loop, "is_closed", lambda: False)
        reader.cancel()

    asyncio.run(scene())
    told(turn, EVENTS)
    assert turn.is_over


def test_cancelling_again_or_too_late_does_nothing() -> None:
    turn = Turn()
    was_cancelled = [turn.is_cancelled]
    for _ in range(2):
        turn.cancel()
        was_cancelled.append(turn.is_cancelled)
    assert was_cancelled == [False, True, True]
    told(turn, EVENTS)
    turn.cancel()
    assert list(turn.events()) == list(EVENTS)
