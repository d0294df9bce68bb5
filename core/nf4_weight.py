"""A matrix in NF4: blocks of 64 numbers as indices into 16 levels, with one scale a block.

bitsandbytes multiplies by it, on a CPU with AVX512-BF16 by its fused kernel; where that has VNNI
too it is multiplied in int8, straight from the same codes.
Leaves out: the other kinds of weights (quantize.py), and the product in int8 (int8_products.py).
Sources: QLoRA, arXiv 2305.14314; kernels from bitsandbytes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import torch

from core.int8_products import Int8Product, can_multiply, nf4_product
from core.nf4_kernel import Multiply, fused_multiply
from core.nf4_pack import BLOCK, between, packed

_ROWS_AT_ONCE: Final = 64  # rows whose float32 copy fits a core's cache
# bitsandbytes packs 32 output rows together for the CPU and cannot split a block between rows.
_OUT_MULTIPLE: Final = 32
# Packing in machine code pays for its import in a matrix of so many numbers.
PACK_LEAST_NUMBERS: Final = 2**21
# The product of a smaller matrix takes no longer than rounding what it is multiplied by.
INT8_LEAST_NUMBERS: Final = 2**12


class Nf4Weight:
    """A matrix in NF4, multiplied by bitsandbytes.

    On a CPU with AVX512-BF16 and in bfloat16 the codes are laid out for its fused kernel, and for
    ours; elsewhere on a CPU bitsandbytes unpacks the matrix for every product.

    Args:
        weight: the matrix, of a shape fit for the kernel (`fits_nf4`).
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        if weight.device.type == "cpu" and is_nf4_quick(dtype):
            self._hold(*_nf4_packed_for_cpu(weight), dtype)
        else:
            self._hold(*_nf4_quantize(weight.to(dtype)), dtype)

    def _hold(self, codes: torch.Tensor, state: Any, dtype: torch.dtype) -> None:
        self._codes, self._state, self._dtype = codes, state, dtype
        self._matmul = _bitsandbytes().matmul_4bit
        self._fused: Multiply | None = None
        self.in_int8: Int8Product | None = None  # what multiplies by it, where that is in int8
        if getattr(state, "packing_format_for_cpu", False):
            self._fused = fused_multiply(codes, state.absmax)
            if codes.numel() * 2 >= INT8_LEAST_NUMBERS and can_multiply():
                self.in_int8 = nf4_product(codes, state.absmax, state.code)

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._state.shape[0], self._state.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        return self._multiplied(x, self.in_int8 or self._fused)

    def _multiplied(self, x: torch.Tensor, quick: Multiply | None) -> torch.Tensor:
        if quick is not None and x.dtype == torch.bfloat16:
            return quick(x)
        product: torch.Tensor = self._matmul(x, self._codes, quant_state=self._state)
        return product

    @classmethod
    def restored(cls, codes: torch.Tensor, absmax: torch.Tensor, dtype: torch.dtype) -> Nf4Weight:
        """The weight that `stored` gave these tensors of."""
        weight = cls.__new__(cls)
        is_packed = absmax.dtype == torch.bfloat16
        num_out, num_blocks = absmax.shape[::-1] if is_packed else absmax.shape
        flat = absmax if is_packed else absmax.flatten()
        state = _state(flat, (num_out, num_blocks * BLOCK), dtype, is_packed)
        weight._hold(codes, state, dtype)
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
        """The matrix as bitsandbytes sees it: its product with the identity."""
        identity = torch.eye(self.shape[1], dtype=self._dtype, device=self._codes.device)
        return self._multiplied(identity, self._fused).T.contiguous()


def fits_nf4(shape: Sequence[int]) -> bool:
    """Whether bitsandbytes' kernels can take a matrix of this shape (out, in)."""
    num_out, num_in = shape
    return num_out % _OUT_MULTIPLE == 0 and num_in % BLOCK == 0


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
            weight.contiguous(), blocksize=BLOCK, quant_type="nf4"
        )
        return codes, state
    levels = functional.get_4bit_type("nf4", device="cpu")
    codes, largest = _nf4_codes(weight, levels)
    return codes, _state(largest, weight.shape, weight.dtype, is_packed=False)


def _state(absmax: torch.Tensor, shape: Sequence[int], dtype: torch.dtype, is_packed: bool) -> Any:
    """What bitsandbytes wants to know of codes.

    Args:
        absmax: the blocks' scales, in a row, or of shape (in / 64, out) if `is_packed`.
        shape: of the matrix.
        dtype: of the activations.
        is_packed: the codes lie as its fused kernel reads them.
    """
    functional = _bitsandbytes().functional
    state = functional.QuantState(
        absmax=absmax,
        shape=torch.Size(shape),
        code=functional.get_4bit_type("nf4", device=absmax.device),
        blocksize=BLOCK,
        quant_type="nf4",
        dtype=dtype,
    )
    state.packing_format_for_cpu = is_packed
    return state


def _nf4_packed_for_cpu(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Codes and state in the layout of the fused kernel."""
    functional, weight = _bitsandbytes().functional, weight.bfloat16()
    if weight.numel() < PACK_LEAST_NUMBERS:
        return functional._convert_weight_packed_for_cpu(*_nf4_quantize(weight))
    codes, absmax = packed(weight, functional.get_4bit_type("nf4", device="cpu"))
    return codes, _state(absmax, weight.shape, weight.dtype, is_packed=True)


def _nf4_codes(weight: torch.Tensor, levels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same codes as bitsandbytes' CPU routine gives, in a quarter of its time.

    Returns:
        Two codes a byte, the first in the high half, shape (numel / 2, 1), and every block's
        largest magnitude, float32, shape (numel / 64,).
    """
    middles = between(levels).tolist()
    codes = torch.empty(weight.shape, dtype=torch.uint8)
    largest = torch.empty(weight.shape[0], weight.shape[1] // BLOCK)
    for start in range(0, weight.shape[0], _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        blocks = weight[rows].float().view(-1, BLOCK)
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
