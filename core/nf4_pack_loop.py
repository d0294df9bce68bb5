"""The loop of nf4_pack.py, which Numba turns into machine code when this is imported.

Written for vector instructions: a code is the number of middles between levels that a number lies
above, fifteen comparisons that a vector's numbers share.
Leaves out: the threads, and what the numbers are (nf4_pack.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.machine_code import U, in_machine_code

WITHOUT_SIGN: Final = np.uint32(0x7FFFFFFF)  # float32 without it are in order as whole numbers
LEAST: Final = np.float32(1e-30)  # a block of zeros is divided by this


@in_machine_code()
def _count(number: np.float32, m: np.ndarray) -> np.uint8:
    """How many of 15 middles a number lies above."""
    count = np.uint8(number > m[U(0)]) + np.uint8(number > m[U(1)]) + np.uint8(number > m[U(2)])
    count += np.uint8(number > m[U(3)]) + np.uint8(number > m[U(4)]) + np.uint8(number > m[U(5)])
    count += np.uint8(number > m[U(6)]) + np.uint8(number > m[U(7)]) + np.uint8(number > m[U(8)])
    count += np.uint8(number > m[U(9)]) + np.uint8(number > m[U(10)]) + np.uint8(number > m[U(11)])
    count += np.uint8(number > m[U(12)]) + np.uint8(number > m[U(13)]) + np.uint8(number > m[U(14)])
    return np.uint8(count)


@in_machine_code("void(float32[:,::1], uint32[:,::1], float32[::1], uint64, uint64, uint8[::1])")
def _code_block(
    numbers: np.ndarray,
    bits: np.ndarray,
    middles: np.ndarray,
    row: int,
    first: int,
    codes: np.ndarray,
) -> None:
    """Codes of the 64 numbers of a row from `first` on, and their largest magnitude behind them.

    Args:
        numbers: the matrix.
        bits: the same memory as whole numbers.
        middles: between the levels, 15.
        codes: room for them and the 4 bytes of a float32.
    """
    largest = np.uint32(0)
    for i in range(U(64)):
        largest = max(largest, bits[row, first + i] & WITHOUT_SIGN)
    kept = codes[64:68].view(np.uint32)
    kept[0] = largest
    scale = max(codes[64:68].view(np.float32)[0], LEAST)
    for i in range(U(64)):
        codes[i] = _count(numbers[row, first + i] / scale, middles)


@in_machine_code(
    "void(float32[:,::1], float32[::1], uint32[:,:,::1], float32[:,::1], int64, int64)"
)
def pack(
    numbers: np.ndarray,
    middles: np.ndarray,
    packed: np.ndarray,
    largest: np.ndarray,
    first: int,
    end: int,
) -> None:
    """Fill some blocks of 32 rows in.

    Args:
        numbers: the matrix, shape (out, in).
        middles: between the levels, 15.
        packed: four columns of one row in the low halves of four bytes, and of the row 16 further
            in the high ones, shape (blocks, in / 4, 16).
        largest: each 64 numbers' largest magnitude, shape (out, in / 64).
        first, end: of the blocks.
    """
    codes, tile = np.empty(68, np.uint8), np.empty((16, 32), np.uint32)
    bits, fours = numbers.view(np.uint32), codes[:64].view(np.uint32)
    scale = codes[64:68].view(np.float32)
    for block in range(U(first), U(end)):
        row = block * U(32)
        for group in range(U(numbers.shape[1] // 64)):
            for r in range(U(32)):
                _code_block(numbers, bits, middles, row + r, group * U(64), codes)
                largest[row + r, group] = scale[0]
                for four in range(U(16)):
                    tile[four, r] = fours[four]
            for four in range(U(16)):
                for r in range(U(16)):
                    both = tile[four, r] | (tile[four, U(16) + r] << np.uint32(4))
                    packed[block, group * U(16) + four, r] = both
