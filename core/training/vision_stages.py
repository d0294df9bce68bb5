"""The vision stages: the encoder on its own, projector, + encoder, + LoRA, then two pictures."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final, get_args

import numpy as np
import torch
from torch import nn

from core.training.architecture import is_run
from core.training.course import NUM_VALIDATION, Course, MakeDialogue, dialogue_stage
from core.training.dialogues import Dialogue, Pick, pair_dialogue, picture_dialogue
from core.training.exchange import Split
from core.training.learner import Learner, picture_tensors
from core.training.locality import begin_whitened
from core.training.loop import Schedule, Stage
from core.training.parts import ADAPTER_STAGES
from core.training.patch_heads import Guess
from core.training.patch_labels import NUM_PATCHES
from core.training.picture_augment import LabelledCrops, augment, joined, labelled_crops
from core.training.scene_list import scene_at
from core.training.slot_heads import VisionHeads, shares_told, slots_of_batch
from core.training.slots import SAID, slots_of
from core.training.word_alignment import WordTargets

NUM_WHITENED: Final = 256  # pictures that the first layer's components are taken from
NUM_ENCODER_STEPS: Final = 3000
BATCH_SIZE: Final = 64
SHEETS_SHARE: Final = 0.25  # of a batch
WHOLE_SHARE: Final = 0.6  # of the batches are seen as the global view is: padding is picture
MOVED_SHARE: Final = 0.5  # of these are moved and mirrored, and not asked for places
NUM_POINTED_AT: Final = 6000  # pictures that the projector learns words from
NUM_POINTED: Final = 128  # of them in a step
PAIRS_SHARE: Final = 0.6  # the rest are single pictures, not to forget them
WORDS_SHARE: Final = 0.5  # of each kind; a projector that says words says more of them right
# The projector already says words; a LoRA that is still at a loss would talk it out of them.
PROJECTOR_SHARE: Final = 0.25  # of the LoRA's learning rate
_IMAGE_EMBED: Final = "model.embed_tokens_extend.image_embed."
_PROJECTIONS: Final = ("img_projection_up", "img_projection_down")


def vision_encoder(course: Course) -> Stage:
    """The vision encoder and throw-away heads: what does each patch show, what each token tell?"""
    learner, materials = course.learner, course.materials
    pictures, sheets = materials.pictures("train"), materials.practice_sheets()
    if "vision_encoder" not in course.goes_on:
        first, _ = picture_tensors(pictures, tuple(range(min(NUM_WHITENED, len(pictures)))))
        begin_whitened(learner.media.image_embed.img_processor, first)
    torch.manual_seed(1)
    width = learner.config.vision_config.hidden_size
    heads = VisionHeads(width).to(learner.device)
    trunk = vision_encoder_parameters(learner)
    parameters = {**trunk, **{f"head.{n}": p for n, p in heads.named_parameters()}}
    num_sheets = min(round(BATCH_SIZE * SHEETS_SHARE), len(sheets))

    def guesses(batch: LabelledCrops, slots: torch.Tensor, is_trunk_kept: bool) -> list[Guess]:
        """What the heads say of a batch."""
        with learner.autocast():
            with torch.no_grad() if is_trunk_kept else nullcontext():
                patches = learner.encode_patches(batch.crops, batch.masks)
            return heads.guesses(patches, batch.patch_labels, slots)

    def loss(step: int) -> torch.Tensor:
        """Of scenes and words, and of some sheets, which have too many letters to be told."""
        rng = random.Random(f"vision_encoder-{step}")
        numbers = [materials.pick(rng, "train") for _ in range(BATCH_SIZE - num_sheets)]
        shown = materials.shown("train", numbers)
        practice = labelled_crops(sheets, sorted(rng.sample(range(len(sheets)), num_sheets)))
        batch = joined([labelled_crops(shown, range(len(shown))), practice])
        is_moved = False
        if rng.random() < WHOLE_SHARE:
            batch = batch.without_padding()
            if is_moved := rng.random() < MOVED_SHARE:
                batch = augment(batch, (batch.characters > 0).any((1, 2)), rng)
        scenes = [] if is_moved else [scene_at("train", number) for number in numbers]
        slots = slots_of_batch(scenes, batch.masks)
        is_trunk_kept = course.begins_with_head("vision_encoder", step)
        return torch.stack([guess.loss() for guess in guesses(batch, slots, is_trunk_kept)]).sum()

    @torch.no_grad()
    def validate() -> dict[str, float]:
        unseen = materials.pictures("held_out")
        numbers = range(min(NUM_VALIDATION, len(unseen)))
        batch = labelled_crops(unseen, numbers).without_padding()
        scenes = [scene_at("held_out", number) for number in numbers]
        found = guesses(batch, slots_of_batch(scenes, batch.masks), is_trunk_kept=True)
        accuracies = {guess.name: guess.accuracy() for guess in found}
        return {**accuracies, **shares_told(found[-len(SAID) :], len(numbers))}

    learner.freeze_all_but(parameters)
    schedule = Schedule(
        course.steps(NUM_ENCODER_STEPS), course.rate("vision_encoder", 2.5e-3), weight_decay=0.05
    )
    return Stage("vision_encoder", parameters, schedule, loss, validate)


def vision_encoder_parameters(learner: Learner) -> dict[str, nn.Parameter]:
    """What of the vision encoder ever runs: layer -2 feeds the decoder."""
    trunk = learner.parameters("model.embed_tokens_extend.image_embed.img_processor.")
    return {name: parameter for name, parameter in trunk.items() if is_run(name)}


def vision_projector_parameters(learner: Learner) -> dict[str, nn.Parameter]:
    """The projector, and what stands at the ends of a picture's rows and of its views."""
    names = (*_PROJECTIONS, "global_img", "sub_img")
    return learner.parameters(*(_IMAGE_EMBED + name for name in names))


