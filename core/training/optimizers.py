"""What moves the weights: Muon for the matrices inside layers, AdamW for everything else.

Muon takes every direction of a matrix equally seriously, so that rare facts are learned about as
fast as common ones; embeddings, heads, filters, vectors and biases are not maps between layers,
and AdamW suits them. Leaves out: learning rates over time (loop.py).
Source: Jordan et al., "Muon" (2024); scaled to AdamW's step as in arXiv 2502.16982.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from core.config import has_fast_bfloat16
from core.training.float32_muon import Float32Muon

# Parts of names whose matrices are tables or heads, not maps between layers.
NOT_HIDDEN: Final = ("embed_tokens.", "position_embedding", "bias_values", "head.")


def is_hidden_matrix(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter maps one layer's numbers to the next one's."""
    return parameter.ndim == 2 and not any(part in name for part in NOT_HIDDEN)


def make_optimizers(
    parameters: Mapping[str, nn.Parameter],
    learning_rate: float,
    weight_decay: float,
    slower: Mapping[str, float] = MappingProxyType({}),
) -> list[Optimizer]:
    """The optimizers that learn these parameters together; none is left out or shared.

    Args:
        parameters: by name.
        learning_rate: the peak.
        weight_decay: on matrices only.
        slower: what names begin with -> the share of the learning rate that these parameters get,
            which each group keeps as "share".
    """
    hidden, others = _Groups(), _Groups()
    for name, parameter in parameters.items():
        share = next((share for begin, share in slower.items() if name.startswith(begin)), 1.0)
        if is_hidden_matrix(name, parameter):
            hidden.add(parameter, weight_decay, share)
        else:  # tables and heads; vectors
            others.add(parameter, weight_decay if parameter.ndim > 1 else 0.0, share)
    optimizers: list[Optimizer] = []
    if hidden.groups:
        device = hidden.groups[0]["params"][0].device
        kind = Muon if has_fast_bfloat16(device.type) else Float32Muon
        rule = "match_rms_adamw"
        optimizers.append(kind(hidden.groups, lr=learning_rate, adjust_lr_fn=rule))
    if others.groups:
        optimizers.append(AdamW(others.groups, lr=learning_rate, betas=(0.9, 0.98), fused=True))
    return optimizers


class _Groups:
    """Parameters that are treated alike, together, as optimizers take them."""

    def __init__(self) -> None:
        self.groups: list[dict[str, Any]] = []

    def add(self, parameter: nn.Parameter, weight_decay: float, share: float) -> None:
        """Put a parameter to those like it."""
        said = {"weight_decay": weight_decay, "share": share}
        for group in self.groups:
            if said.items() <= group.items():
                group["params"].append(parameter)
                return
        self.groups.append({"params": [parameter], **said})


def state_tensors(optimizers: list[Optimizer], parameter: nn.Parameter) -> dict[str, torch.Tensor]:
    """What the optimizers remember of a parameter, by their own names for it."""
    found: dict[str, torch.Tensor] = {}
    for optimizer in optimizers:
        found.update(optimizer.state.get(parameter, {}))
    return found


def restore_state(
    optimizers: list[Optimizer], parameter: nn.Parameter, state: Mapping[str, torch.Tensor]
) -> None:
    """Give the optimizer of a parameter back what `state_tensors` told of it."""
    for optimizer in optimizers:
        if any(p is parameter for group in optimizer.param_groups for p in group["params"]):
            optimizer.state[parameter] = {
                key: value.to(parameter.device) for key, value in state.items()
            }
