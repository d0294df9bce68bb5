"""Linears with routed LoRA: which rows of a batch take which adapter.

The base matrix multiplies all rows at once; each adapter then adds to its own rows only. Rows
without an adapter see the base model and nothing else, bit for bit.
Leaves out: merging adapters into weights (it would undo the routing) and training.
Source: mixture of LoRAs, arXiv 2503.01743; batching by rows as in Punica, arXiv 2310.18547.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch

from core.quantize import Weight, weight_bytes
from core.router import AdapterName


@dataclass(frozen=True)
class RowAdapters:
    """Which contiguous rows of a batch take which adapter; rows in no run take none.

    Args:
        runs: (adapter, its rows), in the order of the rows.
    """

    runs: tuple[tuple[AdapterName, slice], ...]

    @classmethod
    def of_rows(cls, adapters: Sequence[AdapterName | None]) -> RowAdapters:
        """Runs of equal neighbours: fewest when equal adapters stand side by side."""
        runs: list[tuple[AdapterName, slice]] = []
        start = 0
        for adapter, group in groupby(adapters):
            end = start + len(list(group))
            if adapter is not None:
                runs.append((adapter, slice(start, end)))
            start = end
        return cls(tuple(runs))


@dataclass(frozen=True)
class LoraFactors:
    """One LoRA on one linear.

    Args:
        down: the factor A, shape (rank, in).
        up: the factor B times alpha / rank, shape (out, rank).
    """

    down: Weight
    up: Weight

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """What the LoRA adds: x (..., in) -> (..., out)."""
        return self.up.multiply(self.down.multiply(x))

    @property
    def num_bytes(self) -> int:
        """What a product reads."""
        return weight_bytes(self.down) + weight_bytes(self.up)


@dataclass(frozen=True)
class RoutedLinear:
    """A linear without bias: a base matrix and a LoRA for each adapter.

    Args:
        base: the base model's matrix, shape (out, in), quantised or not.
        loras: the factors by adapter.
    """

    base: Weight
    loras: Mapping[AdapterName, LoraFactors]

    def __call__(self, x: torch.Tensor, row_adapters: RowAdapters) -> torch.Tensor:
        """x (num_rows, num_tokens, in) -> (num_rows, num_tokens, out)."""
        y = self.base.multiply(x)
        for adapter, rows in row_adapters.runs:
            y[rows] += self.loras[adapter].multiply(x[rows])
        return y

    def num_bytes(self, adapter: AdapterName | None) -> int:
        """What a product under an adapter reads."""
        return weight_bytes(self.base) + (self.loras[adapter].num_bytes if adapter else 0)
