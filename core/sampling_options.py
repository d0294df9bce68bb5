"""How a reply is sampled: the knobs a caller may set, with their limits.

Leaves out: the sampling itself (sampler.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import BadOptionError


@dataclass(frozen=True)
class SamplingOptions:
    """One reply's sampling. The defaults are greedy, as the model card recommends.

    Args:
        max_new_tokens: the reply ends after so many tokens, with finish reason "length".
        temperature: 0.0 is greedy; up to 2.0.
        top_p: keep the likeliest tokens that together reach this probability, in (0, 1].
        top_k: keep so many of the likeliest tokens; 0 keeps all.
        min_p: drop tokens less likely than this share of the likeliest one's, in [0, 1).
        seed: the same seed gives the same reply; None takes a fresh one.
        stop: the reply ends before the first of these strings.
        prediction: what the reply is expected to be, such as the text before an edit: the reply
            is the same without it, and sooner there where it is right.
    Raises:
        BadOptionError: a value lies outside its range.
    """

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    prediction: str = ""

    def __post_init__(self) -> None:
        ranges = (
            (self.max_new_tokens >= 1, "the longest reply must be at least 1 token"),
            (0.0 <= self.temperature <= 2.0, "temperature must lie between 0 and 2"),
            (0.0 < self.top_p <= 1.0, "top_p must lie above 0 and at most at 1"),
            (self.top_k >= 0, "top_k must be 0 (all tokens) or more"),
            (0.0 <= self.min_p < 1.0, "min_p must lie between 0 and 1, 1 left out"),
            (self.seed is None or isinstance(self.seed, int), "a seed must be a whole number"),
            (all(self.stop), "a stop string must not be empty"),
        )
        for holds, sentence in ranges:
            if not holds:
                started = sentence[:1].upper() + sentence[1:]
                raise BadOptionError(f"{started}: change it and try again.")
