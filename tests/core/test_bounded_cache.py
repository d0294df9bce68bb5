"""What was computed is kept within its bytes; what was unused for longest goes first."""

from __future__ import annotations

from core.bounded_cache import BoundedCache


def made(cache: BoundedCache[str], *values: str) -> list[str]:
    """Ask for values under themselves; those that had to be made."""
    new: list[str] = []

    def make(value: str) -> str:
        new.append(value)
        return value

    for value in values:
        assert cache.get(value, lambda value=value: make(value)) == value  # type: ignore[misc]
    return new


def test_a_value_is_made_once() -> None:
    assert made(BoundedCache(9, len), "one", "two", "one") == ["one", "two"]


def test_what_was_unused_for_longest_makes_room() -> None:
    cache = BoundedCache[str](9, len)
    assert made(cache, "one", "two", "six") == ["one", "two", "six"]
    assert made(cache, "one", "ten") == ["ten"]
    assert made(cache, "one", "six", "two") == ["two"]
    assert cache.num_bytes == 9


def test_what_is_forgotten_is_made_anew() -> None:
    cache = BoundedCache[str](9, len)
    made(cache, "one", "two")
    cache.clear()
    assert cache.num_bytes == 0
    assert made(cache, "one") == ["one"]


def test_a_value_that_is_too_large_is_given_and_not_kept() -> None:
    cache = BoundedCache[str](3, len)
    assert made(cache, "one", "three", "three", "one") == ["one", "three", "three"]
    assert cache.num_bytes == 3
