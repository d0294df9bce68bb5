"""Parts of a model that go into a folder come out of it, and nothing else does."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.errors import BadModelError
from core.hub import BUNDLED_FOLDER
from core.tokenizer import Tokenizer
from core.training.architecture import is_run
from core.training.course import Course, shares_right
from core.training.described import described_picture
from core.training.dialogues import Dialogue, Turn, text_turn
from core.training.examples import collate_by_length
from core.training.export import base_tensors, stored
from core.training.learner import Learner
from core.training.materials import Materials
from core.training.parts import FILE_NAME, PARTS, load_parts, save_parts
from core.training.start_from import tokenizer_of
from tests.training import random_learner, small_raw_tokenizer, without_compiler


def nothing(what: str, num_done: int, num_all: int) -> None:
    """Progress that nobody sees."""


def kept(learner: Learner) -> dict[str, torch.Tensor]:
    """A learner's tensors as they are now, as a folder would have them."""
    return {name: stored(tensor) for name, tensor in base_tensors(learner).items()}


@pytest.mark.parametrize("stages", [["text"], ["vision_encoder", "speech_encoder"], list(PARTS)])
def test_what_was_saved_is_given_to_another_learner(stages: list[str], tmp_path: Path) -> None:
    first, other = random_learner(seed=0), random_learner(seed=1)
    save_parts(first, small_raw_tokenizer(), stages, tmp_path)
    before = kept(other)
    assert load_parts(other, tmp_path) == set(stages)
    wanted, after = kept(first), kept(other)
    prefixes = tuple(prefix for stage in stages for prefix in PARTS[stage])
    given = [name for name in after if name.startswith(prefixes) and is_run(name)]
    assert given
    assert all(torch.equal(after[name], wanted[name]) for name in given)
    others = set(after) - set(given)
    assert others
    assert all(torch.equal(after[name], before[name]) for name in others)


def test_the_vocabulary_comes_along(tmp_path: Path) -> None:
    save_parts(random_learner(), small_raw_tokenizer(), ["text"], tmp_path)
    assert tokenizer_of(tmp_path).to_str() == small_raw_tokenizer().to_str()


def bundled_learner() -> Learner:
    """A learner with the bundled vocabulary, base and encoders."""
    with pytest.MonkeyPatch.context() as patch:
        without_compiler(patch)
        learner = Learner(tokenizer_of(BUNDLED_FOLDER), 0, "cpu")
    assert load_parts(learner, BUNDLED_FOLDER) == set(PARTS)
    return learner


def share_right(make: Callable[[random.Random], Dialogue]) -> float:
    """Of 200 held-out dialogues without media: replies of a base whose every token is likeliest."""
    learner, tokenizer = bundled_learner(), Tokenizer(tokenizer_of(BUNDLED_FOLDER).to_str())
    course = Course(learner, tokenizer, Materials(BUNDLED_FOLDER, 0, 0, 0, nothing))
    encode, rng = course.row_encoder("held_out").encode, random.Random("shipped")
    batches = collate_by_length(
        [encode(make(rng)) for _ in range(200)], learner.config.pad_token_id, 4
    )
    hits = []
    with torch.no_grad(), learner.autocast():
        for batch in batches:
            embeddings = learner.embed(batch, None, None, "speech")
            hits.append(learner.loss_and_hits(batch, embeddings, None)[1])
    return shares_right(batches, hits)["exact"]


def test_the_shipped_base_answers_held_out_text() -> None:
    assert share_right(lambda rng: Dialogue((text_turn(rng, "held_out"),))) > 0.94


def test_the_shipped_base_reads_scenes_told_in_words() -> None:
    def told(rng: random.Random) -> Dialogue:
        first, *_ = described_picture(rng, "held_out")
        return Dialogue((Turn((first.question,), first.answer),))

    assert share_right(told) > 0.72  # the one before it was right in seven of ten


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
