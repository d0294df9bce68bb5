"""bitsandbytes' fused NF4 kernel for CPUs with AVX512-BF16, called as it is.

The way through bitsandbytes and PyTorch's dispatcher takes longer than the call itself, for each of
the matrices of every token. Leaves out: everything else about NF4 (nf4_weight.py).
Source: the arguments are those of bitsandbytes' backends/cpu/ops.py.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_int64, c_void_p
from functools import cache
from typing import Any, Final

import torch

Multiply = Callable[[torch.Tensor], torch.Tensor]
NAME: Final = "gemv_4bit_inference_cpu_nf4_bf16"


@cache
def _kernel() -> Any:
    """The kernel, or None where bitsandbytes has none of the name or this CPU cannot run it."""
    from bitsandbytes.cextension import lib
    from bitsandbytes.functional import has_avx512bf16

    return getattr(lib, NAME, None) if has_avx512bf16() else None


def has_fused_kernel() -> bool:
    """Whether it is there."""
    return _kernel() is not None


def fused_multiply(codes: torch.Tensor, absmax: torch.Tensor) -> Multiply | None:
    """What multiplies by a matrix; None: the kernel is not there.

    Args:
        codes: as bitsandbytes' packing lays them out, uint8, shape (out, in / 2).
        absmax: bfloat16, shape (in / 64, out). Both stay where they are, and in use.
    Returns:
        Of bfloat16 rows, shape (..., in), the product with the matrix's transpose, (..., out).
    """
    kernel = _kernel()
    if kernel is None:
        return None
    num_blocks, num_out = absmax.shape
    num_in = 2 * codes.shape[1]
    block, out, in_ = c_int64(num_in // num_blocks), c_int64(num_out), c_int64(num_in)

    def multiply(x: torch.Tensor) -> torch.Tensor:
        """Of bfloat16 rows on the CPU, whose last numbers may lie apart."""
        rows = x.reshape(-1, num_in).contiguous()
        product = torch.empty(len(rows), num_out, dtype=torch.bfloat16)
        if not len(rows):  # the kernel divides by it
            return product.view(*x.shape[:-1], num_out)
        kernel(
            c_int64(len(rows)),
            out,
            in_,
            c_void_p(rows.data_ptr()),
            c_void_p(codes.data_ptr()),
            c_void_p(absmax.data_ptr()),
            c_void_p(product.data_ptr()),
            block,
            in_,
            out,
        )
        return product.view(*x.shape[:-1], num_out)

    return multiply
