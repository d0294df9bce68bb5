"""Rows are given out, kept and found again; memory goes to what was used last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from core.kv_cache import GRAIN_TOKENS, KVCache
from core.kv_rows import MIN_SHARED_TOKENS, Kept, KvRows, Place, Prefix
from core.rope import RopeRegime
from core.router import ROUTES, InputMode, Route
from tests.tiny_checkpoint import tiny_config

TEXT, VISION = ROUTES[InputMode.LANGUAGE], ROUTES[InputMode.VISION]
STORY = list(range(100, 140))  # 40 tokens
ROOM = 200
LOGITS = torch.arange(5.0)


def prefix(keys: Sequence[int], route: Route = TEXT, regime: RopeRegime = "short") -> Prefix:
    return Prefix(np.array(keys, dtype=np.int64), route, regime)


def new_rows(num_rows: int = 4, budget_tokens: int = 10_000, keeps: bool = True) -> KvRows:
    cache = KVCache(tiny_config(), num_rows, 0, torch.float32, torch.device("cpu"))
    return KvRows(cache, budget_tokens * cache.token_bytes, keeps)


def feed(rows: KvRows, row: int, keys: Sequence[int]) -> None:
    """Append a token for each key, with keys and values that say which it was."""
    cache = rows.cache
    for layer in range(2):
        new = torch.tensor(keys, dtype=torch.float32)[None, :, None].expand(2, -1, 32)
        cache.append(layer, row, new, -new)
    cache.advance(row, len(keys))


def fed(rows: KvRows, row: int) -> list[float]:
    """Which tokens a row holds, from its last layer."""
    return rows.cache.stored(row)[0][1][0, : rows.cache.length(row), 0].tolist()


def taken(rows: KvRows, prompt: Prefix, room: int = ROOM) -> Place:
    place = rows.take(prompt, room)
    assert place is not None
    return place


def turn(
    rows: KvRows, prompt: Sequence[int], reply: Sequence[int] = (), route: Route = TEXT
) -> Place:
    """A whole turn: take a row, feed what is new, give it back."""
    place = taken(rows, prefix(prompt, route))
    feed(rows, place.row, [*prompt[place.num_reused :], *reply])
    held = prefix([*prompt, *reply], route)
    rows.give_back(place.row, Kept(held, len(prompt), LOGITS))
    return place


def test_a_follow_up_feeds_only_what_is_new() -> None:
    rows = new_rows()
    first = turn(rows, STORY, [1, 2])
    place = taken(rows, prefix([*STORY, 1, 2, 50, 51]))
    assert place == Place(first.row, 42)
    assert fed(rows, place.row) == [*STORY, 1, 2]


def test_the_same_prompt_again_feeds_nothing_and_has_its_logits() -> None:
    rows = new_rows()
    first = turn(rows, STORY, [1, 2])
    place = taken(rows, prefix(STORY))
    assert (place.row, place.num_reused) == (first.row, 40)
    assert place.logits is LOGITS
    assert rows.cache.length(place.row) == 40


def test_a_prompt_that_ends_within_what_is_kept_feeds_its_last_token() -> None:
    rows = new_rows()
    turn(rows, STORY)
    assert taken(rows, prefix(STORY[:30])) == Place(0, 29)


@pytest.mark.parametrize(
    "other",
    [prefix(STORY, VISION), prefix(STORY, regime="long"), prefix([1, *STORY])],
    ids=["route", "regime", "beginning"],
)
def test_another_route_regime_or_beginning_reuses_nothing(other: Prefix) -> None:
    rows = new_rows()
    turn(rows, STORY)
    place = taken(rows, other)
    assert place == Place(1)
    assert (rows.cache.length(1), rows.cache.regime(1)) == (0, other.regime)


@pytest.mark.parametrize(
    ("num_shared", "num_reused"), [(MIN_SHARED_TOKENS - 1, 0), (MIN_SHARED_TOKENS, 4)]
)
def test_a_beginning_that_is_shared_by_chance_is_not_reused(
    num_shared: int, num_reused: int
) -> None:
    rows = new_rows()
    turn(rows, STORY)
    assert taken(rows, prefix([*STORY[:num_shared], *range(30)])) == Place(1, num_reused)


def test_a_shared_beginning_is_copied_where_the_other_conversation_would_lose_most() -> None:
    rows = new_rows()
    long = [*STORY, *range(41)]
    turn(rows, long)
    place = taken(rows, prefix([*STORY, 500]))
    assert place == Place(1, 40)
    assert fed(rows, 1) == STORY
    assert fed(rows, 0) == long
    feed(rows, 1, [500])
    assert fed(rows, 0) == long
    assert taken(rows, prefix([*long, 501])) == Place(0, len(long))


def test_the_most_alike_of_several_is_taken() -> None:
    rows = new_rows()
    turn(rows, STORY[:20])
    turn(rows, [*STORY[:8], *range(20)])
    turn(rows, STORY[:30], route=VISION)
    assert taken(rows, prefix(STORY)).num_reused == 20


def test_a_row_under_way_is_nobody_elses() -> None:
    rows = new_rows()
    feed(rows, taken(rows, prefix(STORY)).row, STORY)
    assert taken(rows, prefix(STORY)) == Place(1)


def test_what_was_unused_for_longest_gives_its_row_when_there_is_no_other() -> None:
    rows = new_rows(num_rows=2)
    turn(rows, STORY)
    turn(rows, range(30))
    turn(rows, [*STORY, 1])  # used again
    assert taken(rows, prefix(range(200, 230))).row == 1
    assert taken(rows, prefix([*STORY, 1, 2])) == Place(0, 41)


def test_kept_rows_make_room_for_turns_within_the_budget() -> None:
    rows = new_rows(budget_tokens=2 * GRAIN_TOKENS)
    turn(rows, STORY)
    turn(rows, range(30))
    assert rows.num_bytes == 2 * GRAIN_TOKENS * rows.cache.token_bytes
    assert taken(rows, prefix(range(200, 230))) == Place(2)
    assert rows.cache.capacity(0) == 0, "the one unused for longest is gone"
    assert taken(rows, prefix(range(30))).num_reused == 30


def test_a_turn_waits_where_those_under_way_take_all_memory_and_nothing_is_lost() -> None:
    rows = new_rows(budget_tokens=2 * GRAIN_TOKENS)
    turn(rows, range(30))
    busy = taken(rows, prefix(STORY))
    assert rows.take(prefix(range(200, 230)), 2 * GRAIN_TOKENS) is None
    assert rows.cache.length(0) == 30, "what is kept stays"
    feed(rows, busy.row, STORY)
    rows.give_back(busy.row, Kept(prefix(STORY)))
    assert taken(rows, prefix(range(200, 230)), 2 * GRAIN_TOKENS).num_reused == 0
    assert rows.num_bytes == 2 * GRAIN_TOKENS * rows.cache.token_bytes


@pytest.mark.parametrize("old", [GRAIN_TOKENS, 8 * GRAIN_TOKENS])
def test_a_row_that_is_taken_over_has_the_memory_its_turn_wants(
    old: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = new_rows(num_rows=1)
    place = taken(rows, prefix(STORY), old)
    feed(rows, place.row, STORY)
    rows.give_back(place.row, Kept(prefix(STORY)))
    held: list[int] = []
    real = rows.cache.reserve

    def reserve(row: int, num_tokens: int) -> None:
        held.append(rows.cache.capacity(row))
        real(row, num_tokens)

    monkeypatch.setattr(rows.cache, "reserve", reserve)
    taken(rows, prefix(range(200, 230)), 3 * GRAIN_TOKENS)
    assert rows.cache.capacity(0) == 3 * GRAIN_TOKENS
    assert held == [0], "nothing is held beside it meanwhile"


def test_one_turn_alone_may_take_more_than_the_budget() -> None:
    rows = new_rows(budget_tokens=GRAIN_TOKENS)
    assert taken(rows, prefix(STORY), 5 * GRAIN_TOKENS) == Place(0)


def test_memory_that_runs_out_is_taken_from_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = new_rows()
    turn(rows, STORY)
    real, errors = rows.cache.reserve, [MemoryError()]

    def reserve(row: int, num_tokens: int) -> None:
        if errors:
            raise errors.pop()
        real(row, num_tokens)

    monkeypatch.setattr(rows.cache, "reserve", reserve)
    assert taken(rows, prefix(range(30))) == Place(1)
    assert rows.cache.capacity(0) == 0
    errors += [MemoryError(), MemoryError()]
    with pytest.raises(MemoryError):
        rows.take(prefix(range(200, 230)), ROOM)
    assert taken(rows, prefix(range(200, 230))) == Place(0), "nothing was taken"


def test_a_row_that_failed_or_keeps_nothing_is_empty_again() -> None:
    rows = new_rows()
    row = taken(rows, prefix(STORY)).row
    feed(rows, row, STORY)
    rows.drop(row)
    assert taken(rows, prefix(STORY)) == Place(row)
    forgetful = new_rows(keeps=False)
    turn(forgetful, STORY)
    assert forgetful.num_bytes == 0
    assert taken(forgetful, prefix(STORY)) == Place(0)
