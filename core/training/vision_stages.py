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
from core.training.patch_heads import Guess, PatchHeads
from core.training.picture_augment import LabelledCrops, augment, joined, labelled_crops
from core.training.word_alignment import WordTargets

NUM_WHITENED: Final = 256  # pictures that the first layer's components are taken from
NUM_ENCODER_STEPS: Final = 3000
BATCH_SIZE: Final = 64
WHOLE_SHARE: Final = 0.6  # of the batches are seen as the global view is: padding is picture
MOVED_SHARE: Final = 0.5  # of these are moved and mirrored, and not asked for places
NUM_POINTED_AT: Final = 6000  # pictures that the projector learns words from
NUM_POINTED: Final = 128  # of them in a step
PAIRS_SHARE: Final = 0.6  # the rest are single pictures, not to forget them
# The projector already says words; a LoRA that is still at a loss would talk it out of them.
PROJECTOR_SHARE: Final = 0.25  # of the LoRA's learning rate
_IMAGE_EMBED: Final = "model.embed_tokens_extend.image_embed."
_PROJECTIONS: Final = ("img_projection_up", "img_projection_down")


def vision_encoder(course: Course) -> Stage:
    """The vision encoder and throw-away heads that say what each patch shows."""
    learner = course.learner
    pictures, sheets = course.materials.pictures("train"), course.materials.practice_sheets()
    if "vision_encoder" not in course.goes_on:
        first, _ = picture_tensors(pictures, tuple(range(min(NUM_WHITENED, len(pictures)))))
        begin_whitened(learner.media.image_embed.img_processor, first)
    torch.manual_seed(1)
    width = learner.config.vision_config.hidden_size
    heads = PatchHeads(width).to(learner.device)
    trunk = vision_encoder_parameters(learner)
    parameters = {**trunk, **{f"head.{n}": p for n, p in heads.named_parameters()}}

    def guesses(batch: LabelledCrops, is_trunk_kept: bool = False) -> list[Guess]:
        """What the heads say of a batch's cells."""
        with learner.autocast():
            with torch.no_grad() if is_trunk_kept else nullcontext():
                patches = learner.encode_patches(batch.crops, batch.masks)
            return heads.guesses(patches, *batch.patch_labels)

    def loss(step: int) -> torch.Tensor:
        """Of scenes and sheets, half of a batch each."""
        rng = random.Random(f"vision_encoder-{step}")
        half = min(BATCH_SIZE // 2, len(sheets))
        sources = [
            labelled_crops(source, sorted(rng.sample(range(len(source)), half)))
            for source in (pictures, sheets)
        ]
        batch = joined(sources)
        if rng.random() < WHOLE_SHARE:
            batch = batch.without_padding()
            if rng.random() < MOVED_SHARE:
                batch = augment(batch, (batch.characters > 0).any((1, 2)), rng)
        is_trunk_kept = course.begins_with_head("vision_encoder", step)
        return torch.stack([guess.loss() for guess in guesses(batch, is_trunk_kept)]).sum()

    @torch.no_grad()
    def validate() -> dict[str, float]:
        unseen = course.materials.pictures("held_out")
        batch = labelled_crops(unseen, range(min(NUM_VALIDATION, len(unseen))))
        return {guess.name: guess.accuracy() for guess in guesses(batch)}

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
    """The vision projector alone: what a token shows becomes the words for it.

    Encoder and language model are frozen, and neither is run but to read pictures once.
    """
    learner = course.learner
    targets = WordTargets(course.tokenizer, learner.decoder.embed_tokens.weight)
    pictures = {split: _with_shapes(course, split) for split in get_args(Split)}

    def shown(split: Split, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The projector's tokens of global views, (num, 25, hidden), and the patches' labels."""
        kept = course.picture_encodings(split, tuple(indices))
        rows = torch.stack([kept[index][0][0] for index in indices]).to(learner.device)
        labels = torch.from_numpy(course.materials.pictures(split).labels[list(indices)]).long()
        return learner.project_picture(rows.float()), labels.to(learner.device)

    def prepare() -> None:
        for split, indices in pictures.items():
            course.picture_encodings(split, indices)

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"vision_projector-{step}")
        projected, labels = shown("train", rng.choices(pictures["train"], k=NUM_POINTED))
        return targets.loss(projected, *targets.of_tokens(labels))

    @torch.no_grad()
    def validate() -> dict[str, float]:
        return targets.shares_heard(*shown("held_out", pictures["held_out"][:NUM_VALIDATION]))

    parameters = learner.parameters(*(_IMAGE_EMBED + name for name in _PROJECTIONS))
    learner.freeze_all_but(parameters)
    schedule = Schedule(course.steps(800), course.rate("vision_projector", 3e-3))
    return Stage("vision_projector", parameters, schedule, loss, validate, prepare)


def _with_shapes(course: Course, split: Split) -> tuple[int, ...]:
    """The first pictures of a split that show shapes."""
    labels = course.materials.pictures(split).labels[:NUM_POINTED_AT]
    return tuple(np.flatnonzero(labels[:, 0].any((1, 2))).tolist())


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
