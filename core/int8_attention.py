"""Attention over keys and values that are kept in int8, with one scale a token and head.

A block of them at a time is widened to the queries' type, small enough to stay in a core's cache:
whole numbers up to 127 are exact in bfloat16. Scales are multiplied into scores and weights, which
are fewer than the numbers they stand for. A softmax that goes along the blocks needs no second
look.
Leaves out: where keys and values are kept (int8_kv_cache.py).
Source: the softmax of FlashAttention (arXiv 2205.14135).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch

from core.config import quick_dtype

LARGEST: Final = 127
SMALLEST_SCALE: Final = 1e-30  # of a token whose numbers are all 0
BLOCK_TOKENS: Final = 2048
MAX_SCORES: Final = 4 * 2**20  # of a block: a prompt's chunk has many queries


class Int8Tokens(NamedTuple):
    """One row's keys or values in one layer.

    Args:
        levels: int8, shape (num_kv_heads, num_tokens, head_dim).
        scales: float32, shape (num_kv_heads, num_tokens, 1).
    """

    levels: torch.Tensor
    scales: torch.Tensor


def to_int8(tokens: torch.Tensor) -> Int8Tokens:
    """Each token's numbers, (num_kv_heads, num_tokens, head_dim), in 127 steps to its largest."""
    given = tokens.float()
    scales = given.abs().amax(-1, keepdim=True).clamp(min=SMALLEST_SCALE) / LARGEST
    return Int8Tokens((given / scales).round_().to(torch.int8), scales)


def attend(queries: torch.Tensor, keys: Int8Tokens, values: Int8Tokens) -> torch.Tensor:
    """What the last tokens of a row find in all of it, each in itself and those before it.

    Args:
        queries: of the last tokens, shape (num_heads, num_queries, head_dim).
        keys, values: of the whole row, the last tokens among them.
    Returns:
        Shape (num_heads, num_queries, head_dim), in the queries' type.
    """
    num_kv_heads, num_tokens, head_dim = keys.levels.shape
    num_queries, dtype = queries.shape[1], quick_dtype(queries.dtype, queries.device.type)
    # Heads of a group, one after the other.
    grouped = queries.to(dtype).reshape(num_kv_heads, -1, head_dim)
    block = min(BLOCK_TOKENS, max(1, MAX_SCORES // (num_kv_heads * grouped.shape[1])))
    highest = torch.full((*grouped.shape[:2], 1), -torch.inf, device=queries.device)
    total = torch.zeros_like(highest)
    found = torch.zeros(grouped.shape, device=queries.device)
    for start in range(0, num_tokens, block):
        end = min(start + block, num_tokens)
        scores = _scores(grouped, keys, start, end)
        if end > num_tokens - num_queries + 1:  # the first query does not see the last of these
            scores.masked_fill_(_unseen(scores, start, num_tokens, num_queries), -torch.inf)
        now = torch.maximum(highest, scores.amax(-1, keepdim=True))
        weights = scores.sub_(now).exp_()
        kept = (highest - now).exp_()
        total = total * kept + weights.sum(-1, keepdim=True)
        found = found * kept + _weighed(weights, values, start, end, dtype)
        highest = now
    return (found / total).to(queries.dtype).view(queries.shape)


def _scores(grouped: torch.Tensor, keys: Int8Tokens, start: int, end: int) -> torch.Tensor:
    """float32, shape (num_kv_heads, queries of a group, tokens of the block)."""
    levels = keys.levels[:, start:end].to(grouped.dtype)
    scales = keys.scales[:, start:end].transpose(1, 2) * grouped.shape[-1] ** -0.5
    return (grouped @ levels.transpose(1, 2)).float() * scales


def _weighed(
    weights: torch.Tensor, values: Int8Tokens, start: int, end: int, dtype: torch.dtype
) -> torch.Tensor:
    """float32, shape (num_kv_heads, queries of a group, head_dim)."""
    scaled = (weights * values.scales[:, start:end].transpose(1, 2)).to(dtype)
    return (scaled @ values.levels[:, start:end].to(dtype)).float()


def _unseen(scores: torch.Tensor, start: int, num_tokens: int, num_queries: int) -> torch.Tensor:
    """Where a token of the block comes after the query, as the scores are laid out."""
    queries = torch.arange(num_tokens - num_queries, num_tokens, device=scores.device)
    tokens = torch.arange(start, start + scores.shape[-1], device=scores.device)
    return (tokens > queries[:, None]).repeat(scores.shape[1] // num_queries, 1)
