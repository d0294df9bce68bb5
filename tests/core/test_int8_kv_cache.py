"""The int8 cache: half the memory, nearly the same logits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.config import ModelOptions
from core.errors import BadOptionError
from core.int8_kv_cache import Int8KVCache
from core.kv_cache import KVCache
from core.model import Model
from tests.tiny_checkpoint import tiny_config

CPU = torch.device("cpu")


def test_a_token_takes_half_and_a_scale_a_head() -> None:
    config = tiny_config()
    cache = Int8KVCache(config, 1, 10, torch.bfloat16, CPU)
    taken = sum(layer.nbytes for kind in cache.stored(0) for layer in kind)
    scales = 2 * config.num_hidden_layers * config.num_key_value_heads * 4
    assert cache.token_bytes == taken / 10
    plain = KVCache(config, 1, 10, torch.bfloat16, CPU)
    assert cache.token_bytes - scales == plain.token_bytes / 2


def test_a_prompt_in_chunks_and_a_copied_row_say_what_one_prompt_says(model: Model) -> None:
    ids = torch.arange(5, 35)[None]
    cache = Int8KVCache(model.config, 3, 40, model.dtype, model.device)
    whole = fed(model, cache, 0, ids)
    fed(model, cache, 1, ids[:, :20])
    cache.copy(1, 2, 20)
    for row in (1, 2):
        assert torch.allclose(fed(model, cache, row, ids[:, 20:]), whole, atol=1e-4)


def test_a_model_that_is_asked_for_it_uses_it_and_says_nearly_the_same(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.arange(5, 35)[None]
    plain = fed(model, model.new_kv_cache(1, 40), 0, ids)
    monkeypatch.setattr(model, "options", replace(model.options, kv_cache="int8"))
    cache = model.new_kv_cache(1, 40)
    assert isinstance(cache, Int8KVCache)
    rounded = fed(model, cache, 0, ids)
    assert 0 < float((rounded - plain).abs().max()) < 0.03 * float(plain.abs().max())


def test_an_unknown_kind_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadOptionError, match="kv_cache is 'int3': choose one of auto, int8"):
        ModelOptions(kv_cache="int3")  # type: ignore[arg-type]


def fed(model: Model, cache: KVCache, row: int, ids: torch.Tensor) -> torch.Tensor:
    """The logits after feeding a row."""
    return model.forward(model.embed_token_ids(ids[0])[None], cache, [row], [None])
