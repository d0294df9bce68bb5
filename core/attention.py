"""Attention of many queries at once: of a prompt's chunk, or of a picture's patches.

PyTorch's own, on a CPU, works on pieces that are too small for its matrix products; here the
instructions are used directly. What it computes is the same: scores and softmax in float32, weights
and values in bfloat16.
Leaves out: the loops (attention_loops.py), and attention of single tokens (kv_cache.py).
"""

from __future__ import annotations

import struct
from ctypes import addressof, c_int64
from threading import Thread
from typing import Final

import torch

from core import openmp
from core.instructions import can_run_loops
from core.once import once
from core.scratch import scratch

# Fewer scores take less time than it takes to lay keys and values out.
LEAST_SCORES: Final = 2**21
MOST_KEYS: Final = 2**14  # beyond, scores leave the cache


class _Loops:
    """The machine code for heads of a width."""

    def __init__(self, width: int) -> None:
        from core import attention_layout, attention_loops
        from core.vector_code import Compiled

        self.code, self.layout = attention_loops, attention_layout
        self._compiled = Compiled(attention_loops.module(width))
        self.pack, self.attend = (self._compiled.address(name) for name in ("pack", "attend"))


@once
def _loops(width: int) -> _Loops:
    assert can_run_loops(), "LLVM ends the process where it has no such instruction"
    return _Loops(width)


def compile_ahead(*widths: int) -> None:
    """Let the loops be compiled in the background, before the first picture or prompt needs them.

    Args:
        widths: of the heads.
    """
    if can_run_loops():
        for width in widths:
            Thread(target=_loops, args=(width,), daemon=True).start()


def is_quick(queries: torch.Tensor, keys: torch.Tensor) -> bool:
    """Whether `attend` takes them and is quicker than PyTorch.

    Args:
        queries: shape (batch, num_heads, num_queries, width).
        keys: shape (batch, num_kv_heads, num_keys, width).
    """
    batch, num_heads, num_queries, width = queries.shape
    num_scores = batch * num_heads * num_queries * keys.shape[2]
    return (
        queries.device.type == "cpu"
        and queries.dtype == torch.bfloat16
        and num_scores >= LEAST_SCORES
        and keys.shape[2] <= MOST_KEYS
        and width % 8 == 0
        and can_run_loops()
    )


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    scale: float | None = None,
    is_causal: bool = False,
    is_seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Every query's mixture of values.

    Args:
        queries: bfloat16, shape (batch, num_heads, num_queries, width), a width of eights.
        keys, values: shape (batch, num_kv_heads, num_keys, width).
        scale: of the products; None: one over the root of the width.
        is_causal: the last query sees all keys, and each one before it one fewer.
        is_seen: bool, (batch, num_keys): which keys are seen at all; None: all.
    Returns:
        bfloat16, of the queries' shape.
    """
    queries, keys, values = (_side_by_side(each) for each in (queries, keys, values))
    batch, num_heads, num_queries, width = queries.shape
    num_kv_heads, num_keys = keys.shape[1:3]
    loops = _loops(width)
    code, layout, field = loops.code, loops.layout, loops.layout.Task
    num_padded = -(-num_keys // layout.KEYS_TOGETHER) * layout.KEYS_TOGETHER
    bias = torch.zeros(batch, num_padded)
    if is_seen is not None:
        bias[:, :num_keys].masked_fill_(~is_seen, layout.NOT_SEEN)
    mixed = torch.empty(batch, num_queries, num_heads, width, dtype=torch.bfloat16)
    laid_out = (batch * num_kv_heads, num_padded)
    whole_width = layout.num_units(width) * layout.LANES
    kept = (torch.get_num_threads(), code.MOST_QUERIES, num_padded)
    task = (c_int64 * len(field))()
    task[field.NUM_PACKED] = batch * num_kv_heads
    task[field.NUM_ITEMS] = batch * num_heads * -(-num_queries // code.QUERIES_AT_ONCE)
    task[field.NUM_HEADS], task[field.NUM_KV_HEADS] = num_heads, num_kv_heads
    task[field.NUM_QUERIES], task[field.NUM_KEYS] = num_queries, num_keys
    task[field.NUM_PADDED] = num_padded
    task[field.NUM_BEFORE] = num_keys - num_queries if is_causal else num_keys
    (task[field.SCALE],) = struct.unpack("<q", struct.pack("<fi", scale or width**-0.5, 0))
    for first, tensor in ((field.QUERIES, queries), (field.KEYS, keys), (field.VALUES, values)):
        distances = (2 * stride for stride in tensor.stride()[:3])
        task[first : first + 4] = [tensor.data_ptr(), *distances]
    task[field.BIAS], task[field.MIXED] = bias.data_ptr(), mixed.data_ptr()
    for place, name, shape, dtype in (
        (field.PACKED_KEYS, "packed keys", (*laid_out, width), torch.bfloat16),
        (field.PACKED_VALUES, "packed values", (*laid_out, whole_width), torch.bfloat16),
        (field.SCORES, "scores", kept, torch.float32),
        (field.WEIGHTS, "weights", kept, torch.bfloat16),
    ):
        task[place] = scratch(name, shape, dtype).data_ptr()
    openmp.run(loops.pack, addressof(task))
    openmp.run(loops.attend, addressof(task))
    return mixed.transpose(1, 2)


def _side_by_side(heads: torch.Tensor) -> torch.Tensor:
    """A tensor the last numbers of which lie side by side."""
    return heads if heads.stride(-1) == 1 else heads.contiguous()
