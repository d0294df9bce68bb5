"""Slots of keys and values: written in place, counted once, reused."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from core.kv_cache import KVCache
from tests.tiny_checkpoint import tiny_config


@pytest.fixture
def cache() -> KVCache:
    return KVCache(tiny_config(), 3, 10, torch.float32, torch.device("cpu"))


def append(cache: KVCache, row: int, num_tokens: int, value: float) -> torch.Tensor:
    """Append equal keys to every layer of a row; the last layer's view of all keys."""
    new = torch.full((2, num_tokens, 32), value)
    keys = new
    for layer in range(2):
        keys, _ = cache.append(layer, row, new, -new)
    cache.advance(row, num_tokens)
    return keys


def test_a_row_gives_back_all_that_was_appended_in_order(cache: KVCache) -> None:
    append(cache, 1, 3, 1.0)
    keys = append(cache, 1, 2, 2.0)
    assert keys[0, :, 0].tolist() == [1.0, 1.0, 1.0, 2.0, 2.0]
    assert torch.equal(cache.stored(1)[1][1][:, :5], -keys)
    assert [cache.length(row) for row in range(3)] == [0, 5, 0]


def test_appending_moves_no_memory(cache: KVCache) -> None:
    before = [tensor.data_ptr() for tensor in chain(*cache.stored(0))]
    keys = append(cache, 0, 4, 1.0)
    assert [tensor.data_ptr() for tensor in chain(*cache.stored(0))] == before
    assert keys.data_ptr() == cache.stored(0)[0][1].data_ptr()


def test_rows_do_not_touch_one_another(cache: KVCache) -> None:
    append(cache, 0, 4, 1.0)
    append(cache, 2, 4, 3.0)
    append(cache, 1, 4, 2.0)
    assert [float(cache.stored(row)[0][0][0, 3, 0]) for row in range(3)] == [1.0, 2.0, 3.0]


def test_a_truncated_row_goes_on_behind_what_is_kept(cache: KVCache) -> None:
    append(cache, 0, 6, 1.0)
    cache.truncate(0, 2)
    keys = append(cache, 0, 1, 5.0)
    assert keys[0, :, 0].tolist() == [1.0, 1.0, 5.0]


def test_clearing_a_row_begins_a_sequence_under_a_regime(cache: KVCache) -> None:
    append(cache, 0, 6, 1.0)
    cache.clear(0, "long")
    assert (cache.length(0), cache.regime(0)) == (0, "long")
    append(cache, 0, 6, 1.0)
    cache.truncate(0, 3)
    assert cache.regime(0) == "long"
    cache.clear(0)
    assert cache.regime(0) == "short"


def test_a_row_that_is_given_more_room_keeps_what_it_holds(cache: KVCache) -> None:
    append(cache, 0, 6, 1.0)
    cache.reserve(0, 300)
    assert cache.capacity(0) == 512
    keys = append(cache, 0, 290, 2.0)
    assert keys[0, :, 0].tolist() == [1.0] * 6 + [2.0] * 290
    assert torch.equal(cache.stored(0)[1][1][:, :296], -keys)
    before = cache.stored(0)[0][0].data_ptr()
    cache.reserve(0, 512)
    assert cache.stored(0)[0][0].data_ptr() == before, "there is room already"


def test_a_released_row_takes_no_memory(cache: KVCache) -> None:
    append(cache, 0, 6, 1.0)
    cache.release(0)
    assert (cache.capacity(0), cache.length(0)) == (0, 0)
    assert sum(tensor.nbytes for tensor in chain(*cache.stored(0))) == 0
    assert cache.capacity(1) == 10


def test_a_row_begins_with_a_copy_of_another_and_neither_touches_the_other(cache: KVCache) -> None:
    cache.clear(0, "long")
    append(cache, 0, 6, 1.0)
    cache.copy(0, 1, 4)
    assert (cache.length(1), cache.regime(1)) == (4, "long")
    assert append(cache, 1, 2, 2.0)[0, :, 0].tolist() == [1.0] * 4 + [2.0] * 2
    assert append(cache, 0, 1, 3.0)[0, :, 0].tolist() == [1.0] * 6 + [3.0]


def test_a_token_takes_what_its_tensors_say(cache: KVCache) -> None:
    taken = sum(tensor.nbytes for tensor in chain(*cache.stored(0)))
    assert cache.token_bytes == taken / 10


def test_misuse_is_caught(cache: KVCache) -> None:
    append(cache, 0, 6, 1.0)
    with pytest.raises(AssertionError, match="only be shortened"):
        cache.truncate(0, 7)
    with pytest.raises(AssertionError, match="full"):
        cache.advance(0, 5)
