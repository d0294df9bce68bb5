"""What moves the weights: Muon for the matrices inside layers, AdamW for everything else.

Muon takes every direction of a matrix equally seriously, so that rare facts are learned about as
fast as common ones; embeddings, heads, filters, vectors and biases are not maps between layers,
and AdamW suits them. Leaves out: learning rates over time (loop.py).
Source: Jordan et al., "Muon" (2024); scaled to AdamW's step as in arXiv 2502.16982.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

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
    parameters: Mapping[str, nn.Parameter], learning_rate: float, weight_decay: float
) -> list[Optimizer]:
    """The optimizers that learn these parameters together; none is left out or shared.

    Args:
        parameters: by name.
        learning_rate: the peak, the same for all.
        weight_decay: on matrices only.
    """
    hidden = [p for name, p in parameters.items() if is_hidden_matrix(name, p)]
    tables = [p for name, p in parameters.items() if p.ndim > 1 and not is_hidden_matrix(name, p)]
    vectors = [p for p in parameters.values() if p.ndim <= 1]
    groups = [
        {"params": tables, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizers: list[Optimizer] = []
    if hidden:
        kind = Muon if has_fast_bfloat16(hidden[0].device.type) else Float32Muon
        optimizers.append(
            kind(
                hidden,
                lr=learning_rate,
                weight_decay=weight_decay,
                adjust_lr_fn="match_rms_adamw",
            )
        )
    if tables or vectors:
        optimizers.append(AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True))
    return optimizers


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
                key: value.to("cpu" if key == "step" else parameter.device)
                for key, value in state.items()
            }
