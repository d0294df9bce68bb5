"""The vision stages: the encoder on its own, the projector alone, projector and LoRA."""

from __future__ import annotations

import random
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from core.training.course import NUM_VALIDATION, Course, MakeDialogue, dialogue_stage
from core.training.dialogues import Dialogue, follow_up, picture_turn, text_turn
from core.training.draw import CHARACTERS
from core.training.learner import Learner, picture_tensors
from core.training.locality import begin_whitened
from core.training.loop import Schedule, Stage
from core.training.materials import scene_at
from core.training.scenes import COLOURS, SHAPES, ask_about
from core.training.world import Split, sample_exchange

NUM_WHITENED: Final = 256  # pictures that the first layer's components are taken from
NOTHING_WEIGHTS: Final = (0.2, 0.2, 0.03)  # most patches show no shape, colour or character


def vision_encoder(course: Course) -> Stage:
    """The vision encoder and three throw-away heads: shape, colour and character of a patch."""
    learner = course.learner
    pictures = course.materials.pictures("train")
    first, _ = picture_tensors(pictures, tuple(range(min(NUM_WHITENED, len(pictures)))))
    begin_whitened(learner.media.image_embed.img_processor, first)
    width = learner.config.vision_config.hidden_size
    classes = (len(SHAPES) + 1, len(COLOURS) + 1, len(CHARACTERS) + 1)
    torch.manual_seed(1)
    heads = nn.ModuleList(nn.Linear(width, num) for num in classes).to(learner.device)
    weights = [
        torch.tensor([nothing] + [1.0] * (num - 1))
        for nothing, num in zip(NOTHING_WEIGHTS, classes, strict=True)
    ]
    trunk = vision_encoder_parameters(learner)
    parameters = {**trunk, **{f"head.{n}": p for n, p in heads.named_parameters()}}

    def logits_and_labels(
        rng: random.Random, split: Split, num: int
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Each head's logits, (num, num_classes, 64), and labels, (num, 3, 64), of pictures."""
        pictures = course.materials.pictures(split)
        indices = tuple(rng.randrange(len(pictures)) for _ in range(num))
        crops, masks = picture_tensors(pictures, indices)
        if rng.random() < 0.5:  # as the global view: padding counts as picture
            masks = torch.ones_like(masks)
        labels = torch.from_numpy(np.stack([pictures.labels[i] for i in indices])).long()
        labels[~masks[:, None].expand_as(labels)] = -100
        with learner.autocast():
            output = learner.encode_patches(crops, masks)
            logits = [head(output).float().transpose(1, 2) for head in heads]
        return logits, labels.flatten(2).to(learner.device)

    def loss(step: int) -> torch.Tensor:
        logits, labels = logits_and_labels(random.Random(f"vision_encoder-{step}"), "train", 64)
        losses = [
            F.cross_entropy(head_logits, labels[:, index], weight=weight.to(learner.device))
            for index, (head_logits, weight) in enumerate(zip(logits, weights, strict=True))
        ]
        return torch.stack(losses).sum()

    @torch.no_grad()
    def validate() -> dict[str, float]:
        logits, labels = logits_and_labels(random.Random("vision"), "held_out", NUM_VALIDATION)
        figures = {}
        for index, name in enumerate(("shape", "colour", "character")):
            shown = labels[:, index] > 0
            hits = (logits[index].argmax(1) == labels[:, index])[shown]
            figures[name] = float(hits.float().mean())
        return figures

    learner.freeze_all_but(parameters)
    schedule = Schedule(course.steps(3000), 1.5e-3, weight_decay=0.05)
    return Stage("vision_encoder", parameters, schedule, loss, validate)


def picture_dialogue(rng: random.Random, split: Split, num_pictures: int) -> Dialogue:
    """A picture and one to three questions, now and then one about the world."""
    index = rng.randrange(num_pictures)
    scene = scene_at(split, index)
    # Now and then the typed question has nothing to do with the picture.
    about = sample_exchange(rng, split) if rng.random() < 0.1 else ask_about(rng, scene)
    turns = [picture_turn(rng, index, about)]
    for _ in range(rng.choice((0, 0, 1, 2, 3))):
        if rng.random() < 0.2:
            turns.append(text_turn(rng, split))
        else:
            turns.append(follow_up(rng, ask_about(rng, scene)))
    return Dialogue(tuple(turns))


def _vision_maker(course: Course) -> MakeDialogue:
    return lambda rng, split: picture_dialogue(rng, split, course.materials.num_pictures(split))


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
    schedule = Schedule(course.steps(250), course.rate(2e-3))
    make = _vision_maker(course)
    return dialogue_stage(course, "vision_projector", parameters, schedule, 32, make, "vision")


def vision(course: Course) -> Stage:
    """Vision encoder, projector and LoRA together, on questions about pictures."""
    learner = course.learner
    parameters = {
        **vision_encoder_parameters(learner),
        **vision_projector_parameters(learner),
        **learner.parameters("lora.vision."),
    }
    schedule = Schedule(course.steps(4000), course.rate(1.5e-3))
    make = _vision_maker(course)
    return dialogue_stage(
        course, "vision", parameters, schedule, 32, make, "vision", learns_encoder=True
    )
