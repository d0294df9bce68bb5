"""The vision stages: the encoder on its own, projector, + encoder, + LoRA, then two pictures."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import nn

from core.training.course import NUM_VALIDATION, Course, MakeDialogue, dialogue_stage
from core.training.dialogues import Dialogue, pair_dialogue, picture_dialogue
from core.training.exchange import Split
from core.training.learner import Learner, picture_tensors
from core.training.locality import begin_whitened
from core.training.loop import Schedule, Stage
from core.training.patch_heads import Guess, PatchHeads, patch_labels

NUM_WHITENED: Final = 256  # pictures that the first layer's components are taken from
NUM_ENCODER_STEPS: Final = 3000
BATCH_SIZE: Final = 64
LETTERED_SHARE: Final = 0.5  # of a batch: letters are the hardest to learn, and fewer have some
PAIRS_SHARE: Final = 0.6  # the rest are single pictures, not to forget them


def vision_encoder(course: Course) -> Stage:
    """The vision encoder and throw-away heads that say what each patch shows."""
    learner = course.learner
    pictures = course.materials.pictures("train")
    if "vision_encoder" not in course.goes_on:
        first, _ = picture_tensors(pictures, tuple(range(min(NUM_WHITENED, len(pictures)))))
        begin_whitened(learner.media.image_embed.img_processor, first)
    torch.manual_seed(1)
    width = learner.config.vision_config.hidden_size
    heads = PatchHeads(width).to(learner.device)
    trunk = vision_encoder_parameters(learner)
    parameters = {**trunk, **{f"head.{n}": p for n, p in heads.named_parameters()}}
    is_lettered = (pictures.characters > 0).any((1, 2))
    lettered, others = (np.flatnonzero(which).tolist() for which in (is_lettered, ~is_lettered))

    def outputs(rng: random.Random, split: Split, indices: tuple[int, ...]) -> list[Guess]:
        """What the heads say of some pictures' cells."""
        pictures = course.materials.pictures(split)
        crops, masks = picture_tensors(pictures, indices)
        if rng.random() < 0.5:  # as the global view: padding counts as picture
            masks = torch.ones_like(masks)
        with learner.autocast():
            patches = learner.encode_patches(crops, masks)
            return heads.guesses(patches, *patch_labels(pictures, indices, masks))

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"vision_encoder-{step}")
        num = min(BATCH_SIZE, len(pictures))
        num_lettered = min(round(num * LETTERED_SHARE), len(lettered))
        chosen = rng.sample(lettered, num_lettered) + rng.sample(others, num - num_lettered)
        guesses = outputs(rng, "train", tuple(sorted(chosen)))
        return torch.stack([guess.loss() for guess in guesses]).sum()

    @torch.no_grad()
    def validate() -> dict[str, float]:
        num = min(NUM_VALIDATION, len(course.materials.pictures("held_out")))
        guesses = outputs(random.Random("vision"), "held_out", tuple(range(num)))
        return {guess.name: guess.accuracy() for guess in guesses}

    learner.freeze_all_but(parameters)
    schedule = Schedule(
        course.steps(NUM_ENCODER_STEPS), course.rate("vision_encoder", 2.5e-3), weight_decay=0.05
    )
    return Stage("vision_encoder", parameters, schedule, loss, validate)


def vision_encoder_parameters(learner: Learner) -> dict[str, nn.Parameter]:
    """What of the vision encoder ever runs: layer -2 feeds the decoder."""
    trunk = learner.parameters("model.embed_tokens_extend.image_embed.img_processor.")
    last = f".encoder.layers.{learner.config.vision_config.num_hidden_layers - 1}."
    never_run = (last, "post_layernorm", ".img_processor.head.")
    return {name: p for name, p in trunk.items() if not any(part in name for part in never_run)}


def vision_projector_parameters(learner: Learner) -> dict[str, nn.Parameter]:
    prefix = "model.embed_tokens_extend.image_embed."
    names = ("img_projection_up", "img_projection_down", "global_img", "sub_img")
    return learner.parameters(*(prefix + name for name in names))


def vision_projector(course: Course) -> Stage:
    """The vision projector alone; encoder and language model are frozen."""
    parameters = vision_projector_parameters(course.learner)
    schedule = Schedule(course.steps(100), course.rate("vision_projector", 3e-3))
    make = _maker(course, picture_dialogue)
    return dialogue_stage(course, "vision_projector", parameters, schedule, 32, make)


def vision_joint(course: Course) -> Stage:
    """Vision encoder and projector; the language model is frozen and has no adapter."""
    learner = course.learner
    parameters = {**vision_encoder_parameters(learner), **vision_projector_parameters(learner)}
    schedule = Schedule(course.steps(150), course.rate("vision_joint", 1.5e-3))
    make = _maker(course, picture_dialogue)
    return dialogue_stage(
        course, "vision_joint", parameters, schedule, 32, make, learns_encoder=True
    )


def vision(course: Course) -> Stage:
    """Projector and LoRA, on questions about pictures; the encoder is frozen.

    Half of a step would go into the encoder, and be better spent in the stages before.
    """
    parameters = _projector_and_adapter(course.learner)
    schedule = Schedule(course.steps(2400), course.rate("vision", 2.5e-3))
    make = _maker(course, picture_dialogue)
    return dialogue_stage(course, "vision", parameters, schedule, 32, make, "vision")


def vision_pairs(course: Course) -> Stage:
    """Projector and LoRA on two pictures in one question; the encoder is frozen."""
    parameters = _projector_and_adapter(course.learner)

    def make(rng: random.Random, split: Split) -> Dialogue:
        one_or_two = pair_dialogue if rng.random() < PAIRS_SHARE else picture_dialogue
        return one_or_two(rng, split, course.materials.num_pictures(split))

    schedule = Schedule(course.steps(400), course.rate("vision_pairs", 1.5e-3))
    return dialogue_stage(course, "vision_pairs", parameters, schedule, 32, make, "vision")


def _projector_and_adapter(learner: Learner) -> dict[str, nn.Parameter]:
    return {**vision_projector_parameters(learner), **learner.parameters("lora.vision.")}


def _maker(course: Course, make: Callable[[random.Random, Split, int], Dialogue]) -> MakeDialogue:
    return lambda rng, split: make(rng, split, course.materials.num_pictures(split))
