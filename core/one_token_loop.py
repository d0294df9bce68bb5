"""The loops of one_token_attention.py, which Numba turns into machine code when this is imported.

A bfloat16 is the upper half of a float32: numbers are widened 16 bits to the left, a token at a
time, and lie in a core's nearest cache while all queries of their group use them.
Leaves out: the softmax between them and the threads (one_token_attention.py).
"""

from __future__ import annotations

import numpy as np

from core.machine_code import U, in_machine_code

SIGNATURE = "void(float32[:,:,::1], uint16[:,:,::1], float32[:,:,::1], int64, int64, int64)"


@in_machine_code(SIGNATURE, in_any_order=True)
def score(
    queries: np.ndarray, keys: np.ndarray, scores: np.ndarray, num: int, first: int, end: int
) -> None:
    """Products of some heads' queries with their keys.

    Args:
        queries: shape (num_kv_heads, group, head_dim).
        keys: bfloat16, shape (num_kv_heads, capacity, head_dim).
        scores: written, shape (num_kv_heads, group, num).
        num: how many keys there are.
        first, end: of the heads.
    """
    bits = np.empty(keys.shape[2], np.uint32)
    key = bits.view(np.float32)
    for head in range(U(first), U(end)):
        for token in range(U(num)):
            for i in range(U(keys.shape[2])):
                bits[i] = np.uint32(keys[head, token, i]) << np.uint32(16)
            for query in range(U(queries.shape[1])):
                product = np.float32(0)
                for i in range(U(keys.shape[2])):
                    product += queries[head, query, i] * key[i]
                scores[head, query, token] = product


@in_machine_code(SIGNATURE, in_any_order=True)
def mix(
    weights: np.ndarray, values: np.ndarray, mixed: np.ndarray, num: int, first: int, end: int
) -> None:
    """Sums of some heads' values.

    Args:
        weights: shape (num_kv_heads, group, num).
        values: bfloat16, shape (num_kv_heads, capacity, head_dim).
        mixed: written, shape (num_kv_heads, group, head_dim).
        num, first, end: as in `score`.
    """
    bits = np.empty(values.shape[2], np.uint32)
    value = bits.view(np.float32)
    for head in range(U(first), U(end)):
        mixed[head] = np.float32(0)
        for token in range(U(num)):
            for i in range(U(values.shape[2])):
                bits[i] = np.uint32(values[head, token, i]) << np.uint32(16)
            for query in range(U(weights.shape[1])):
                weight = weights[head, query, token]
                for i in range(U(values.shape[2])):
                    mixed[head, query, i] += weight * value[i]
