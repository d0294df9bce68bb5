"""One token looks at a long row: what PyTorch's attention finds, read once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from core import kv_cache, one_token_attention
from core.int8_kv_cache import Int8KVCache
from core.kv_cache import KVCache
from core.one_token_attention import attend_to_all, is_for_one_token
from tests.tiny_checkpoint import tiny_config

CPU = torch.device("cpu")


def random_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))).bfloat16()


@pytest.mark.parametrize("num_keys", [1, 2, 63, 200])
@pytest.mark.parametrize(("num_kv_heads", "group", "width"), [(8, 3, 128), (2, 4, 32), (3, 1, 72)])
@pytest.mark.parametrize(("is_split", "num_threads"), [(False, 2), (True, 1), (True, 2), (True, 5)])
def test_a_token_finds_what_exact_attention_finds(
    num_keys: int,
    num_kv_heads: int,
    group: int,
    width: int,
    is_split: bool,
    num_threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(one_token_attention, "SPLIT_NUMBERS", 0 if is_split else 2**40)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_threads)
    queries = random_numbers(num_kv_heads * group, 1, width)
    keys, values = random_numbers(2, num_kv_heads, 256, width).unbind(0)
    keys[:, num_keys:] = values[:, num_keys:] = float("nan")  # nobody has written there
    found = attend_to_all(queries, keys, values, num_keys)
    assert (found.dtype, found.shape) == (torch.bfloat16, queries.shape)
    expected = F.scaled_dot_product_attention(
        queries[None].double(),
        keys[None, :, :num_keys].double(),
        values[None, :, :num_keys].double(),
        enable_gqa=True,
    )[0]
    assert (found - expected).abs().max() < 0.01 * expected.abs().max()


def test_numbers_that_are_large_or_one_sided_do_not_overflow() -> None:
    queries, keys, values = (random_numbers(num, 64, 128) for num in (24, 8, 8))
    keys[:, 5] = 30 * queries[::3, 0]
    found = attend_to_all(30 * queries[:, :1], keys, values, 64)
    assert torch.isfinite(found).all()
    assert torch.allclose(found[::3, 0].float(), values[:, 5].float(), atol=0.02)


@pytest.mark.parametrize("make", [KVCache, Int8KVCache])
def test_a_cache_finds_the_same_with_it_and_without(
    make: type[KVCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config()
    num_heads, num_kv_heads = config.num_attention_heads, config.num_key_value_heads
    width = config.hidden_size // num_heads
    past, queries = random_numbers(2, num_kv_heads, 41, width), random_numbers(num_heads, 1, width)
    found, asked = [], []

    def attend(*given: Any) -> torch.Tensor:
        asked.append(given[-1])
        return attend_to_all(*given)

    monkeypatch.setattr(kv_cache, "attend_to_all", attend)
    for least in (0, 2**40):
        monkeypatch.setattr(one_token_attention, "LEAST_NUMBERS", least)
        cache = make(config, 2, 50, torch.bfloat16, CPU)
        cache.append(1, 1, past[0, :, :40], past[1, :, :40])
        cache.advance(1, 40)
        found.append(cache.attend(1, 1, queries, past[0, :, 40:], past[1, :, 40:], None).float())
    assert (found[0] - found[1]).abs().max() < 0.02
    assert asked == [41] * (make is KVCache)


def test_only_one_token_of_a_long_row_in_bfloat16_is_looked_at_so() -> None:
    queries, keys = random_numbers(24, 1, 128), random_numbers(8, 512, 128)
    assert is_for_one_token(queries, keys, 256)
    assert not is_for_one_token(queries, keys, 255)
    assert not is_for_one_token(random_numbers(24, 2, 128), keys, 256)
    assert not is_for_one_token(queries.float(), keys.float(), 256)
    assert not is_for_one_token(queries.to("meta"), keys.to("meta"), 256)
