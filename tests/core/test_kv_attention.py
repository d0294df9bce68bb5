"""What new tokens find in a row: the same by either way of multiplying."""

from __future__ import annotations

import pytest
import torch

from core import kv_cache
from core.kv_cache import KVCache
from tests.tiny_checkpoint import tiny_config


@pytest.mark.parametrize("num_new", [1, 3])
def test_heads_side_by_side_find_what_each_finds_alone(
    num_new: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config()
    num_heads, num_kv_heads = config.num_attention_heads, config.num_key_value_heads
    assert num_heads > num_kv_heads > 1
    head_dim = config.hidden_size // num_heads
    torch.manual_seed(0)
    queries = torch.randn(num_heads, num_new, head_dim)
    past_keys, past_values, keys, values = torch.randn(4, num_kv_heads, 5, head_dim).unbind(0)
    mask = None if num_new == 1 else torch.ones(num_new, 5 + num_new, dtype=torch.bool).tril(5)
    found = []
    for most in (32, 0):
        monkeypatch.setattr(kv_cache, "MAX_GROUPED_TOKENS", most)
        cache = KVCache(config, 1, 10, torch.float32, torch.device("cpu"))
        cache.append(0, 0, past_keys, past_values)
        cache.advance(0, 5)
        new = keys[:, :num_new], values[:, :num_new]
        found.append(cache.attend(0, 0, queries, *new, mask))
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert float((found[0][0] - found[0][-1]).abs().max()) > 0.1
