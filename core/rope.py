"""LongRoPE: rotary positions with a hard switch between two sets of frequencies.

A sequence of at most `original_max_position_embeddings` tokens uses the short factors, a longer
one the long factors, for all of its positions. Keys made under one regime are of no use under
the other; the cache row remembers its own (kv_cache.py).
Leaves out: the interpolating kinds of RoPE, which this family does not use.
Source: LongRoPE, arXiv 2402.13753; factors and scaling as in Phi-4-multimodal's config.json.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from transformers import Phi4MultimodalConfig

RopeRegime = Literal["short", "long"]


class Rope:
    """The rotary tables of one architecture.

    Args:
        config: the architecture.
        device: where tables are made.
        dtype: what tables are rounded to; angles are always computed in float32.
    """

    def __init__(
        self, config: Phi4MultimodalConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.switch_num_tokens = _switch_num_tokens(config)
        self.scaling = _scaling(config)
        self._dtype = dtype
        self._frequencies: dict[RopeRegime, torch.Tensor] = {
            "short": _frequencies(config, "short").to(device),
            "long": _frequencies(config, "long").to(device),
        }

    @property
    def num_turned(self) -> int:
        """How many of a head's numbers are rotated, the first ones."""
        return 2 * self._frequencies["short"].shape[0]

    def regime(self, num_tokens: int) -> RopeRegime:
        """The regime of a whole sequence of so many tokens."""
        return "long" if num_tokens > self.switch_num_tokens else "short"

    def tables(
        self, starts: Sequence[int], num_tokens: int, regimes: Sequence[RopeRegime]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines for `num_tokens` positions from each row's start on.

        Returns:
            Two tensors of shape (num_rows, num_tokens, 1, rotary_dim), scaled.
        """
        frequencies = self.frequencies(regimes)
        device = frequencies.device
        offsets = torch.arange(num_tokens, device=device)
        positions = torch.tensor(starts, device=device)[:, None] + offsets
        return self.rotation(positions, frequencies)

    def frequencies(self, regimes: Sequence[RopeRegime]) -> torch.Tensor:
        """Radians a token turns each pair in each row, shape (num_rows, rotary_dim / 2)."""
        return torch.stack([self._frequencies[regime] for regime in regimes])

    def rotation(
        self, positions: torch.Tensor, frequencies: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`tables` of positions and frequencies that lie on the device already.

        Args:
            positions: integers, shape (num_rows, num_tokens).
            frequencies: as `frequencies` gives them.
        """
        angles = positions[:, :, None].float() * frequencies[:, None, :]
        angles = torch.cat((angles, angles), dim=-1)[:, :, None, :]
        cos, sin = angles.cos() * self.scaling, angles.sin() * self.scaling
        return cos.to(self._dtype), sin.to(self._dtype)


def rotate(heads: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate the first `rotary_dim` numbers of every head; the rest passes through.

    Args:
        heads: queries or keys, shape (num_rows, num_tokens, num_heads, head_dim).
        cos, sin: from `Rope.tables`.
    """
    rotary_dim = cos.shape[-1]
    turned, passed = heads[..., :rotary_dim], heads[..., rotary_dim:]
    first, second = turned.chunk(2, dim=-1)
    crossed = torch.cat((-second, first), dim=-1)
    return torch.cat((turned * cos + crossed * sin, passed), dim=-1)


def _frequencies(config: Phi4MultimodalConfig, regime: RopeRegime) -> torch.Tensor:
    """Radians a token turns each pair, float32, shape (rotary_dim / 2,)."""
    parameters = config.rope_parameters
    head_dim = config.hidden_size // config.num_attention_heads
    rotary_dim = int(head_dim * parameters.get("partial_rotary_factor", 1.0))
    exponents = torch.arange(0, rotary_dim, 2).float() / rotary_dim
    base = 1.0 / parameters["rope_theta"] ** exponents
    if parameters["rope_type"] == "default":
        return base
    return base / torch.tensor(parameters[f"{regime}_factor"], dtype=torch.float32)


def _switch_num_tokens(config: Phi4MultimodalConfig) -> int:
    if config.rope_parameters["rope_type"] == "default":
        return int(config.max_position_embeddings)
    return int(config.rope_parameters["original_max_position_embeddings"])


def _scaling(config: Phi4MultimodalConfig) -> float:
    """The factor on cosines and sines, the same in both regimes (1.19024 for the checkpoint)."""
    parameters = config.rope_parameters
    if parameters["rope_type"] == "default":
        return 1.0
    if parameters.get("attention_factor") is not None:
        return float(parameters["attention_factor"])
    original = _switch_num_tokens(config)
    stretch = parameters.get("factor") or config.max_position_embeddings / original
    if stretch <= 1.0:
        return 1.0
    return math.sqrt(1.0 + math.log(stretch) / math.log(original))
