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
from typing import Protocol

import torch

from core.quantize import Weight, weight_bytes
from core.router import AdapterName


class Routing(Protocol):
    """Which rows of a batch take which adapter."""

    def add(
        self, y: torch.Tensor, x: torch.Tensor, loras: Mapping[AdapterName, LoraFactors]
    ) -> None:
        """Add what the rows' LoRAs make of x (num_rows, num_tokens, in) to y (..., out)."""


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

    def add(
        self, y: torch.Tensor, x: torch.Tensor, loras: Mapping[AdapterName, LoraFactors]
    ) -> None:
        """Each adapter multiplies its own rows only."""
        for adapter, rows in self.runs:
            y[rows] += loras[adapter].multiply(x[rows])


@dataclass(frozen=True)
class MaskedAdapters:
    """The same as numbers, which may change while the shapes of all products stay.

    Args:
        masks: of every adapter that some row takes, 1 for its rows and 0 for the others, shape
            (num_rows, 1, 1).
    """

    masks: Mapping[AdapterName, torch.Tensor]

    def add(
        self, y: torch.Tensor, x: torch.Tensor, loras: Mapping[AdapterName, LoraFactors]
    ) -> None:
        """Each adapter multiplies all rows, and those that do not take it as zeros."""
        for adapter, mask in self.masks.items():
            y += loras[adapter].multiply(x * mask)


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

    def __call__(self, x: torch.Tensor, adapters: Routing) -> torch.Tensor:
        """x (num_rows, num_tokens, in) -> (num_rows, num_tokens, out)."""
        y = self.base.multiply(x)
        adapters.add(y, x, self.loras)
        return y

    def num_bytes(self, adapter: AdapterName | None) -> int:
        """What a product under an adapter reads."""
        return weight_bytes(self.base) + (self.loras[adapter].num_bytes if adapter else 0)
