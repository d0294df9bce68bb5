"""A weight -> what multiplies by it: as it is, in NF4 or int4 (4 bits) or in int8.

Weights are quantised one at a time while a model loads, so the unquantised model never exists as
a whole. int8 holds one scale an output channel and leaves the activations alone, unless the machine
multiplies int8 by int8 quickly (int8_weight.py).
Leaves out: which weights are quantised (sources.py), 4 bits (nf4_weight.py, int4_weight.py) and
LoRAs on top (adapters.py).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Protocol, Self

import torch
import torch.nn.functional as F

from core.aligned import aligned
from core.config import Quantization
from core.int4_weight import Int4Weight, fits_int4
from core.int8_weight import Int8RowsWeight, is_int8_quick
from core.nf4_rows_weight import Nf4RowsWeight
from core.nf4_weight import Nf4Weight, fits_nf4
from core.scratch import scratch
from core.two_bit_weight import TwoBitWeight

LOGGER: Final = logging.getLogger(__name__)

_ROWS_PACKED_AT_ONCE: Final = 4096  # what packing needs beside the result stays small
# Above so many rows PyTorch's int8 kernel, made for single tokens, loses to unpack-and-multiply.
_INT8_PACKED_MAX_ROWS: Final = 32
_INT8_MULTIPLE: Final = 16
# The kernel rounds what it is given and what it returns to bfloat16. In float32, whose rows are to
# say alone what they say side by side, a matrix that is unpacked in no time goes without it.
_INT8_SMALL: Final = 2**17  # numbers in a matrix
# Numbers in a matrix from which on rows are sooner rounded and multiplied in int8.
INT8_ROWS_LEAST_NUMBERS: Final = 2**12


class Weight(Protocol):
    """A matrix (out, in) that rows of numbers are multiplied by."""

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose, shape (..., out), in x's type."""

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers, shape (out, in)."""

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors, which hold all of it."""


class PlainWeight:
    """A matrix that is not quantised.

    Args:
        weight: the matrix.
    """

    def __init__(self, weight: torch.Tensor) -> None:
        self._weight = weight

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._weight.shape[0], self._weight.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        return F.linear(x, self._weight)

    def dequantize(self) -> torch.Tensor:
        """The matrix itself."""
        return self._weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors."""
        return "plain", {"weight": self._weight}


class Int8Weight:
    """A matrix in int8 with one scale an output channel, symmetric around zero.

    Args:
        weight: the matrix.
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        largest = weight.abs().amax(dim=1).float().clamp(min=1e-12)
        # Rounding by the scale that is kept, so that no rounding error is added to it later.
        self._scales = (largest / 127.0).bfloat16()
        self._levels = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
        for start in range(0, weight.shape[0], _ROWS_PACKED_AT_ONCE):
            rows = slice(start, start + _ROWS_PACKED_AT_ONCE)
            levels = torch.round(weight[rows].float() / self._scales[rows].float()[:, None])
            self._levels[rows] = levels.clamp(-127, 127)
        self._dtype = dtype

    @classmethod
    def restored(cls, levels: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> Self:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        weight._levels, weight._scales, weight._dtype = aligned(levels), scales, dtype
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors."""
        return "int8", {"levels": self._levels, "scales": self._scales}

    def _takes_kernel(self, rows: torch.Tensor) -> bool:
        """Whether rows (num, in) are multiplied by PyTorch's kernel."""
        sides_fit = all(side % _INT8_MULTIPLE == 0 for side in self._levels.shape)
        is_few = rows.shape[0] <= _INT8_PACKED_MAX_ROWS
        is_exact = rows.dtype == torch.float32 and self._levels.numel() < _INT8_SMALL
        return sides_fit and is_few and not is_exact and self._levels.device.type == "cpu"

    def _in_type(self, dtype: torch.dtype) -> torch.Tensor:
        """The levels as numbers of a type, good until the next product."""
        if self._levels.device.type != "cpu":
            return self._levels.to(dtype)
        return scratch("levels", self.shape, dtype).copy_(self._levels)

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._levels.shape[0], self._levels.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        rows = x.reshape(-1, x.shape[-1])
        if self._takes_kernel(rows):
            # Made for bfloat16, with sums in float32; far slower in float32.
            rows = aligned(rows.bfloat16())
            product = torch._weight_int8pack_mm(rows, self._levels, self._scales)
            product = product.to(x.dtype)
        else:
            product = F.linear(rows, self._in_type(x.dtype)).mul_(self._scales.to(x.dtype))
        return product.view(*x.shape[:-1], -1)

    def dequantize(self) -> torch.Tensor:
        """The matrix as numbers."""
        return self._levels.to(self._dtype) * self._scales[:, None].to(self._dtype)


def quantize(
    weight: torch.Tensor, quantization: Quantization, dtype: torch.dtype, name: str
) -> Weight:
    """Hold a matrix as `quantization` says; a matrix the kernel cannot take stays as it is.

    Args:
        weight: shape (out, in), on the device where it will be used; not kept when quantised.
        quantization: "nf4", "int4", "int8" or "none".
        dtype: the activations' type.
        name: the tensor's name, for the log line about a matrix that is not quantised.
    """
    if quantization == "int8":
        is_large = weight.numel() >= INT8_ROWS_LEAST_NUMBERS and weight.device.type == "cpu"
        return (Int8RowsWeight if is_large and is_int8_quick(dtype) else Int8Weight)(weight, dtype)
    if quantization == "nf4" and fits_nf4(weight.shape):
        is_ours = weight.device.type == "cpu" and is_int8_quick(dtype)
        return (Nf4RowsWeight if is_ours else Nf4Weight)(weight, dtype)
    if quantization == "int4" and fits_int4(weight):
        return Int4Weight(weight, dtype)
    if quantization != "none":
        shape = tuple(weight.shape)
        LOGGER.info("%s %s does not fit %s and stays unquantised", name, shape, quantization)
    # A copy: the tensor may be a view of the file, which must not back a model that is running.
    return PlainWeight(weight.to(dtype, copy=True))


def weight_bytes(weight: Weight) -> int:
    """What a weight takes, and what a product reads."""
    return sum(tensor.nbytes for tensor in weight.stored()[1].values())


def restored(kind: str, tensors: Mapping[str, torch.Tensor], dtype: torch.dtype) -> Weight:
    """The weight that `Weight.stored` gave this kind and these tensors of.

    Args:
        kind: "plain", "nf4", "nf4 rows", "int4", "int8", "int8 rows" or "two bits".
        tensors: by the names that `stored` gave them; used where they lie.
        dtype: the activations' type.
    Raises:
        ValueError: there is no such kind.
    """
    match kind:
        case "plain":
            return PlainWeight(**tensors)
        case "nf4":
            return Nf4Weight.restored(**tensors, dtype=dtype)
        case "nf4 rows":
            return Nf4RowsWeight.restored(**tensors, dtype=dtype)
        case "int4":
            return Int4Weight.restored(**tensors, dtype=dtype)
        case "int8":
            return Int8Weight.restored(**tensors, dtype=dtype)
        case "int8 rows":
            return Int8RowsWeight.restored(**tensors, dtype=dtype)
        case "two bits":
            return TwoBitWeight.restored(**tensors, dtype=dtype)
    raise ValueError(f"{kind!r} is no kind of weight")
