"""The stages of the recipe, in the paper's order, each as a loss and its validation.

    text             base language model; frozen for good afterwards
    vision_encoder   the vision encoder on its own: what does each patch show?
    vision_projector projector alone: which words does each token show? then
    vision_joint     projector + encoder, then
    vision           projector + vision LoRA, then
    vision_pairs     projector + vision LoRA, on two pictures in one question
    speech_encoder   the audio encoder on its own, by CTC
    speech_projector projector alone: which word does each frame say? then
    speech           projector + speech LoRA, on transcription and spoken questions
    vision_speech    second audio projector + vision LoRA, on spoken questions about pictures

Source: section 4 of the Phi-4-Multimodal report (arXiv 2503.01743), at small scale.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Final

from core.training.course import Course, dialogue_stage
from core.training.dialogues import text_dialogue
from core.training.loop import Schedule, Stage
from core.training.nf4_base import base_matrices, rounded
from core.training.speech_stages import speech, speech_encoder, speech_projector, vision_speech
from core.training.vision_stages import (
    vision,
    vision_encoder,
    vision_joint,
    vision_pairs,
    vision_projector,
)

EXACT_SHARE: Final = 0.6  # of the base's steps; in the others NF4 has a say


def text(course: Course) -> Stage:
    """The base language model, on text alone; at last with its matrices as NF4 will have them.

    A finished one keeps its embeddings: projectors point at them.
    """
    layers, embeddings = ("model.layers.", "model.norm."), ("model.embed_tokens.",)
    goes_on = "text" in course.goes_on
    parameters = course.learner.parameters(*layers, *(() if goes_on else embeddings))
    schedule = Schedule(course.steps(4300), course.rate("text", 4e-3), weight_decay=0.05)
    stage = dialogue_stage(course, "text", parameters, schedule, 96, text_dialogue)
    exact_share = 0.0 if goes_on else EXACT_SHARE
    matrices = base_matrices(course.learner)

    def around(step: int) -> AbstractContextManager[None]:
        if step < exact_share * schedule.num_steps:
            return nullcontext()
        return rounded(matrices)

    def validate() -> dict[str, float]:
        with rounded(matrices):
            return stage.validate()

    return replace(stage, around=around, validate=validate)


STAGES: Final[dict[str, Callable[[Course], Stage]]] = {
    "text": text,
    "vision_encoder": vision_encoder,
    "vision_projector": vision_projector,
    "vision_joint": vision_joint,
    "vision": vision,
    "vision_pairs": vision_pairs,
    "speech_encoder": speech_encoder,
    "speech_projector": speech_projector,
    "speech": speech,
    "vision_speech": vision_speech,
}
