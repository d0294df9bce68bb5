"""The base's matrices rounded to NF4: which, for how long, and what then learns beside them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.nf4_weight import Nf4Weight
from core.tokenizer import Tokenizer
from core.training import stages
from core.training.architecture import NUM_DECODER_LAYERS
from core.training.course import Course, dialogue_stage
from core.training.dialogues import Dialogue, text_turn
from core.training.exchange import Split
from core.training.export import stored
from core.training.learner import Learner
from core.training.loop import Schedule
from core.training.materials import Materials
from core.training.nf4_base import base_matrices, is_of_base, nf4_of, round_to_nf4, rounded
from tests.training import random_learner, small_raw_tokenizer


def a_course(folder: Path, learner: Learner) -> Course:
    materials = Materials(folder, 0, 0, 0, lambda *_: None)
    return Course(learner, Tokenizer(small_raw_tokenizer().to_str()), materials)


def typed(rng: random.Random, split: Split) -> Dialogue:
    return Dialogue((text_turn(rng, split),))


def a_matrix() -> torch.Tensor:
    return torch.randn(128, 192, generator=torch.Generator().manual_seed(0)) / 10


def copies(matrices: tuple[nn.Parameter, ...]) -> list[torch.Tensor]:
    return [matrix.detach().clone() for matrix in matrices]


def equal(first: list[torch.Tensor], second: list[torch.Tensor]) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(first, second, strict=True)]


def test_all_four_matrices_of_each_layer_are_rounded_and_nothing_else() -> None:
    learner = random_learner()
    ids = {id(matrix) for matrix in base_matrices(learner)}
    names = [name for name, parameter in learner.named_parameters() if id(parameter) in ids]
    assert len(names) == 4 * NUM_DECODER_LAYERS
    ends = {name.split(".", 3)[3] for name in names}
    assert ends == {
        "self_attn.qkv_proj.weight",
        "self_attn.o_proj.weight",
        "mlp.gate_up_proj.weight",
        "mlp.down_proj.weight",
    }


def test_what_is_rounded_is_what_nf4_keeps_and_stays_so() -> None:
    matrix = a_matrix()
    once = nf4_of(matrix)
    assert 0.02 < float((once - matrix).norm() / matrix.norm()) < 0.15
    blocks = once.view(-1, 64)
    assert max(len(block.unique()) for block in blocks) <= 16
    assert torch.equal(nf4_of(once), once)


def test_rounded_weights_lose_nothing_by_being_stored_and_packed() -> None:
    once = stored(nf4_of(a_matrix()))
    served = Nf4Weight(once.float(), torch.float32).dequantize()
    lost = float((served - once.float()).norm() / once.float().norm())
    assert lost < 0.004  # what bfloat16 has of a number; NF4 alone loses twenty times that


def test_rounded_matrices_that_were_stored_are_rounded_to_the_same() -> None:
    once = stored(nf4_of(a_matrix()))
    assert torch.equal(stored(nf4_of(once.float())), once)


def test_matrices_are_rounded_in_place() -> None:
    matrix = nn.Parameter(a_matrix())
    wanted = nf4_of(matrix.detach())
    round_to_nf4([matrix])
    assert torch.equal(matrix.detach(), wanted)


def test_inside_they_are_rounded_and_behind_what_they_were() -> None:
    matrix = nn.Parameter(a_matrix())
    before, seen = matrix.detach().clone(), nf4_of(matrix.detach())
    with rounded([matrix]):
        assert torch.equal(matrix.detach(), seen)
    assert torch.equal(matrix.detach(), before)
    with pytest.raises(ZeroDivisionError), rounded([matrix]):
        raise ZeroDivisionError
    assert torch.equal(matrix.detach(), before)


def test_gradients_are_those_of_the_rounded_matrices() -> None:
    given = torch.randn(5, 192, generator=torch.Generator().manual_seed(1))
    first, second = nn.Parameter(a_matrix()), nn.Parameter(torch.eye(128))
    with rounded([first]):
        F.linear(F.linear(given, first), second).square().sum().backward()
    wanted = nn.Parameter(nf4_of(a_matrix()))
    F.linear(F.linear(given, wanted), torch.eye(128)).square().sum().backward()
    assert first.grad is not None
    assert wanted.grad is not None
    torch.testing.assert_close(first.grad, wanted.grad)
    assert not torch.equal(first.detach(), wanted.detach())


def test_a_frozen_base_is_rounded_for_good_before_an_adapter_learns(tmp_path: Path) -> None:
    learner = random_learner()
    before = copies(base_matrices(learner))
    lora = learner.parameters("lora.speech.")
    dialogue_stage(a_course(tmp_path, learner), "toy", lora, Schedule(2, 1e-3), 4, typed, "speech")
    after = copies(base_matrices(learner))
    assert not any(equal(after, before))
    assert all(equal(after, [nf4_of(matrix) for matrix in before]))


def test_a_base_that_learns_is_rounded_only_while_its_last_steps_look_at_it(
    tmp_path: Path,
) -> None:
    learner = random_learner()
    stage = stages.text(a_course(tmp_path, learner))
    assert any(map(is_of_base, stage.parameters))
    matrices = base_matrices(learner)
    exact = copies(matrices)
    first_rounded = round(stages.EXACT_SHARE * stage.schedule.num_steps)
    with stage.around(first_rounded - 1):
        assert all(equal(copies(matrices), exact))
    with stage.around(first_rounded):
        assert all(equal(copies(matrices), [nf4_of(matrix) for matrix in exact]))
    assert all(equal(copies(matrices), exact))


def test_a_finished_base_that_goes_on_is_rounded_in_every_step(tmp_path: Path) -> None:
    learner = random_learner()
    course = a_course(tmp_path, learner)
    course.goes_on = frozenset({"text"})
    stage = stages.text(course)
    exact = copies(base_matrices(learner))
    with stage.around(0):
        assert not any(equal(copies(base_matrices(learner)), exact))


def test_what_is_validated_is_the_rounded_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = random_learner()
    exact = copies(base_matrices(learner))
    seen: list[torch.Tensor] = []
    stage = stages.text(a_course(tmp_path, learner))
    embed = learner.embed

    def look(*args: object) -> torch.Tensor:
        seen[:] = copies(base_matrices(learner))
        return embed(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(learner, "embed", look)
    monkeypatch.setattr("core.training.course.NUM_VALIDATION", 4)
    stage.validate()
    assert all(equal(seen, [nf4_of(matrix) for matrix in exact]))
    assert all(equal(copies(base_matrices(learner)), exact))
