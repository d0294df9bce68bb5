"""torch's Muon with its matrix products in float32, for CPUs that are slow in bfloat16.

torch 2.13 orthogonalises in bfloat16 whatever the gradients are. On a CPU without instructions for
it those few products take several times as long as the whole rest of a step.
Source: Jordan et al., "Muon" (2024), for the iteration; the coefficients are those of the group.
Leaves out: which weights it moves (optimizers.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.optim import Muon


class Float32Muon(Muon):
    """Muon with `adjust_lr_fn="match_rms_adamw"` and Nesterov momentum; takes torch's arguments."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient.

        Args:
            closure: not supported.
        """
        if closure is not None:
            raise NotImplementedError("Float32Muon takes no closure")
        for group in self.param_groups:
            rate, momentum = float(group["lr"]), group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                average = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
                direction = orthogonalised(
                    weight.grad.lerp(average, momentum),
                    group["ns_coefficients"],
                    group["ns_steps"],
                    group["eps"],
                )
                weight.mul_(1 - rate * group["weight_decay"])
                # As long a step as AdamW's (arXiv 2502.16982).
                weight.add_(direction, alpha=-rate * 0.2 * math.sqrt(max(weight.shape)))


def orthogonalised(
    matrix: torch.Tensor,
    coefficients: tuple[float, float, float],
    num_iterations: int,
    eps: float,
) -> torch.Tensor:
    """The matrix with all its singular values near 1 (0.7 to 1.2), by Newton-Schulz iterations.

    Args:
        matrix: float32, shape (rows, columns).
        coefficients: of x, x^3 and x^5 in each iteration.
        num_iterations: five are enough.
        eps: least norm that a matrix is divided by.
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = matrix.T if is_tall else matrix
    wide = wide / wide.norm().clamp(min=eps)
    linear, cubic, quintic = coefficients
    for _ in range(num_iterations):
        gram = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(gram, gram, gram, beta=cubic, alpha=quintic), wide, beta=linear
        )
    return wide.T if is_tall else wide
