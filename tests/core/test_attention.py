"""Attention of many queries: the same as PyTorch's, from all layouts and with all masks."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import pytest
import torch
import torch.nn.functional as F

from core import attention, kv_cache, loader, openmp, vector_code
from core.attention import attend, is_quick
from core.config import ModelOptions
from core.instructions import NEEDED, can_run_loops
from core.model import Model
from core.router import InputMode
from tests.core.reference import prompt

needs_instructions = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")


def random_heads(batch: int, heads: int, tokens: int, width: int, seed: int = 0) -> torch.Tensor:
    """As projections give them: (batch, heads, tokens, width), of which heads lie side by side."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(batch, tokens, heads, width, generator=generator)
    return numbers.bfloat16().transpose(1, 2)


def exact(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:
    return F.scaled_dot_product_attention(
        queries.float(), keys.float(), values.float(), attn_mask=mask, enable_gqa=True
    )


def error(mixed: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((mixed.float() - wanted).norm() / wanted.norm())


@needs_instructions
@pytest.mark.parametrize("width", [8, 24, 64, 72, 128])
@pytest.mark.parametrize(("num_queries", "num_keys"), [(1, 1), (5, 5), (33, 64), (70, 97)])
@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("is_causal", [True, False])
def test_it_is_what_pytorch_computes(
    width: int, num_queries: int, num_keys: int, num_kv_heads: int, is_causal: bool
) -> None:
    queries = random_heads(2, 4, num_queries, width)
    keys, values = (random_heads(2, num_kv_heads, num_keys, width, seed) for seed in (1, 2))
    before = num_keys - num_queries
    mask = torch.ones(num_queries, num_keys, dtype=torch.bool).tril(before) if is_causal else None
    mixed = attend(queries, keys, values, is_causal=is_causal)
    assert (mixed.shape, mixed.dtype) == (queries.shape, torch.bfloat16)
    assert error(mixed, exact(queries, keys, values, mask)) < 0.004


@needs_instructions
def test_padding_is_not_looked_at() -> None:
    queries, keys, values = (random_heads(2, 3, 50, 72, seed) for seed in range(3))
    is_seen = torch.rand(2, 50, generator=torch.Generator().manual_seed(3)) < 0.5
    keys[1, :, ~is_seen[1]] = 1000.0
    mask = is_seen[:, None, None, :].expand(-1, 1, 50, -1)
    mixed = attend(queries, keys, values, is_seen=is_seen, scale=0.2)
    scaled = queries.float() * 0.2 * 72**0.5
    assert error(mixed, exact(scaled, keys, values, mask)) < 0.004


@needs_instructions
def test_large_scores_and_small_ones_come_out_right() -> None:
    queries, keys, values = (random_heads(1, 2, 40, 64, seed) for seed in range(3))
    for factor in (0.0, 1e-3, 30.0):
        wanted = exact(queries * factor, keys, values, None)
        assert error(attend(queries * factor, keys, values), wanted) < 0.006


@needs_instructions
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_a_query_gets_the_same_whatever_is_beside_it(num_threads: int) -> None:
    queries = random_heads(1, 4, 45, 64)
    keys, values = (random_heads(1, 2, 45, 64, seed) for seed in (1, 2))
    alone = [
        attend(queries[:, :, at : at + 1], keys[:, :, : at + 1], values[:, :, : at + 1])
        for at in range(45)
    ]
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        together = attend(queries, keys, values, is_causal=True)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, torch.cat(alone, 2))


@needs_instructions
def test_numbers_that_lie_apart_are_brought_together() -> None:
    queries, keys, values = (random_heads(1, 2, 40, 128, seed)[..., ::2] for seed in range(3))
    together = attend(queries.contiguous(), keys.contiguous(), values.contiguous())
    assert torch.equal(attend(queries, keys, values), together)


@needs_instructions
def test_only_what_is_large_and_fits_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    heads = random_heads(1, 4, 40, 64)
    assert not is_quick(heads, heads)
    monkeypatch.setattr(attention, "LEAST_SCORES", 4 * 40 * 40)
    assert is_quick(heads, heads)
    assert not is_quick(heads[:, :, :39], heads)
    assert not is_quick(heads.float(), heads.float())
    assert not is_quick(heads[..., :63], heads[..., :63])
    monkeypatch.setattr(attention, "MOST_KEYS", 39)
    assert not is_quick(heads, heads)


@pytest.mark.parametrize("is_missing", ["an instruction", "the threads"])
def test_where_something_is_missing_it_is_left_to_pytorch(
    is_missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "LEAST_SCORES", 0)
    if is_missing == "the threads":
        monkeypatch.setattr(openmp, "is_there", lambda: False)
    else:
        some = frozenset(NEEDED - {"avx2"})
        monkeypatch.setattr(vector_code, "cpu_features", lambda: some)
    monkeypatch.setattr(attention, "_loops", lambda _: pytest.fail("compiled"))
    can_run_loops.cache_clear()
    try:
        heads = random_heads(1, 4, 40, 64)
        assert not is_quick(heads, heads)
        attention.compile_ahead(64)
    finally:
        can_run_loops.cache_clear()


@needs_instructions
@pytest.mark.parametrize("mode", list(InputMode))
def test_a_whole_model_says_nearly_the_same_with_it(
    mode: InputMode, native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loader.load_model(native_folder, ModelOptions("bfloat16", "none", "cpu"))
    plain = scores(model, mode)
    asked: list[int] = []
    attend_ = attention.attend

    def counted(*given: torch.Tensor, **more: object) -> torch.Tensor:
        asked.append(len(given))
        return attend_(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(attention, "LEAST_SCORES", 0)
    monkeypatch.setattr(attention, "attend", counted)
    monkeypatch.setattr(kv_cache, "MAX_GROUPED_TOKENS", 0)
    model.forget_media()
    quick = scores(model, mode)
    assert asked
    assert error(quick, plain) < 0.03


def scores(model: Model, mode: InputMode) -> torch.Tensor:
    """Logits behind every token of a prompt."""
    inputs = prompt(mode)
    embeddings = model.embed(inputs)[None]
    cache = model.new_kv_cache(1, embeddings.shape[1])
    return model.score(embeddings, cache, 0, inputs.route.adapter)


@needs_instructions
def test_a_large_model_has_the_loops_compiled_while_it_loads(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loader, "SMALL_MODEL", 0)
    monkeypatch.setattr(attention, "compile_ahead", lambda *widths: asked.extend(widths))
    loader.load_model(native_folder, ModelOptions("float32", "int8", "cpu"))
    assert not asked
    model = loader.load_model(native_folder, ModelOptions("bfloat16", "int8", "cpu"))
    config = model.config
    assert config.hidden_size // config.num_attention_heads in asked


@needs_instructions
def test_loops_are_compiled_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    done = Event()
    monkeypatch.setattr(attention, "_loops", lambda width: done.set() if width == 72 else None)
    attention.compile_ahead(72)
    assert done.wait(10)
