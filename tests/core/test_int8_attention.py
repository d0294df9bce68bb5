"""Attention over int8 keys and values: that of the numbers they stand for, in any blocks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from core import int8_attention
from core.int8_attention import LARGEST, Int8Tokens, attend, to_int8

NUM_KV_HEADS, NUM_HEADS, HEAD_DIM = 2, 6, 16
NUM_TOKENS = 37


def widened(tokens: Int8Tokens) -> torch.Tensor:
    return tokens.levels.float() * tokens.scales


def made(num_queries: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    kept = NUM_KV_HEADS, NUM_TOKENS, HEAD_DIM
    return 3 * torch.randn(NUM_HEADS, num_queries, HEAD_DIM), torch.randn(kept), torch.randn(kept)


def plain(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    num_queries = queries.shape[1]
    mask = torch.ones(num_queries, NUM_TOKENS, dtype=torch.bool).tril(NUM_TOKENS - num_queries)
    batch = queries[None], keys[None], values[None]
    return F.scaled_dot_product_attention(*batch, attn_mask=mask, enable_gqa=True)[0]


@pytest.mark.parametrize("block", [1, 8, 2048])
@pytest.mark.parametrize("num_queries", [1, 5, 37])
def test_it_is_attention_over_what_the_levels_stand_for(
    num_queries: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8_attention, "BLOCK_TOKENS", block)
    queries, keys, values = made(num_queries)
    kept = to_int8(keys), to_int8(values)
    truth = plain(queries, *map(widened, kept))
    assert torch.allclose(attend(queries, *kept), truth, atol=1e-5)
    assert not torch.allclose(plain(queries, keys, values), truth, atol=1e-5)


def test_a_chunk_of_many_queries_takes_smaller_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real = int8_attention._scores

    def watched(grouped: torch.Tensor, keys: Int8Tokens, start: int, end: int) -> torch.Tensor:
        scores = real(grouped, keys, start, end)
        sizes.append(scores.numel())
        return scores

    monkeypatch.setattr(int8_attention, "_scores", watched)
    monkeypatch.setattr(int8_attention, "MAX_SCORES", NUM_HEADS * 5 * 4)
    queries, keys, values = made(5)
    attend(queries, to_int8(keys), to_int8(values))
    assert len(sizes) == 10
    assert max(sizes) == NUM_HEADS * 5 * 4


def test_a_token_is_rounded_by_half_a_step_of_its_own() -> None:
    tokens = torch.randn(2, 9, 16) * torch.logspace(-3, 3, 9)[:, None]
    kept = to_int8(tokens)
    assert kept.levels.abs().amax(-1).eq(LARGEST).all()
    assert bool(((widened(kept) - tokens).abs() <= kept.scales * 0.501).all())
    assert widened(to_int8(torch.zeros(1, 2, 16))).eq(0).all()


def test_in_bfloat16_it_stays_as_near_as_bfloat16_is() -> None:
    queries, keys, values = made(3)
    kept = to_int8(keys), to_int8(values)
    found = attend(queries.bfloat16(), *kept)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), plain(queries, *map(widened, kept)), atol=0.03)
