"""A weight -> what multiplies by it: as it is, in NF4 or int4 (4 bits) or in int8.

Weights are quantised one at a time while a model loads, so the unquantised model never exists as
a whole. NF4 holds blocks of 64 numbers as indices into 16 levels with one scale a block; int8
holds one scale an output channel. Neither touches the activations.
Leaves out: which weights are quantised (sources.py), int4 (int4_weight.py) and LoRAs on top
(adapters.py).
Sources: QLoRA, arXiv 2305.14314 (NF4); kernels from bitsandbytes and PyTorch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn, Protocol

import torch
import torch.nn.functional as F

from core.aligned import aligned
from core.config import Quantization
from core.int4_weight import Int4Weight, fits_int4

LOGGER: Final = logging.getLogger(__name__)

_NF4_BLOCK: Final = 64
_ROWS_PACKED_AT_ONCE: Final = 4096  # what packing needs beside the result stays small
_NF4_ROWS_AT_ONCE: Final = 64  # rows whose float32 copy fits a core's cache
# bitsandbytes packs 32 output rows together for the CPU and cannot split a block between rows.
_NF4_OUT_MULTIPLE: Final = 32
# Above so many rows PyTorch's int8 kernel, made for single tokens, loses to unpack-and-multiply.
_INT8_PACKED_MAX_ROWS: Final = 32
_INT8_MULTIPLE: Final = 16
# The kernel rounds what it is given and what it returns to bfloat16. In float32, whose rows are to
# say alone what they say side by side, a matrix that is unpacked in no time goes without it.
_INT8_SMALL: Final = 2**17  # numbers in a matrix


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


class Nf4Weight:
    """A matrix in NF4, multiplied by bitsandbytes.

    On a CPU with AVX512-BF16 and in bfloat16 the codes are laid out for its fused kernel;
    elsewhere on a CPU bitsandbytes unpacks the matrix for every product.

    Args:
        weight: the matrix, of a shape fit for the kernel (`fits_nf4`).
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        bnb = _bitsandbytes()
        self._dtype = dtype
        self._matmul = bnb.matmul_4bit
        if weight.device.type == "cpu" and is_nf4_quick(dtype):
            self._codes, self._state = _nf4_packed_for_cpu(weight)
        else:
            self._codes, self._state = _nf4_quantize(weight.to(dtype))

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._state.shape[0], self._state.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        product: torch.Tensor = self._matmul(x, self._codes, quant_state=self._state)
        return product

    @classmethod
    def restored(cls, codes: torch.Tensor, absmax: torch.Tensor, dtype: torch.dtype) -> Nf4Weight:
        """The weight that `stored` gave these tensors of."""
        bnb, weight = _bitsandbytes(), cls.__new__(cls)
        is_packed = absmax.dtype == torch.bfloat16
        num_out, num_blocks = absmax.shape[::-1] if is_packed else absmax.shape
        weight._matmul, weight._dtype, weight._codes = bnb.matmul_4bit, dtype, codes
        weight._state = bnb.functional.QuantState(
            absmax=absmax if is_packed else absmax.flatten(),
            shape=torch.Size((num_out, num_blocks * _NF4_BLOCK)),
            code=bnb.functional.get_4bit_type("nf4", device=codes.device),
            blocksize=_NF4_BLOCK,
            quant_type="nf4",
            dtype=dtype,
        )
        weight._state.packing_format_for_cpu = is_packed
        return weight

    def stored(self) -> tuple[str, dict[str, torch.Tensor]]:
        """A kind for `restored`, and tensors.

        The blocks' scales are float32 of shape (out, in / 64), or as the fused kernel's layout has
        them, bfloat16 of shape (in / 64, out).
        """
        absmax = self._state.absmax
        if absmax.ndim == 1:
            absmax = absmax.view(self.shape[0], -1)
        return "nf4", {"codes": self._codes, "absmax": absmax}

    def dequantize(self) -> torch.Tensor:
        """The matrix as the kernel sees it: its product with the identity."""
        identity = torch.eye(self.shape[1], dtype=self._dtype, device=self._codes.device)
        return self.multiply(identity).T.contiguous()


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
    def restored(cls, levels: torch.Tensor, scales: torch.Tensor, dtype: torch.dtype) -> Int8Weight:
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
            product = F.linear(rows, self._levels.to(x.dtype)) * self._scales.to(x.dtype)
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
        return Int8Weight(weight, dtype)
    if quantization == "nf4" and fits_nf4(weight.shape):
        return Nf4Weight(weight, dtype)
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
        kind: "plain", "nf4", "int4" or "int8".
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
        case "int4":
            return Int4Weight.restored(**tensors, dtype=dtype)
        case "int8":
            return Int8Weight.restored(**tensors, dtype=dtype)
    raise ValueError(f"{kind!r} is no kind of weight")


