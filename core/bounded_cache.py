"""A store of what was computed, bounded in bytes: what was unused for longest goes first.

Leaves out: computing it. Not for several threads at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Values by key.

    Args:
        max_bytes: of all values together.
        num_bytes: what a value takes.
    """

    def __init__(self, max_bytes: int, num_bytes: Callable[[Value], int]) -> None:
        self._max_bytes = max_bytes
        self._num_bytes_of = num_bytes
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self.num_bytes = 0

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value under a key, made where it is not there; one that is too large is not kept."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        value = make()
        num_bytes = self._num_bytes_of(value)
        if num_bytes <= self._max_bytes:
            self._values[key] = value
            self.num_bytes += num_bytes
        while self.num_bytes > self._max_bytes:
            _, oldest = self._values.popitem(last=False)
            self.num_bytes -= self._num_bytes_of(oldest)
        return value

    def clear(self) -> None:
        """Forget every value."""
        self._values.clear()
        self.num_bytes = 0
