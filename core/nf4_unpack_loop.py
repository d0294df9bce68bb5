"""The loop of nf4_unpack.py, which Numba turns into machine code when this is imported.

Written for vector instructions: a table lookup is sixteen comparisons, which a vector's numbers
share. A tile of 32 rows and 64 columns is looked up in the order of the layout and turned on its
way out.
Leaves out: the threads, and what the numbers are (nf4_unpack.py).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.machine_code import U, in_machine_code

# Added to a float32 and taken away again, it leaves the nearest whole number; np.rint, which does
# the same, is called for one number at a time.
ROUNDER: Final = np.float32(3 * 2**22)


@in_machine_code()
def _fill_table(
    table: np.ndarray, levels: np.ndarray, factors: np.ndarray, group: int, row: int
) -> None:
    """What each of the 16 levels is in each of 32 rows: (16, 64), every row's twice."""
    for level in range(U(16)):
        for r in range(U(32)):
            exact = levels[level] * factors[group, row + r]
            number = np.int8(np.int32((exact + ROUNDER) - ROUNDER))
            table[level, U(2) * r] = number
            table[level, U(2) * r + U(1)] = number


@in_machine_code()
def _if(table: np.ndarray, lane: int, code: np.uint8, level: int) -> np.int8:
    """The table's number where the code is this level, else 0."""
    return np.int8(table[U(level), lane] & -np.int8(code == level))


@in_machine_code()
def _looked_up(t: np.ndarray, i: int, c: np.uint8) -> np.int8:
    """The table's number in a lane for a code."""
    number = _if(t, i, c, 0) | _if(t, i, c, 1) | _if(t, i, c, 2) | _if(t, i, c, 3)
    number |= _if(t, i, c, 4) | _if(t, i, c, 5) | _if(t, i, c, 6) | _if(t, i, c, 7)
    number |= _if(t, i, c, 8) | _if(t, i, c, 9) | _if(t, i, c, 10) | _if(t, i, c, 11)
    number |= _if(t, i, c, 12) | _if(t, i, c, 13) | _if(t, i, c, 14) | _if(t, i, c, 15)
    return number


@in_machine_code("void(int8[:,::1], uint8[:,:,::1], uint64, uint64, int8[:,::1])")
def _look_up_tile(
    table: np.ndarray, codes: np.ndarray, block: int, first: int, tile: np.ndarray
) -> None:
    """Fill a tile (32 pairs of columns, 32 rows by two columns): low halves first, then high ones.

    A byte has a number of one of the first 16 rows in its low half and of the row 16 further in
    its high half; the bytes of a row lie in twos, of neighbours.
    """
    for pair in range(U(32)):
        for lane in range(U(32)):
            code = codes[block, first + pair, lane] & 15
            tile[pair, lane] = _looked_up(table, lane, code)
        for lane in range(U(32)):
            code = codes[block, first + pair, lane] >> 4
            tile[pair, U(32) + lane] = _looked_up(table, U(32) + lane, code)


@in_machine_code("void(uint16[:,::1], uint64[:,::1], uint64[:,::1], uint64, uint64)")
def _turn_tile(
    tile: np.ndarray, joined: np.ndarray, numbers: np.ndarray, row: int, word: int
) -> None:
    """Write a tile to the matrix, eight columns at a time.

    Args:
        tile: the two columns of each pair and row as one number, (32 pairs, 32 rows).
        joined: room for eight columns of each row as one number, (8, 32).
        numbers: the matrix, eight columns as one number.
        row, word: where the tile begins in it.
    """
    for p in range(U(8)):
        for r in range(U(32)):
            low = U(tile[U(4) * p, r]) | (U(tile[U(4) * p + U(1), r]) << U(16))
            high = U(tile[U(4) * p + U(2), r]) | (U(tile[U(4) * p + U(3), r]) << U(16))
            joined[p, r] = low | (high << U(32))
    for r in range(U(32)):
        for p in range(U(8)):
            numbers[row + r, word + p] = joined[p, r]


@in_machine_code("void(uint8[:,:,::1], float32[:,::1], float32[::1], int8[:,::1], int64, int64)")
def unpack(
    codes: np.ndarray,
    factors: np.ndarray,
    levels: np.ndarray,
    numbers: np.ndarray,
    first: int,
    end: int,
) -> None:
    """Fill some blocks of 32 rows in.

    Args:
        codes: shape (blocks, in / 2, 32).
        factors: what the levels are multiplied by, shape (in / 64, out).
        levels: the 16 numbers of NF4.
        numbers: the matrix, shape (out, in).
        first, end: of the blocks.
    """
    table, joined = np.empty((16, 64), np.int8), np.empty((8, 32), np.uint64)
    tile = np.empty((32, 64), np.int8)
    pairs, words = tile.view(np.uint16), numbers.view(np.uint64)
    for block in range(U(first), U(end)):
        row = block * U(32)
        for group in range(U(codes.shape[1] // 32)):
            _fill_table(table, levels, factors, group, row)
            _look_up_tile(table, codes, block, group * U(32), tile)
            _turn_tile(pairs, joined, words, row, group * U(8))
