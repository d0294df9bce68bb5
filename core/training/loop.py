"""The optimisation loop: steps, learning rates, checkpoints to go on from, progress.

A stage gives a loss for a step number; everything random in it follows from that number, so
that a resumed run sees what an unbroken one would have seen.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer

from core.errors import BadModelError
from core.freed_memory import give_back
from core.training.optimizers import make_optimizers, restore_state, state_tensors
from core.training.pace import Pace

CHECKPOINT_EVERY_S: Final = 60.0
REPORT_EVERY_S: Final = 10.0


@dataclass
class Schedule:
    """How long and how fast a stage learns; `num_steps` shrinks when time is short.

    Args:
        num_steps: optimiser steps.
        learning_rate: the peak, reached after `num_warmup` steps, then a cosine down to 2 %.
        weight_decay: on matrices only.
        slower: what names of parameters begin with -> the share of the learning rate they get.
    """

    num_steps: int
    learning_rate: float
    num_warmup: int = 100
    weight_decay: float = 0.01
    slower: Mapping[str, float] = field(default_factory=dict)

    def rate_at(self, step: int) -> float:
        """The share of the peak learning rate at a step."""
        warmup = min(self.num_warmup, max(1, self.num_steps // 10))
        if step < warmup:
            return (step + 1) / warmup
        done = (step - warmup) / max(1, self.num_steps - warmup)
        return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class Stage:
    """One stage of the recipe.

    Args:
        name: unique; names the checkpoint and the history.
        parameters: what is learned, by a name that is stable between runs.
        schedule: how long and how fast.
        loss: step number -> loss to minimise.
        validate: -> figures worth watching.
        prepare: makes what the first step needs and may take minutes, such as media.
        around: step number -> entered while its loss and gradients are computed.
    """

    name: str
    parameters: dict[str, nn.Parameter]
    schedule: Schedule
    loss: Callable[[int], torch.Tensor]
    validate: Callable[[], dict[str, float]]
    prepare: Callable[[], None] = lambda: None
    around: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()


def learn(stage: Stage, folder: Path, limit_s: float = math.inf) -> dict[str, float]:
    """Run a stage to its end, going on from its checkpoint if there is one.

    Args:
        stage: what is learned.
        folder: where its checkpoint and its record are kept.
        limit_s: fewer steps are taken where all of them would take longer, from here on; the
            stage has been prepared already.
    Returns:
        Its validation figures, also kept in `<folder>/<name>.json` with the loss history.
    Raises:
        BadModelError: the checkpoint is another recipe's: it has other parameters. (What a stage
            learns from may have changed; nobody sees that.)
    """
    schedule = stage.schedule
    optimizers = make_optimizers(
        stage.parameters, schedule.learning_rate, schedule.weight_decay, schedule.slower
    )
    checkpoint = folder / f"{stage.name}.safetensors"
    record_path, num_planned = folder / f"{stage.name}.json", schedule.num_steps
    step, history, num_shortened = _resume(stage, optimizers, checkpoint)
    if is_finished(stage, folder) and step > 0:
        return dict(json.loads(record_path.read_text())["figures"])
    if math.isfinite(limit_s) and step < num_shortened:  # until this run knows better
        schedule.num_steps = num_shortened
    begun = saved = reported = time.monotonic()
    pace = Pace(begun, step)
    while step < schedule.num_steps:
        loss = _take_step(stage, optimizers, step)
        step += 1
        now = time.monotonic()
        if now - reported > REPORT_EVERY_S or step == schedule.num_steps:
            history.append((step, float(loss)))
            is_pace_known, step_s = pace.is_known, pace.mark(now, step)
            if is_pace_known or now > begun + limit_s:
                num_possible = step + max(0.0, (begun + limit_s - now) / step_s)
                schedule.num_steps = int(min(num_planned, num_possible))
            reported = now
            _report(stage, step, history[-1][1], step_s)
            give_back()
        if now - saved > CHECKPOINT_EVERY_S:
            saved = now
            _save(stage, optimizers, checkpoint, step, history, num_planned)
    figures = stage.validate()
    _save(stage, optimizers, checkpoint, step, history, num_planned)
    record = {
        "name": stage.name,
        "num_steps": step,
        "num_planned": num_planned,
        "figures": figures,
        "loss": history,
    }
    record_path.write_text(json.dumps(record, indent=1))
    print(f"  {stage.name}: " + ", ".join(f"{k} {v:.3f}" for k, v in figures.items()), flush=True)
    return figures


def _take_step(stage: Stage, optimizers: list[Optimizer], step: int) -> torch.Tensor:
    """Learn what one step has to teach; its loss before that, detached."""
    schedule = stage.schedule
    with stage.around(step):
        loss = stage.loss(step)
        loss.backward()
    nn.utils.clip_grad_norm_(list(stage.parameters.values()), 1.0)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * schedule.rate_at(step) * group["share"]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.detach()


def is_finished(stage: Stage, folder: Path) -> bool:
    """Whether a run before took all the steps that are planned, or as many as it had time for."""
    path = folder / f"{stage.name}.json"
    if not path.exists() or not path.with_suffix(".safetensors").exists():
        return False
    record: dict[str, Any] = json.loads(path.read_text())
    return bool(record["num_planned"] == stage.schedule.num_steps)


def _save(
    stage: Stage,
    optimizers: list[Optimizer],
    path: Path,
    step: int,
    history: list[tuple[int, float]],
    num_planned: int,
) -> None:
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in stage.parameters.items():
        tensors[f"weight.{name}"] = parameter.detach().contiguous()
        for key, value in state_tensors(optimizers, parameter).items():
            tensors[f"{key}.{name}"] = value.contiguous()
    metadata = {
        "step": str(step),
        "num_steps": str(stage.schedule.num_steps),
        "num_planned": str(num_planned),
        "history": json.dumps(history),
    }
    partial = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, partial, metadata)
    partial.replace(path)


def _resume(
    stage: Stage, optimizers: list[Optimizer], path: Path
) -> tuple[int, list[tuple[int, float]], int]:
    """Steps taken, the losses on the way, and to how many the same plan had been shortened."""
    if not path.exists():
        return 0, [], 0
    with safe_open(path, "pt") as opened:
        metadata = opened.metadata()
    kept: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in load_file(path).items():
        kind, name = key.split(".", 1)
        kept.setdefault(name, {})[kind] = tensor
    shapes = {name: state["weight"].shape for name, state in kept.items()}
    if shapes != {name: parameter.shape for name, parameter in stage.parameters.items()}:
        raise BadModelError(
            f"{path} was left by a recipe whose stage learned other weights: remove it, and the "
            "stage begins anew."
        )
    for name, parameter in stage.parameters.items():
        state = kept[name]
        parameter.data.copy_(state.pop("weight"))
        if state:
            restore_state(optimizers, parameter, state)
    history = [(int(step), float(loss)) for step, loss in json.loads(metadata["history"])]
    is_same_plan = metadata.get("num_planned") == str(stage.schedule.num_steps)
    return int(metadata["step"]), history, int(metadata["num_steps"]) if is_same_plan else 0


def _report(stage: Stage, step: int, loss: float, step_s: float) -> None:
    left_s = (stage.schedule.num_steps - step) * step_s
    line = (
        f"  {stage.name:<20} step {step}/{stage.schedule.num_steps}  loss {loss:.3f}  "
        f"{step_s * 1000:.0f} ms a step  {left_s / 60:.1f} min left"
    )
    end = "\r" if sys.stdout.isatty() and step < stage.schedule.num_steps else "\n"
    print(line, end=end, flush=True)
