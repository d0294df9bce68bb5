"""What is made once: by the first who asks, whoever asks meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import sleep

import pytest

from core.once import once


def test_many_threads_that_ask_at_once_get_the_same() -> None:
    made: list[int] = []
    barrier = Barrier(8)

    @once
    def make(number: int) -> list[int]:
        sleep(0.05)
        made.append(number)
        return [number]

    def ask(number: int) -> list[int]:
        barrier.wait()
        return make(number % 2)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert sorted(made) == [0, 1]
    assert len({id(each) for each in found}) == 2
    assert [each[0] for each in found] == [0, 1] * 4


def test_what_failed_is_tried_again() -> None:
    tries: list[int] = []

    @once
    def make() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 7

    with pytest.raises(ValueError, match="not yet"):
        make()
    assert (make(), make(), len(tries)) == (7, 7, 2)
