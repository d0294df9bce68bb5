"""Norms and activations of rows in bfloat16, where our loops run: each in one loop.

PyTorch has them too, in several passes or in slower ones. A row's result is the same whatever is
beside it. Leaves out: the loops (row_loops.py).
"""

from __future__ import annotations

import struct
from ctypes import Array, addressof, c_int64
from typing import Final

import torch
import torch.nn.functional as F

from core import openmp
from core.instructions import can_run_loops
from core.once import once
from core.scratch import scratch

MULTIPLE: Final = 16  # numbers in a row that the loops take


class Loops:
    """The machine code."""

    def __init__(self) -> None:
        from core import row_loops
        from core.vector_code import Compiled

        self.code, self.task, self.program = row_loops, row_loops.Task, row_loops.Program
        self._compiled = Compiled(row_loops.module())
        self.norm, self.gate, self.gelu, self.add, self.run_all = (
            self._compiled.address(name) for name in ("norm", "gate", "gelu", "add", "run_all")
        )

    def describe(
        self, task: Array[c_int64], num_rows: int, num_columns: int, rows: int, result: int
    ) -> None:
        """Write down what all loops are told; all but norms are cut by columns too.

        Args:
            task: as long as the loops' own.
            num_columns: of the result.
            rows, result: addresses.
        """
        field = self.task
        task[field.NEXT_ITEM], task[field.NUM_COLUMNS] = 0, num_columns
        task[field.NUM_ITEMS] = self.code.num_items(num_rows, num_columns)
        task[field.ROWS], task[field.RESULT] = rows, result

    def describe_norm(self, task: Array[c_int64], num_rows: int, weight: int, eps: float) -> None:
        """Write down what is a norm's own, after `describe`.

        Args:
            weight: the address of its weight.
            eps: what is added to the mean square.
        """
        task[self.task.NUM_ITEMS], task[self.task.WEIGHT] = num_rows, weight
        (task[self.task.EPSILON],) = struct.unpack("<q", struct.pack("<fi", eps, 0))


@once
def loops() -> Loops:
    """The machine code, where `can_run_loops`."""
    assert can_run_loops(), "LLVM ends the process where it has no such instruction"
    return Loops()


def normed(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x (..., columns) over the root of its rows' mean squares, times a weight (columns,)."""
    if not _is_quick(x, weight.shape[0]):
        return F.rms_norm(x, (x.shape[-1],), weight, eps)
    quick, x, weight = loops(), x.contiguous(), weight.contiguous()
    result, num_rows = torch.empty_like(x), x.numel() // x.shape[-1]
    task = (c_int64 * len(quick.task))()
    quick.describe(task, num_rows, x.shape[-1], x.data_ptr(), result.data_ptr())
    quick.describe_norm(task, num_rows, weight.data_ptr(), eps)
    openmp.run(quick.norm, addressof(task))
    return result


def gated(gate_up: torch.Tensor) -> torch.Tensor:
    """The SiLU of each row's first half times its second: (..., 2 * columns) -> (..., columns).

    Good until this thread asks for the next.
    """
    num_columns = gate_up.shape[-1] // 2
    if not _is_quick(gate_up, num_columns):
        gate, up = gate_up.chunk(2, dim=-1)
        return F.silu(gate) * up
    result = scratch("gated", (*gate_up.shape[:-1], num_columns), torch.bfloat16)
    _by_columns(loops().gate, gate_up.contiguous(), result)
    return result


def gelu_tanh(x: torch.Tensor) -> torch.Tensor:
    """PyTorch's GELU with `approximate="tanh"`, of x (..., columns), in place where it can be."""
    if not (_is_quick(x, x.shape[-1]) and x.is_contiguous()):
        return F.gelu(x, approximate="tanh")
    _by_columns(loops().gelu, x, x)
    return x


def _is_quick(x: torch.Tensor, num_columns: int) -> bool:
    is_fit = x.device.type == "cpu" and x.dtype == torch.bfloat16 and num_columns % MULTIPLE == 0
    return is_fit and can_run_loops()


def _by_columns(loop: int, x: torch.Tensor, result: torch.Tensor) -> None:
    """Fill a result with what a loop makes of rows; both lie as they are told."""
    quick, num_columns = loops(), result.shape[-1]
    task = (c_int64 * len(quick.task))()
    num_rows = result.numel() // num_columns
    quick.describe(task, num_rows, num_columns, x.data_ptr(), result.data_ptr())
    openmp.run(loop, addressof(task))
