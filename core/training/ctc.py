"""Connectionist temporal classification: what an audio encoder learns from before it meets words.

Leaves out: the encoder and the stage (speech_stages.py).
Source: Graves et al., "Connectionist temporal classification" (ICML 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F

from core.tokenizer import Tokenizer
from core.training.examples import IGNORED
from core.training.exchange import words_of

UNSEEN: Final = -1  # the class of a token that no training clip says


@dataclass(frozen=True)
class SpokenTokens:
    """What clips say, as classes: the tokens that training clips say, in order, and the blank.

    Args:
        trained, held_out: each clip's classes.
        token_ids: by class, the token.
        num_letters: by class, how long a token takes to say.
    """

    trained: tuple[tuple[int, ...], ...]
    held_out: tuple[tuple[int, ...], ...]
    token_ids: tuple[int, ...]
    num_letters: tuple[int, ...]

    @property
    def blank(self) -> int:
        """The class of "nothing new", behind all others."""
        return len(self.num_letters)

    def loss(
        self,
        log_probs: torch.Tensor,
        truth: Sequence[Sequence[int]],
        num_frames: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """CTC's loss of some clips.

        Args:
            log_probs: (num_frames, num_clips, num_classes).
            truth: the classes that each clip says.
            num_frames: of each clip (default: all have as many).
        """
        return ctc_loss(log_probs, truth, self.blank, num_frames)

    def flat_start_loss(
        self,
        log_probs: torch.Tensor,
        truth: Sequence[Sequence[int]],
        mels: Sequence[np.ndarray],
    ) -> torch.Tensor:
        """Cross entropy with `flat_alignment`, for the first steps; arguments as in `loss`."""
        labels = torch.full(log_probs.shape[:2], IGNORED)
        for row, (classes, mel) in enumerate(zip(truth, mels, strict=True)):
            aligned = flat_alignment(mel, classes, self.num_letters)
            labels[: len(aligned), row] = torch.tensor(aligned)
        return F.nll_loss(log_probs.flatten(0, 1), labels.flatten().to(log_probs.device))


def ctc_loss(
    log_probs: torch.Tensor,
    truth: Sequence[Sequence[int]],
    blank: int,
    num_frames: Sequence[int] | None = None,
) -> torch.Tensor:
    """CTC's loss of some clips, each by how much it says; arguments as in SpokenTokens.loss."""
    lengths = torch.tensor([len(classes) for classes in truth])
    flat = torch.tensor([class_ for classes in truth for class_ in classes])
    frames = torch.tensor(num_frames or [log_probs.shape[0]] * len(truth))
    return F.ctc_loss(log_probs, flat, frames, lengths, blank, zero_infinity=True)


def spoken_tokens(
    tokenizer: Tokenizer, trained: Sequence[str], held_out: Sequence[str]
) -> SpokenTokens:
    """The classes of what is said: lower case, without punctuation."""
    targets = [
        [tokenizer.encode_text(f" {words_of(said)}") for said in split]
        for split in (trained, held_out)
    ]
    token_ids = sorted({id_ for target in targets[0] for id_ in target})
    class_of = {id_: index for index, id_ in enumerate(token_ids)}
    in_classes = [
        tuple(tuple(class_of.get(id_, UNSEEN) for id_ in target) for target in split)
        for split in targets
    ]
    # A token's letters, and one for the pause.
    num_letters = tuple(len(tokenizer.decode([id_]).strip()) + 1 for id_ in token_ids)
    return SpokenTokens(in_classes[0], in_classes[1], tuple(token_ids), num_letters)


def flat_alignment(
    mel: np.ndarray, token_ids: Sequence[int], num_letters: Sequence[int]
) -> list[int]:
    """Which token each encoder frame says, as if speech ran evenly from its begin to its end.

    A wrong but helpful beginning: CTC alone takes thousands of steps to find any alignment.
    Source: the flat start of hidden Markov models (Young et al., The HTK Book).

    Args:
        mel: log-mel frames, shape (num_frames, 80).
        token_ids: what is said.
        num_letters: by token id, how long a token takes.
    Returns:
        A token id for each eight frames; IGNORED in silence and near the tokens' borders.
    """
    energy = mel.astype(np.float32).mean(1)
    low, high = np.percentile(energy, (5, 95))
    loud = np.flatnonzero(energy > low + 0.35 * (high - low))
    begin, end = (loud[0], loud[-1] + 1) if len(loud) else (0, len(mel))
    ends = np.cumsum([num_letters[id_] for id_ in token_ids]) / sum(
        num_letters[id_] for id_ in token_ids
    )
    labels = []
    for frame in range(4, len(mel) + 4, 8):  # the middle of each encoder frame
        position = (frame - begin) / max(1, end - begin)
        index = min(int(np.searchsorted(ends, position)), len(token_ids) - 1)
        first = ends[index - 1] if index else 0.0
        inside = (position - first) / (ends[index] - first)
        labels.append(token_ids[index] if 0.15 < inside < 0.85 else IGNORED)
    return labels


def collapsed(path: Sequence[int], blank: int) -> tuple[int, ...]:
    """CTC's greedy reading of a path: repeats merged, blanks dropped."""
    merged = [id_ for i, id_ in enumerate(path) if i == 0 or id_ != path[i - 1]]
    return tuple(id_ for id_ in merged if id_ != blank)
