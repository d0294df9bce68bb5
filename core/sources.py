"""Where a model's pieces come from: a checkpoint, packed as they are read, or prepared before.

Leaves out: putting them together (loader.py), the files (checkpoint.py, prepared.py).
"""

from __future__ import annotations

from typing import Final, Protocol

import torch

from core.checkpoint import Checkpoint
from core.config import ModelOptions, Quantization
from core.int4_weight import has_fast_int4_cpu
from core.int8_weight import Int8RowsWeight, is_int8_quick
from core.key_map import LoraKey
from core.nf4_weight import is_nf4_quick
from core.quantize import Weight, quantize
from core.two_bit_weight import TwoBitWeight, fits_two_bits

# Numbers in an encoder's matrix from which on it is multiplied in int8.
ENCODER_LEAST_NUMBERS: Final = 2**20


class Source(Protocol):
    """Gives pieces by name, one at a time."""

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor by native name, as it is stored."""

    def linear(self, name: str) -> Weight:
        """A decoder linear by native name without `.weight`, packed."""

    def lora_factor(self, key: LoraKey) -> Weight:
        """A factor of a LoRA, packed; B is scaled by alpha / rank."""

    def coarse_head(self, name: str) -> Weight:
        """The output matrix, whose exact tensor has this name, packed."""

    def encoder_linear(self, name: str) -> Weight:
        """A matrix of an encoder's layer by native name with `.weight`, packed or not."""


class CheckpointSource:
    """Packs a checkpoint's matrices as they are asked for.

    Args:
        checkpoint: the opened folder.
        options: nothing left on "auto".
    """

    def __init__(self, checkpoint: Checkpoint, options: ModelOptions) -> None:
        self._checkpoint = checkpoint
        self._quantization = options.quantization
        self._dtype, self._encoder_dtype = options.torch_dtype, options.encoder_dtype
        self._device = torch.device(options.device)

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor by native name, as it is stored."""
        return self._checkpoint.tensor(name)

    def linear(self, name: str) -> Weight:
        """A decoder linear by native name without `.weight`, packed."""
        return self._packed(self.tensor(f"{name}.weight"), self._quantization, name)

    def lora_factor(self, key: LoraKey) -> Weight:
        """A factor of a LoRA; on a CPU in 8 bits where the matrices are in 8 or fewer."""
        factor = self._checkpoint.lora_factor(key)
        if key.factor == "B":
            factor = factor.float() * self._checkpoint.adapters[key.adapter].scale
        is_packed = self._quantization != "none" and self._device.type == "cpu"
        held_in: Quantization = "int8" if is_packed else "none"  # a GPU has no kernel for it
        return self._packed(factor, held_in, f"the LoRA on {key.linear}")

    def coarse_head(self, name: str) -> Weight:
        """The output matrix, whose exact tensor has this name, packed.

        In two bits beside NF4, where they are multiplied quickly: it finds candidates alone.
        """
        matrix = self.tensor(name)
        may_be_coarser = self._quantization == "nf4" and self._device.type == "cpu"
        if may_be_coarser and is_int8_quick(self._dtype) and fits_two_bits(matrix.shape):
            return TwoBitWeight(matrix, self._dtype)
        return self._packed(matrix, self._coarse_kind, "lm_head")

    def encoder_linear(self, name: str) -> Weight:
        """A matrix of an encoder's layer: in int8 where it is quick and the matrix is large.

        Encoders are given hundreds of rows at once, which 4 bits would have to be unpacked for.
        """
        matrix = self.tensor(name)
        may_be_packed = self._quantization != "none" and self._device.type == "cpu"
        is_large = matrix.numel() >= ENCODER_LEAST_NUMBERS
        if may_be_packed and is_large and is_int8_quick(self._dtype):
            return Int8RowsWeight(matrix, self._dtype)
        return quantize(matrix.to(self._device), "none", self._encoder_dtype, name)

    @property
    def _coarse_kind(self) -> Quantization:
        """The linears' own, but never NF4 that is unpacked for every token."""
        if self._quantization != "nf4" or self._device.type != "cpu":
            return self._quantization
        if is_nf4_quick(self._dtype):
            return "nf4"
        return "int4" if has_fast_int4_cpu() else "int8"

    def _packed(self, matrix: torch.Tensor, quantization: Quantization, name: str) -> Weight:
        return quantize(matrix.to(self._device), quantization, self._dtype, name)