def fits_nf4(shape: Sequence[int]) -> bool:
    """Whether bitsandbytes' kernels can take a matrix of this shape (out, in)."""
    num_out, num_in = shape
    return num_out % _NF4_OUT_MULTIPLE == 0 and num_in % _NF4_BLOCK == 0


def is_nf4_quick(dtype: torch.dtype) -> bool:
    """Whether NF4 on this CPU is not unpacked for every product, with activations of a type."""
    return dtype == torch.bfloat16 and has_fast_nf4_cpu()


def has_fast_nf4_cpu() -> bool:
    """Whether this CPU runs bitsandbytes' fused NF4 kernel (AVX512-BF16)."""
    return bool(_bitsandbytes().functional.has_avx512bf16())


def _nf4_quantize(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Codes and state in bitsandbytes' own layout."""
    functional = _bitsandbytes().functional
    if weight.device.type != "cpu":
        codes, state = functional.quantize_4bit(
            weight.contiguous(), blocksize=_NF4_BLOCK, quant_type="nf4"
        )
        return codes, state
    levels = functional.get_4bit_type("nf4", device="cpu")
    codes, largest = _nf4_codes(weight, levels)
    state = functional.QuantState(
        absmax=largest,
        shape=weight.shape,
        code=levels,
        blocksize=_NF4_BLOCK,
        quant_type="nf4",
        dtype=weight.dtype,
    )
    return codes, state


def _nf4_packed_for_cpu(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Codes and state in the layout of the fused kernel, packed some rows at a time.

    The packing takes eight times the codes' memory while it goes on.
    """
    codes, scales = [], []
    for start in range(0, weight.shape[0], _ROWS_PACKED_AT_ONCE):
        rows = weight[start : start + _ROWS_PACKED_AT_ONCE].bfloat16()
        part, state = _bitsandbytes().functional._convert_weight_packed_for_cpu(
            *_nf4_quantize(rows)
        )
        codes.append(part)
        scales.append(state.absmax)
    state.shape, state.absmax = weight.shape, torch.cat(scales, 1)
    return torch.cat(codes), state


def _nf4_codes(weight: torch.Tensor, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same codes as bitsandbytes' CPU routine gives, in a quarter of its time.

    Returns:
        Two codes a byte, the first in the high half, shape (numel / 2, 1), and every block's
        largest magnitude, float32, shape (numel / 64,).
    """
    middles = ((levels[1:] + levels[:-1]) / 2).tolist()
    codes = torch.empty(weight.shape, dtype=torch.uint8)
    largest = torch.empty(weight.shape[0], weight.shape[1] // _NF4_BLOCK)
    for start in range(0, weight.shape[0], _NF4_ROWS_AT_ONCE):
        rows = slice(start, start + _NF4_ROWS_AT_ONCE)
        blocks = weight[rows].float().view(-1, _NF4_BLOCK)
        magnitudes = blocks.abs().amax(dim=1)
        blocks = blocks / magnitudes.clamp(min=1e-30)[:, None]
        index = torch.zeros(blocks.shape, dtype=torch.uint8)
        for middle in middles:
            index += blocks > middle
        codes[rows] = index.view(-1, weight.shape[1])
        largest[rows] = magnitudes.view(-1, largest.shape[1])
    pairs = codes.view(-1, 2)
    return (pairs[:, :1] << 4) | pairs[:, 1:], largest.view(-1)


def _bitsandbytes() -> Any:
    """bitsandbytes, imported when first needed: it takes a second and a text test never does."""
    # It warns about an optional package that would fetch kernels from the network: not for us.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    with _without_compiling():
        import bitsandbytes

    return bitsandbytes


@contextmanager
def _without_compiling() -> Iterator[None]:
    """Inside, torch.compile refuses.

    bitsandbytes wraps fallbacks that we never call in torch.compile while it is imported, which
    imports the whole compiler; refused, it leaves them as they are.
    """

    def refuse(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("not while bitsandbytes is imported")

    compile_ = torch.compile
    torch.compile = refuse
    try:
        yield
    finally:
        torch.compile = compile_
