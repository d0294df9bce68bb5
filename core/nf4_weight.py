"""A matrix in NF4: blocks of 64 numbers as indices into 16 levels, with one scale a block.

bitsandbytes multiplies by it, on a GPU and on a CPU where our own loops do not run: by its fused
kernel where there is AVX512-BF16. Leaves out: NF4 for our loops (nf4_rows_weight.py), and the other
kinds of weights (quantize.py).
Sources: QLoRA, arXiv 2305.14314; kernels from bitsandbytes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, NoReturn

import torch

from core.instructions import can_run_loops
from core.int8_layout import BLOCK
from core.nf4_codes import nf4_codes
from core.nf4_kernel import Multiply, fused_multiply, has_fused_kernel

# bitsandbytes packs 32 output rows together for the CPU and cannot split a block between rows.
_OUT_MULTIPLE: Final = 32


class Nf4Weight:
    """A matrix in NF4, multiplied by bitsandbytes.

    On a CPU with AVX512-BF16 and in bfloat16 the codes are laid out for its fused kernel; elsewhere
    on a CPU it unpacks the matrix for every product.

    Args:
        weight: the matrix, of a shape fit for the kernel (`fits_nf4`).
        dtype: the activations' type.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        codes, state = _nf4_quantize(weight.to(dtype))
        if weight.device.type == "cpu" and dtype == torch.bfloat16 and has_fused_kernel():
            codes, state = _bitsandbytes().functional._convert_weight_packed_for_cpu(codes, state)
        self._hold(codes, state, dtype)

    def _hold(self, codes: torch.Tensor, state: Any, dtype: torch.dtype) -> None:
        self._codes, self._state, self._dtype = codes, state, dtype
        self._matmul = _bitsandbytes().matmul_4bit
        self._fused: Multiply | None = None
        if getattr(state, "packing_format_for_cpu", False):
            self._fused = fused_multiply(codes, state.absmax)

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in)."""
        return (self._state.shape[0], self._state.shape[1])

    def multiply(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix's transpose."""
        if self._fused is not None and x.dtype == torch.bfloat16:
            return self._fused(x)
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
        return self.multiply(identity).T.contiguous()


def fits_nf4(shape: Sequence[int]) -> bool:
    """Whether bitsandbytes' kernels can take a matrix of this shape (out, in)."""
    num_out, num_in = shape
    return num_out % _OUT_MULTIPLE == 0 and num_in % BLOCK == 0


def is_nf4_quick(dtype: torch.dtype) -> bool:
    """Whether NF4 on this CPU is not unpacked for every product, with activations of a type."""
    return dtype == torch.bfloat16 and has_quick_nf4()


def has_quick_nf4() -> bool:
    """Whether this CPU runs our loops, or bitsandbytes' fused NF4 kernel (AVX512-BF16)."""
    return can_run_loops() or has_fused_kernel()


def _nf4_quantize(weight: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """Codes and state in bitsandbytes' own layout."""
    functional = _bitsandbytes().functional
    if weight.device.type != "cpu":
        codes, state = functional.quantize_4bit(
            weight.contiguous(), blocksize=BLOCK, quant_type="nf4"
        )
        return codes, state
    codes, largest = nf4_codes(weight)
    pairs = codes.view(-1, 2)  # the first in a byte's high half
    state = _state(largest.view(-1), weight.shape, weight.dtype, is_packed=False)
    return (pairs[:, :1] << 4) | pairs[:, 1:], state


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