def vision_projector(course: Course) -> Stage:
    """The vision projector alone: what a token tells becomes the words for it.

    Encoder and language model are frozen, and neither is run but to read pictures once.
    """
    learner, whole = course.learner, np.ones((NUM_PATCHES, NUM_PATCHES), np.bool_)
    image = learner.media.image_embed
    projections = (image.img_projection_up, image.img_projection_down)
    targets = WordTargets(course.tokenizer, learner.decoder.embed_tokens.weight)
    numbers = {split: _first_numbers(course, split) for split in get_args(Split)}

    def shown(split: Split, numbers: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The projector's tokens of global views, (num, 25, hidden), and what they should tell."""
        kept = course.picture_encodings(split, tuple(numbers))
        rows = torch.stack([kept[number][0][0] for number in numbers]).to(learner.device)
        slots = np.stack([slots_of(scene_at(split, number), whole) for number in numbers])
        told = torch.from_numpy(slots).long().to(learner.device)
        return learner.project_picture(rows.float()), told

    def prepare() -> None:
        for split, first in numbers.items():
            course.picture_encodings(split, first)

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"vision_projector-{step}")
        projected, told = shown("train", rng.choices(numbers["train"], k=NUM_POINTED))
        return targets.loss(projected, *targets.of_tokens(told))

    @torch.no_grad()
    def validate() -> dict[str, float]:
        return targets.shares_heard(*shown("held_out", numbers["held_out"][:NUM_VALIDATION]))

    def says_words() -> bool:
        return min(validate().values()) > WORDS_SHARE

    course.begin_anew("vision", projections, says_words, *ADAPTER_STAGES["vision"])
    parameters = learner.parameters(*(_IMAGE_EMBED + name for name in _PROJECTIONS))
    learner.freeze_all_but(parameters)
    schedule = Schedule(course.steps(800), course.rate("vision_projector", 3e-3))
    return Stage("vision_projector", parameters, schedule, loss, validate, prepare)


def _first_numbers(course: Course, split: Split) -> tuple[int, ...]:
    """Of the pictures that the projector learns words from."""
    return tuple(course.materials.scenes(split)[:NUM_POINTED_AT])


def vision_joint(course: Course) -> Stage:
    """Vision encoder and projector; the language model is frozen and has no adapter."""
    learner = course.learner
    parameters = {**vision_encoder_parameters(learner), **vision_projector_parameters(learner)}
    schedule = Schedule(course.steps(150), course.rate("vision_joint", 4e-4))
    make = _maker(course, picture_dialogue)
    return dialogue_stage(
        course, "vision_joint", parameters, schedule, 32, make, learns_encoder=True
    )


def vision(course: Course) -> Stage:
    """Projector and LoRA, on questions about pictures; the encoder is frozen.

    Half of a step would go into the encoder, and be better spent in the stages before.
    """
    parameters = _projector_and_adapter(course.learner)
    schedule = Schedule(
        course.steps(2800), course.rate("vision", 2.5e-3), slower={_IMAGE_EMBED: PROJECTOR_SHARE}
    )
    make = _maker(course, picture_dialogue)
    return dialogue_stage(course, "vision", parameters, schedule, 32, make, "vision")


def vision_pairs(course: Course) -> Stage:
    """Projector and LoRA on two pictures in one question; the encoder is frozen."""
    parameters = _projector_and_adapter(course.learner)

    def make(rng: random.Random, split: Split) -> Dialogue:
        one_or_two = pair_dialogue if rng.random() < PAIRS_SHARE else picture_dialogue
        return one_or_two(rng, split, course.materials.pick)

    schedule = Schedule(course.steps(900), course.rate("vision_pairs", 1.5e-3))
    return dialogue_stage(course, "vision_pairs", parameters, schedule, 32, make, "vision")


def _projector_and_adapter(learner: Learner) -> dict[str, nn.Parameter]:
    return {**vision_projector_parameters(learner), **learner.parameters("lora.vision.")}


def _maker(course: Course, make: Callable[[random.Random, Split, Pick], Dialogue]) -> MakeDialogue:
    return lambda rng, split: make(rng, split, course.materials.pick)
