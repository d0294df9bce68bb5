"""Which frames of a clip say which of its words, so that a head can be told where to listen.

The audio encoder's stage throws its head away; a new one is fitted to what the finished encoder
says of the clips, and the likeliest of CTC's paths through the right words is followed.
Sources: forced alignment with CTC: Kürzinger and others, "CTC-segmentation of large corpora"
(SPECOM 2020, arXiv 2007.09127).
Leaves out: which words of a reply are among them (heard_in_reply.py) and CTC's classes (ctc.py).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from torch import nn

from core.tokenizer import Tokenizer
from core.training.ctc import SpokenTokens
from core.training.exchange import words_of
from core.training.heard_in_reply import WordFrames

NUM_STEPS: Final = 400
NUM_CLIPS_A_STEP: Final = 64
LEARNING_RATE: Final = 1e-2


def frames_of_words(
    encodings: Mapping[int, torch.Tensor],
    said: Sequence[str],
    spoken: SpokenTokens,
    tokenizer: Tokenizer,
) -> dict[int, WordFrames]:
    """Where each word of the clips that are learned from is said.

    Args:
        encodings: of the clips, (num_frames, audio hidden), on the CPU.
        said: what each clip says.
        spoken: the same as classes.
    Returns:
        By clip, of each of `words_of` what it says, frames; clips too short for it are left out.
    """
    head = fitted_head(encodings, spoken)
    found: dict[int, WordFrames] = {}
    for index, classes in enumerate(spoken.trained):
        with torch.no_grad():
            log_probs = head(encodings[index].float()).log_softmax(-1).numpy()
        path = likeliest_path(log_probs, classes, spoken.blank)
        if path is not None:
            words = words_of(said[index]).split()
            found[index] = _by_word(path, [_num_tokens(tokenizer, word) for word in words])
    return found


def fitted_head(encodings: Mapping[int, torch.Tensor], spoken: SpokenTokens) -> nn.Linear:
    """A linear layer that tells classes from what the encoder says, learned by CTC.

    Args:
        encodings: of all clips that are learned from, on the CPU.
    """
    torch.manual_seed(4)
    head = nn.Linear(encodings[0].shape[-1], spoken.blank + 1)
    optimizer = torch.optim.Adam(head.parameters(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, NUM_STEPS)
    rng = random.Random("word_frames")
    num = min(NUM_CLIPS_A_STEP, len(encodings))
    for _ in range(NUM_STEPS):
        indices = rng.sample(range(len(encodings)), num)
        kept = [encodings[index].float() for index in indices]
        logits = head(nn.utils.rnn.pad_sequence(kept))
        truth, lengths = [spoken.trained[index] for index in indices], list(map(len, kept))
        loss = spoken.loss(logits.log_softmax(-1), truth, lengths)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head


def likeliest_path(
    log_probs: np.ndarray, classes: Sequence[int], blank: int
) -> list[tuple[int, ...]] | None:
    """Which frames say each of the classes in the likeliest of CTC's paths through all of them.

    Args:
        log_probs: (num_frames, num_classes).
    Returns:
        At least one frame for each class; None: there are too few frames, or no classes.
    """
    if not classes:
        return None
    states = np.full(2 * len(classes) + 1, blank)  # a blank before, between and behind them
    states[1::2] = classes
    may_skip = np.zeros(len(states), np.bool_)  # from a class to another, without a blank
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    scores = np.full(len(states), -np.inf)
    scores[:2] = log_probs[0, states[:2]]
    steps = np.zeros((len(log_probs), len(states)), np.int64)  # how far each came
    for frame, said in enumerate(log_probs[1:], 1):
        one, two = np.full((2, len(states)), -np.inf)
        one[1:], two[2:] = scores[:-1], scores[:-2]
        before = np.stack([scores, one, np.where(may_skip, two, -np.inf)])
        steps[frame] = before.argmax(0)
        scores = before.max(0) + said[states]
    state = len(states) - (1 if scores[-1] >= scores[-2] else 2)  # the last blank or class
    if np.isneginf(scores[state]):
        return None
    frames: list[list[int]] = [[] for _ in classes]
    for frame in range(len(log_probs) - 1, -1, -1):
        if state % 2:
            frames[state // 2].insert(0, frame)
        state -= int(steps[frame, state])
    return [tuple(each) for each in frames]


def _num_tokens(tokenizer: Tokenizer, word: str) -> int:
    return len(tokenizer.encode_text(f" {word}"))


def _by_word(path: Sequence[tuple[int, ...]], num_tokens: Sequence[int]) -> WordFrames:
    """The frames of each word, which are its tokens'."""
    ends = np.cumsum(num_tokens)
    return tuple(
        tuple(frame for token in path[end - num : end] for frame in token)
        for num, end in zip(num_tokens, ends, strict=True)
    )
