"""One new token looks at a long row: on a CPU, in the time that reading the row takes.

PyTorch's attention is made for many queries; of one it spends most of its time on preparing. Here
the keys and values are read once, by all queries that share them.
Leaves out: the loops (one_token_loop.py) and where keys and values are kept (kv_cache.py).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any, Final

import numpy as np
import torch

LEAST_NUMBERS: Final = 2**18  # keys of fewer numbers are looked at in no time anyway
SPLIT_NUMBERS: Final = 2**20  # from so many on, heads are shared among threads


def is_for_one_token(queries: torch.Tensor, keys: torch.Tensor, num_keys: int) -> bool:
    """Whether `attend_to_all` is the quicker way.

    Args:
        queries: shape (num_heads, num_tokens, head_dim).
        keys: shape (num_kv_heads, capacity, head_dim).
        num_keys: how many of them there are.
    """
    num_heads, _, width = keys.shape
    return (
        queries.shape[1] == 1
        and queries.dtype == torch.bfloat16
        and queries.device.type == "cpu"
        and num_heads * num_keys * width >= LEAST_NUMBERS
    )


def attend_to_all(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, num_keys: int
) -> torch.Tensor:
    """What one token finds in its row.

    Args:
        queries: bfloat16, shape (num_heads, 1, head_dim), on the CPU.
        keys, values: bfloat16, contiguous, shape (num_kv_heads, capacity, head_dim).
        num_keys: how many of them there are.
    Returns:
        Shape (num_heads, 1, head_dim).
    """
    num_heads, _, width = keys.shape
    given = (queries.float() * width**-0.5).view(num_heads, -1, width)
    scores = torch.empty(num_heads, given.shape[1], num_keys)
    mixed = torch.empty_like(given)
    score, mix = compiled()
    is_split = num_heads * num_keys * width >= SPLIT_NUMBERS
    _by_head(score, (given, keys.view(torch.uint16), scores), num_keys, is_split)
    weights = scores.softmax(-1)
    _by_head(mix, (weights, values.view(torch.uint16), mixed), num_keys, is_split)
    return mixed.to(queries.dtype).view(queries.shape)


def _by_head(
    loop: Callable[..., None], tensors: tuple[torch.Tensor, ...], num_keys: int, is_split: bool
) -> None:
    """Run a loop over all heads, or a part of them on each thread."""
    arrays = [tensor.numpy() for tensor in tensors]
    num_heads, num_threads = len(arrays[0]), torch.get_num_threads()
    if not is_split or num_threads == 1:
        loop(*arrays, num_keys, 0, num_heads)
        return
    (first, end), *others = pairwise(np.linspace(0, num_heads, num_threads + 1).astype(int))
    waiting = [_pool().submit(loop, *arrays, num_keys, *part) for part in others]
    loop(*arrays, num_keys, first, end)
    for other in waiting:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(torch.get_num_threads(), "attention")


@cache
def compiled() -> Any:
    """The loops in machine code: some seconds' wait when they are made, less when kept."""
    from core.one_token_loop import mix, score

    return score, mix
