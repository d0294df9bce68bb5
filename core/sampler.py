"""Logits -> the next token: greedy, or temperature with top-k, top-p and min-p.

The filters are applied in the order temperature, top-k, top-p, min-p, each to what the one
before left. Leaves out: the options themselves (sampling_options.py).
"""

from __future__ import annotations

import torch

from core.sampling_options import SamplingOptions


class Sampler:
    """One reply's sampler, with its own random numbers.

    Args:
        options: the reply's.
    """

    def __init__(self, options: SamplingOptions) -> None:
        self._options = options
        self._generator = torch.Generator()
        if options.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(options.seed % 2**63)

    def next_token(self, logits: torch.Tensor) -> int:
        """Choose a token.

        Args:
            logits: float32, shape (vocab,).
        Raises:
            RuntimeError: the model computed something that is no number.
        """
        if self._options.temperature == 0.0:
            value, best = logits.max(-1)
            if not bool(value.isfinite()):
                raise RuntimeError(f"the largest logit is {float(value)}")
            return int(best)
        probabilities = self.probabilities(logits.float().cpu())
        return int(torch.multinomial(probabilities, 1, generator=self._generator))

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """What is drawn from, float64, shape (vocab,); tokens that are filtered out have 0."""
        options = self._options
        # The likeliest at 0, and float64: however small the temperature, nothing overflows.
        logits = (logits - logits.max()).double() / options.temperature
        if 0 < options.top_k < logits.shape[0]:
            best = logits.topk(options.top_k)  # exactly so many, even where some are equal
            logits = torch.full_like(logits, -torch.inf).scatter(0, best.indices, best.values)
        probabilities = logits.softmax(-1)
        if options.top_p < 1.0:
            ordered, indices = probabilities.sort(descending=True)
            # A token stays while those before it have not yet reached top_p: the first always.
            dropped = ordered.cumsum(-1) - ordered >= options.top_p
            probabilities[indices[dropped]] = 0.0
        if options.min_p > 0.0:
            floor = options.min_p * probabilities.max()
            probabilities = probabilities.masked_fill(probabilities < floor, 0.0)
        return probabilities / probabilities.sum()
