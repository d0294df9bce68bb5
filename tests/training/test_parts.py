"""Parts of a model that go into a folder come out of it, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.errors import BadModelError
from core.training.export import base_tensors
from core.training.parts import FILE_NAME, PARTS, load_parts, save_parts
from core.training.start_from import tokenizer_of
from tests.training import random_learner, small_raw_tokenizer


@pytest.mark.parametrize("stages", [["text"], ["vision_encoder", "speech_encoder"], list(PARTS)])
def test_what_was_saved_is_given_to_another_learner(stages: list[str], tmp_path: Path) -> None:
    first, other = random_learner(seed=0), random_learner(seed=1)
    save_parts(first, small_raw_tokenizer(), stages, tmp_path)
    before = base_tensors(other)
    assert load_parts(other, tmp_path) == set(stages)
    wanted, after = base_tensors(first), base_tensors(other)
    prefixes = tuple(prefix for stage in stages for prefix in PARTS[stage])
    given = [name for name in after if name.startswith(prefixes)]
    assert given
    assert all(torch.equal(after[name], wanted[name]) for name in given)
    others = set(after) - set(given)
    assert others
    assert all(torch.equal(after[name], before[name]) for name in others)


def test_the_vocabulary_comes_along(tmp_path: Path) -> None:
    save_parts(random_learner(), small_raw_tokenizer(), ["text"], tmp_path)
    assert tokenizer_of(tmp_path).to_str() == small_raw_tokenizer().to_str()


@pytest.mark.parametrize("content", [None, b"", b"not a safetensors file"])
def test_a_folder_without_parts_is_a_sentence(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(BadModelError, match="has no part of a model of this recipe"):
        load_parts(random_learner(), tmp_path)


def test_half_a_part_is_no_part(tmp_path: Path) -> None:
    learner = random_learner()
    half = {"text": ("model.layers.0.",)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("core.training.parts.PARTS", half)
        save_parts(learner, small_raw_tokenizer(), ["text"], tmp_path)
    with pytest.raises(BadModelError, match="has no part"):
        load_parts(learner, tmp_path)
