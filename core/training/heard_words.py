"""The speech projector's first lesson: a frame that says something becomes the word for it.

The base model has learned to write down, answer and translate sentences that are spread over frames
(as_heard.py): a frame that says a word is the word's embedding, all others are the middle of all
words. Where sounds become that, an adapter has neither to learn what each word sounds like nor to
pass over what is between them.
The classes' scores are how many times as far away the others are. (From differences of squared
distances, a projector learned to be sure of a word by going far beyond it.)
Leaves out: the stages (speech_stages.py) and the classes (ctc.py).
"""

from __future__ import annotations

from typing import Final

import torch

SHARPNESS: Final = 8.0  # a class twice as far away is less likely by 4 to this power
CLOSE: Final = 0.1  # of squared distances: nearer than this is near enough
NEARNESS_WEIGHT: Final = 0.1  # of how near a frame is to what it says


class HeardWords:
    """Where the frames of a sound should point.

    Args:
        embeddings: of the base model, shape (vocab, hidden).
        token_ids: by class, the token; the class behind them, which says nothing new, is the middle
            of all embeddings.
    """

    def __init__(self, embeddings: torch.Tensor, token_ids: tuple[int, ...]) -> None:
        embeddings = embeddings.detach().float()
        self.centres = torch.cat([embeddings[list(token_ids)], embeddings.mean(0, keepdim=True)])

    def log_probs(self, projected: torch.Tensor) -> torch.Tensor:
        """Of each class, from how near its embedding is, as a share of the others'.

        Args:
            projected: (..., hidden).
        Returns:
            (..., num_classes), the blank last.
        """
        squared = (
            projected.pow(2).sum(-1, keepdim=True)
            - 2 * projected @ self.centres.T
            + self.centres.pow(2).sum(-1)
        )
        return (-SHARPNESS * (squared.clamp(min=0) + CLOSE).log()).log_softmax(-1)

    def loss(self, projected: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
        """Cross entropy with what is known of each frame, and how far it is from any class.

        Args:
            projected: (num_frames, hidden).
            chances: of each class, (num_frames, num_classes).
        """
        entropy = -(chances * self.log_probs(projected)).sum(-1).mean()
        return entropy + NEARNESS_WEIGHT * self.distance(projected)

    def distance(self, projected: torch.Tensor) -> torch.Tensor:
        """Mean squared distance from the nearest class: what a loss is sure of, it leaves anywhere.

        Args:
            projected: (..., hidden).
        """
        with torch.no_grad():
            nearest = self.centres[self.log_probs(projected).argmax(-1)]
        return (projected - nearest).pow(2).sum(-1).mean()
