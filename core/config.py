"""How a model is loaded: numbers' type, quantisation, device; and what one LoRA looks like.

Leaves out: the architecture, which is transformers' own Phi4MultimodalConfig (architecture.py),
and the options of the leaves, which live in the leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import torch

from core.errors import BadOptionError
from core.instructions import can_run_loops
from core.router import AdapterName

Dtype = Literal["auto", "float32", "bfloat16"]
Quantization = Literal["auto", "nf4", "int4", "int8", "none"]
Device = Literal["auto", "cpu", "cuda"]
KvCacheDtype = Literal["auto", "int8"]

TORCH_DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class ModelOptions:
    """How to load a model.

    Args:
        dtype: the type of everything that is not quantised; "auto" is bfloat16, or float32 on a
            CPU that would be far slower in it: one where torch is slow in it, unless all that is
            large is quantised and multiplied by our own loops.
        quantization: what the decoder's linears are held in: "nf4" or "int4" 4 bits, "int8" 8
            bits, "none" as they are; "auto" is the 4 bits that are quick here, which a model that
            is loaded decides by its size (loader.py). LoRAs and a large output matrix follow
            (sources.py); everything else is in `dtype`.
        device: "auto" is CUDA where there is one, else the CPU.
        kv_cache: what keys and values are kept in: "int8" is half of "auto", which is `dtype`.
    Raises:
        BadOptionError: a value is not one of those listed.
    """

    dtype: Dtype = "auto"
    quantization: Quantization = "auto"
    device: Device = "auto"
    kv_cache: KvCacheDtype = "auto"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("dtype", self.dtype, get_args(Dtype)),
            ("quantization", self.quantization, get_args(Quantization)),
            ("device", self.device, get_args(Device)),
            ("kv_cache", self.kv_cache, get_args(KvCacheDtype)),
        ):
            if value not in allowed:
                raise BadOptionError(f"{name} is {value!r}: choose one of {', '.join(allowed)}.")

    def resolved(self) -> ModelOptions:
        """The same options with the device and the type decided for this machine.

        Raises:
            BadOptionError: CUDA is asked for where there is none, or int4 on it.
        """
        device = _resolve_device(self.device)
        if self.quantization == "int4" and device != "cpu":
            raise BadOptionError("int4 is for CPUs: choose quantization nf4 for a GPU.")
        dtype = _resolve_dtype(self.dtype, device, self.quantization)
        return replace(self, dtype=dtype, device=device)

    @property
    def torch_dtype(self) -> torch.dtype:
        """`dtype` as torch knows it."""
        return TORCH_DTYPES[self.resolved().dtype]

    @property
    def encoder_dtype(self) -> torch.dtype:
        """What encoders compute in: `dtype`, or float32 where torch's bfloat16 is slow.

        Their convolutions are torch's own.
        """
        return quick_dtype(self.torch_dtype, self.resolved().device)


@dataclass(frozen=True)
class AdapterConfig:
    """One LoRA's shape: what it adds to a linear is `alpha / rank * B(A(x))`."""

    name: AdapterName
    rank: int
    alpha: float

    @property
    def scale(self) -> float:
        """The factor on what the LoRA adds."""
        return self.alpha / self.rank


def has_fast_bfloat16(device: str) -> bool:
    """Whether torch's matrix products in bfloat16 are at least about as fast as in float32.

    Args:
        device: "cpu" or "cuda".
    """
    return device != "cpu" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def quick_dtype(dtype: torch.dtype, device: str) -> torch.dtype:
    """What torch multiplies numbers of a type in: float32 where it is slow in bfloat16."""
    is_slow = dtype == torch.bfloat16 and not has_fast_bfloat16(device)
    return torch.float32 if is_slow else dtype


def _resolve_dtype(dtype: Dtype, device: Device, quantization: Quantization) -> Dtype:
    if dtype != "auto":
        return dtype
    is_quick = has_fast_bfloat16(device) or (quantization != "none" and can_run_loops())
    return "bfloat16" if is_quick else "float32"


def _resolve_device(device: Device) -> Device:
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise BadOptionError("There is no CUDA device here: choose device cpu or auto.")
    if device == "auto":
        return "cuda" if has_cuda else "cpu"
    return device
