"""Where words are said: the likeliest path through them, the head for it, and replies' words."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from core.training.ctc import SpokenTokens, collapsed, spoken_tokens
from core.training.heard_in_reply import heard_in
from core.training.word_frames import fitted_head, frames_of_words, likeliest_path
from tests.training import small_tokenizer

BLANK = 3


def random_log_probs(num_frames: int, seed: int) -> np.ndarray:
    scores = torch.randn(num_frames, BLANK + 1, generator=torch.Generator().manual_seed(seed))
    return (3 * scores).log_softmax(-1).numpy()


def best_of_all_paths(log_probs: np.ndarray, classes: tuple[int, ...]) -> tuple[int, ...]:
    """By trying every path."""
    paths = itertools.product(range(BLANK + 1), repeat=len(log_probs))
    right = [path for path in paths if collapsed(path, BLANK) == classes]
    return max(right, key=lambda path: sum(log_probs[range(len(path)), list(path)]))


@pytest.mark.parametrize("classes", [(0,), (1, 2), (1, 1), (0, 2, 0)])
@pytest.mark.parametrize("seed", range(5))
def test_no_path_that_reads_right_is_likelier(classes: tuple[int, ...], seed: int) -> None:
    log_probs = random_log_probs(6, seed)
    frames = likeliest_path(log_probs, classes, BLANK)
    assert frames is not None
    path = [BLANK] * len(log_probs)
    for class_, said_by in zip(classes, frames, strict=True):
        for frame in said_by:
            path[frame] = class_
    assert tuple(path) == best_of_all_paths(log_probs, classes)


@pytest.mark.parametrize(
    ("num_frames", "classes", "is_long_enough"),
    [(2, (0, 1), True), (1, (0, 1), False), (2, (1, 1), False), (3, (1, 1), True), (4, (), False)],
)
def test_a_clip_that_is_too_short_has_no_path(
    num_frames: int, classes: tuple[int, ...], is_long_enough: bool
) -> None:
    path = likeliest_path(random_log_probs(num_frames, 0), classes, BLANK)
    assert (path is not None) == is_long_enough


SAID = ("Two cats.", "two dogs", "Dogs, two cats?", "cats two")


def encodings_that_tell(spoken: SpokenTokens, num: int) -> dict[int, torch.Tensor]:
    """Of clips whose third, sixth, ... frames point where their classes are, and others nowhere."""
    directions = 3 * torch.eye(spoken.blank, 16)
    clips = {}
    for index in range(num):
        classes = spoken.trained[index]
        frames = torch.zeros(3 * len(classes) + 2, 16)
        frames[2 : 3 * len(classes) : 3] = directions[list(classes)]
        clips[index] = frames.bfloat16()
    return clips


def test_words_are_found_in_the_frames_that_tell_them() -> None:
    tokenizer = small_tokenizer()
    rng = random.Random(0)
    said = [rng.choice(SAID) for _ in range(60)]
    spoken = spoken_tokens(tokenizer, said, ())
    found = frames_of_words(encodings_that_tell(spoken, 60), said, spoken, tokenizer)
    assert len(found) == 60
    for index, words in found.items():
        num_tokens = [
            len(tokenizer.encode_text(f" {word.strip('.,?').lower()}"))
            for word in said[index].split()
        ]
        ends = np.cumsum(num_tokens)
        for frames, num, end in zip(words, num_tokens, ends, strict=True):
            assert set(frames) >= {3 * token + 2 for token in range(end - num, end)}
            assert all(3 * (end - num) <= frame < 3 * end + 2 for frame in frames)


def test_the_same_head_is_fitted_again() -> None:
    spoken = spoken_tokens(small_tokenizer(), SAID, ())
    one, other = (fitted_head(encodings_that_tell(spoken, len(SAID)), spoken) for _ in range(2))
    assert torch.equal(one.weight, other.weight)


@pytest.mark.parametrize(
    ("reply", "spoken", "heard"),
    [
        ("What is it?", "What is it?", {"What": (0,), "is": (1,), "it": (2,)}),
        ("The dog sees the cat.", "the dog sees the cat", {"The": (0,), "the": (3,)}),
        ("A dog. <sep> Ein Hund.", "A dog.", {"dog": (1,), "Ein": (), "Hund": ()}),
        ("Oslo is the capital of Norway.", "The capital of Norway?", {"Oslo": (), "Norway": (3,)}),
        ("31 plus 5 is 36.", "Add thirty one and five.", {"31": (1, 2), "5": (4,), "36": ()}),
        ("A dog has 4 legs.", "A dog or a dog?", {"dog": (), "legs": ()}),
        ("999 dogs.", "nine dogs", {"999": (), "dogs": (1,)}),
        ("It's a dog.", "It's what?", {"It's": (0,)}),
    ],
)
def test_words_of_a_reply_are_found_in_what_was_heard(
    reply: str, spoken: str, heard: dict[str, tuple[int, ...]]
) -> None:
    found = {reply[word.start : word.end]: word.words for word in heard_in(reply, spoken)}
    assert found | heard == found
