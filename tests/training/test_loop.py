"""The optimisation loop: a stage that is killed and started again ends as an unbroken one."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from core.errors import BadModelError
from core.training import loop
from core.training.loop import Schedule, Stage, learn

NUM_STEPS = 20


class KilledError(Exception):
    """Stands for the end of the process."""


class Toy:
    """A stage that fits a line, counts its steps, and can be killed at one of them."""

    def __init__(self, num_steps: int = NUM_STEPS, killed_at: int = -1) -> None:
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3)
        self.steps: list[int] = []
        self.killed_at = killed_at
        schedule = Schedule(num_steps, 0.05, num_warmup=4, weight_decay=0.1)
        self.stage = Stage(
            "toy", dict(self.linear.named_parameters()), schedule, self.loss, self.validate
        )

    def loss(self, step: int) -> torch.Tensor:
        if step == self.killed_at:
            raise KilledError
        self.steps.append(step)
        generator = torch.Generator().manual_seed(step)
        given = torch.randn(8, 4, generator=generator)
        return F.mse_loss(self.linear(given), given[:, :3])

    def validate(self) -> dict[str, float]:
        return {"error": float((self.linear.weight - torch.eye(3, 4)).detach().abs().max())}

    def weights(self) -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in self.linear.parameters()]


def same(first: list[torch.Tensor], second: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("killed_at", [1, 7, NUM_STEPS - 1])
def test_a_killed_stage_goes_on_and_ends_with_the_weights_of_an_unbroken_one(
    killed_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = Toy()
    learn(unbroken.stage, tmp_path / "unbroken")
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1.0)  # a checkpoint after every step
    killed = Toy(killed_at=killed_at)
    with pytest.raises(KilledError):
        learn(killed.stage, tmp_path)
    resumed = Toy()
    learn(resumed.stage, tmp_path)
    assert resumed.steps == list(range(killed_at, NUM_STEPS))
    assert same(resumed.weights(), unbroken.weights())
    assert not same(resumed.weights(), killed.weights())


def test_a_stage_killed_before_its_first_checkpoint_begins_anew(tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        learn(Toy(killed_at=5).stage, tmp_path)
    again = Toy()
    learn(again.stage, tmp_path)
    assert again.steps == list(range(NUM_STEPS))


def test_a_checkpoint_that_was_cut_off_while_being_written_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "toy.part").write_bytes(b"half a check")
    toy = Toy()
    learn(toy.stage, tmp_path)
    assert toy.steps == list(range(NUM_STEPS))
    assert not (tmp_path / "toy.part").exists()


def test_a_finished_stage_takes_no_step_and_gives_its_weights_back(tmp_path: Path) -> None:
    first, again = Toy(), Toy()
    figures = learn(first.stage, tmp_path)
    assert learn(again.stage, tmp_path) == figures
    assert again.steps == []
    assert same(again.weights(), first.weights())


def test_a_stage_with_little_time_takes_fewer_steps_and_still_anneals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 2.0)
    hurried, again = Toy(num_steps=1000), Toy(num_steps=1000)
    learn(hurried.stage, tmp_path, limit_s=60.0)
    assert 50 <= len(hurried.steps) <= 61
    schedule = hurried.stage.schedule
    assert schedule.num_steps == len(hurried.steps)
    assert schedule.rate_at(len(hurried.steps)) == pytest.approx(0.02)
    learn(again.stage, tmp_path, limit_s=60.0)
    assert again.steps == []


def test_a_hurried_stage_that_is_killed_goes_on_as_slowly_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(seconds))))
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 2.0)
    monkeypatch.setattr(loop, "CHECKPOINT_EVERY_S", -1.0)
    killed = Toy(num_steps=1000, killed_at=40)
    with pytest.raises(KilledError):
        learn(killed.stage, tmp_path, limit_s=60.0)
    before = killed.stage.schedule.rate_at(40)
    resumed = Toy(num_steps=1000)
    rates: list[float] = []

    def noting(step: int) -> torch.Tensor:
        rates.append(resumed.stage.schedule.rate_at(step))
        return resumed.loss(step)

    resumed.stage.loss = noting
    learn(resumed.stage, tmp_path, limit_s=20.0)
    assert before < 0.5
    assert max(rates) <= before + 0.01


def test_a_finished_stage_with_a_longer_plan_goes_on(tmp_path: Path) -> None:
    learn(Toy(num_steps=12).stage, tmp_path, limit_s=1e6)
    longer = Toy(num_steps=24)
    assert not loop.is_finished(longer.stage, tmp_path)
    learn(longer.stage, tmp_path, limit_s=1e6)
    assert longer.steps == list(range(12, 24))
    assert loop.is_finished(Toy(num_steps=24).stage, tmp_path)


def test_a_checkpoint_of_another_width_is_refused(tmp_path: Path) -> None:
    learn(Toy().stage, tmp_path)
    other = Toy()
    other.stage.parameters["bias"] = nn.Parameter(torch.zeros(1))
    with pytest.raises(BadModelError, match="learned other weights"):
        learn(other.stage, tmp_path)


def test_a_checkpoint_of_other_weights_is_refused_and_named(tmp_path: Path) -> None:
    learn(Toy().stage, tmp_path)
    other = Toy()
    other.stage.parameters.pop("bias")
    with pytest.raises(BadModelError, match=r"toy\.safetensors was left by a recipe"):
        learn(other.stage, tmp_path)


def test_a_stage_with_time_enough_takes_all_its_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY_S", -1.0)
    toy = Toy()
    learn(toy.stage, tmp_path, limit_s=3600.0)
    assert toy.steps == list(range(NUM_STEPS))


def test_figures_and_losses_are_written_down(tmp_path: Path) -> None:
    toy = Toy(num_steps=200)
    figures = learn(toy.stage, tmp_path)
    record = json.loads((tmp_path / "toy.json").read_text())
    assert record["figures"] == figures
    assert (record["name"], record["num_steps"]) == ("toy", 200)
    assert record["loss"][-1][0] == 200
    assert figures["error"] < 0.1


def test_vectors_do_not_decay_and_matrices_do(tmp_path: Path) -> None:
    toy = Toy(num_steps=30)
    toy.stage.loss = lambda _: 0.0 * (toy.linear.weight.sum() + toy.linear.bias.sum())
    before = toy.weights()
    learn(toy.stage, tmp_path)
    weight, bias = toy.weights()
    assert weight.abs().sum() < before[0].abs().sum()
    assert torch.equal(bias, before[1])


@pytest.mark.parametrize(("num_steps", "num_warmup"), [(1000, 100), (40, 100), (2, 100), (60, 5)])
def test_the_learning_rate_rises_to_its_peak_and_falls_to_a_fiftieth(
    num_steps: int, num_warmup: int
) -> None:
    schedule = Schedule(num_steps, 1.0, num_warmup)
    rates = [schedule.rate_at(step) for step in range(num_steps)]
    peak = rates.index(max(rates))
    assert max(rates) == 1.0
    assert peak + 1 == min(num_warmup, max(1, num_steps // 10))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert schedule.rate_at(num_steps) == pytest.approx(0.02)
    assert min(rates) >= 0.01


def test_what_is_to_learn_slower_does(tmp_path: Path) -> None:
    """With no share of the rate it does not learn at all."""
    toy = Toy()
    before = toy.weights()
    toy.stage.schedule.slower = {"bias": 0.0}
    learn(toy.stage, tmp_path)
    moved = [not torch.equal(a, b) for a, b in zip(before, toy.weights(), strict=True)]
    assert dict(zip(toy.stage.parameters, moved, strict=True)) == {"weight": True, "bias": False}
