"""What the stages share: the learner, its materials, and the stage that learns replies.

Leaves out: what each stage learns (stages.py, vision_stages.py, speech_stages.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import nn

from core.tokenizer import Tokenizer
from core.training.ctc import spoken_tokens
from core.training.dialogues import Dialogue
from core.training.examples import (
    IGNORED,
    NUM_PARTS,
    Batch,
    MediaTokens,
    Row,
    RowEncoder,
    collate_by_length,
    pooled_batches,
)
from core.training.exchange import Split
from core.training.heard_in_reply import WordFrames
from core.training.learner import (
    Adapters,
    Encoding,
    Learner,
    encode_pictures,
    picture_encodings,
    sound_encodings,
)
from core.training.loop import Schedule, Stage
from core.training.materials import Materials
from core.training.nf4_base import base_matrices, is_of_base, round_to_nf4
from core.training.spliced import Sentence, Spliced
from core.training.word_frames import frames_of_words

NUM_VALIDATION: Final = 256
GOING_ON_SHARE: Final = 0.5  # of the learning rate, for a model that is finished already
NUM_HEAD_STEPS: Final = 150


@dataclass
class Course:
    """Everything the stages share.

    Args:
        learner: the model under training.
        tokenizer: ours, on the recipe's vocabulary.
        materials: pictures and clips of each split, made when first asked for.
        scale: every stage takes this share of its steps.
        goes_on: stages whose results the learner began with: they are not begun anew.
    """

    learner: Learner
    tokenizer: Tokenizer
    materials: Materials
    scale: float = 1.0
    goes_on: frozenset[str] = frozenset()
    sounds: dict[Split, dict[int, torch.Tensor]] = field(default_factory=dict)
    pictures: dict[Split, dict[int, Encoding]] = field(default_factory=dict)
    words: dict[int, WordFrames] | None = None
    spliced: Spliced | None = None

    def steps(self, num: int) -> int:
        """A number of steps at this course's scale."""
        return max(2, round(num * self.scale))

    def rate(self, stage: str, learning_rate: float) -> float:
        """A stage's peak learning rate, lower where what is finished would be shaken by it."""
        return learning_rate * (GOING_ON_SHARE if stage in self.goes_on else 1.0)

    def begin_anew(
        self,
        adapter: str,
        projections: Iterable[nn.Linear],
        says_words: Callable[[], bool],
        *stages: str,
    ) -> None:
        """Forget a projector and the LoRA that knows what it says, as stages of a new model do.

        A LoRA hears nothing in a projector that learns another language. One that says words
        already learns no other.

        Args:
            says_words: whether the projector does.
            stages: what learns to know a new one.
        """
        if self.goes_on.isdisjoint(stages) or says_words():
            return
        torch.manual_seed(5)
        for projection in projections:
            projection.reset_parameters()
        self.learner.reset_adapter(adapter)
        self.goes_on = self.goes_on.difference(stages)

    def begins_with_head(self, stage: str, step: int) -> bool:
        """Whether only an encoder's throw-away head learns in a step.

        A finished encoder gets a new head, whose first gradients would undo what it knows.
        """
        return stage in self.goes_on and step < self.steps(NUM_HEAD_STEPS)

    def row_encoder(self, split: Split) -> RowEncoder:
        """Encodes dialogues whose media come from one split."""
        config = self.learner.config
        media = MediaTokens(
            image_id=config.vision_config.image_token_id,
            audio_id=config.audio_config.audio_token_id,
            picture_tokens=lambda i: picture_tokens(self.materials.mask(split, i)),
            sound_tokens=lambda i: self._num_sound_tokens(split, i),
            said=self.said if split == "train" else lambda _: None,
        )
        return RowEncoder(self.tokenizer, media)

    def _num_sound_tokens(self, split: Split, index: int) -> int:
        if sentence := self._spliced_sentence(index):
            return len(sentence.heard)
        return -(-self.materials.clips(split).num_frames(index) // 8)

    def sound_encodings(self, split: Split) -> dict[int, torch.Tensor]:
        """The frozen audio encoder's outputs, computed once after its stage.

        Clips for training are varied as they were for the encoder, but once for all.
        """
        if split not in self.sounds:
            rng = random.Random("sounds") if split == "train" else None
            self.sounds[split] = sound_encodings(self.learner, self.materials.clips(split), rng)
        return self.sounds[split]

    def heard(self, split: Split, indices: Sequence[int]) -> dict[int, torch.Tensor]:
        """What the audio encoder hears in some clips and spliced sentences."""
        clips = self.sound_encodings(split)
        sentences = {index: self._spliced_sentence(index) for index in indices}
        return {index: it.heard if it else clips[index] for index, it in sentences.items()}

    def _spliced_sentence(self, index: int) -> Sentence | None:
        """The sentence with this number, where it is not a clip's."""
        if self.spliced and index in self.spliced:
            return self.spliced[index]
        return None

    def splice(self, rng: random.Random, sentence: str) -> int | None:
        """Put a sentence together from the words of clips that are learned from.

        Returns:
            Its number, which stands for it as a clip's does; None: it cannot be said.
        """
        if self.spliced is None:
            about = self.materials.clips("train").about
            said = [clip.spoken for clip in about]
            encodings = self.sound_encodings("train")
            self.spliced = Spliced(encodings, said, self._word_frames(), len(about))
        return self.spliced.splice(rng, sentence)

    def said(self, index: int) -> tuple[str, WordFrames] | None:
        """What a clip says, and where; None: it is too short for all its words."""
        if sentence := self._spliced_sentence(index):
            return sentence.spoken, sentence.frames
        frames = self._word_frames().get(index)
        if frames is None:
            return None
        return self.materials.clips("train").about[index].spoken, frames

    def _word_frames(self) -> dict[int, WordFrames]:
        """Where the words of the clips that are learned from are said."""
        if self.words is None:
            said = [clip.spoken for clip in self.materials.clips("train").about]
            spoken = spoken_tokens(self.tokenizer, said, ())
            encodings = self.sound_encodings("train")
            self.words = frames_of_words(encodings, said, spoken, self.tokenizer)
        return self.words

    def picture_encodings(self, split: Split, indices: tuple[int, ...]) -> dict[int, Encoding]:
        """The frozen vision encoder's outputs for some pictures, each computed once a stage."""
        known = self.pictures.setdefault(split, {})
        new = tuple(dict.fromkeys(index for index in indices if index not in known))
        if new:
            encoded = picture_encodings(self.learner, self.materials.shown(split, new))
            known.update(zip(new, encoded, strict=True))
        return known


def picture_tokens(mask: np.ndarray) -> int:
    """Placeholders of a picture of one crop: its rows and separators, the global view's, one more.

    Args:
        mask: bool, shape (patches_a_side, patches_a_side), as in Pictures.masks.
    """
    side = len(mask) // 2  # two by two patches become one token
    pooled = mask[::2, ::2]
    return int(pooled.sum() + pooled[:, 0].sum() + 1 + side * side + side)


MakeDialogue = Callable[[random.Random, Split], Dialogue]


class DialogueBatches:
    """A stage's dialogues as batches: always the same ones for the same step and materials.

    Args:
        course: knows the media and the vocabulary.
        draw: decides which dialogues are drawn.
        make: draws one.
        num_rows: in a batch.
    """

    def __init__(self, course: Course, draw: str, make: MakeDialogue, num_rows: int) -> None:
        self._course, self._draw, self._make, self._num_rows = course, draw, make, num_rows
        self._encoders: dict[Split, RowEncoder] = {}
        self._pad_id = int(course.learner.config.pad_token_id)
        self._pool: tuple[int, list[Row]] = (-1, [])

    def of_step(self, step: int) -> list[Batch]:
        """What one step learns."""
        number, part = divmod(step, NUM_PARTS)
        if number != self._pool[0]:
            rng = random.Random(f"{self._draw}-{self._course.materials.first + number}")
            self._pool = number, self._rows(rng, "train", self._num_rows * NUM_PARTS)
        return pooled_batches(self._pool[1], part, self._pad_id)

    def held_out(self, num: int) -> list[Batch]:
        """What validation asks: this many dialogues."""
        rows = self._rows(random.Random(f"{self._draw}-validation"), "held_out", num)
        return collate_by_length(rows, self._pad_id, NUM_PARTS)

    def _rows(self, rng: random.Random, split: Split, num: int) -> list[Row]:
        if split not in self._encoders:
            self._encoders[split] = self._course.row_encoder(split)
        return [self._encoders[split].encode(self._make(rng, split)) for _ in range(num)]


def dialogue_stage(
    course: Course,
    name: str,
    parameters: dict[str, nn.Parameter],
    schedule: Schedule,
    batch_size: int,
    make: MakeDialogue,
    adapter: Adapters = None,
    projector: str = "speech",
    learns_encoder: bool = False,
    num_validation: int = NUM_VALIDATION,
    draw: str = "",
) -> Stage:
    """A stage that learns replies: one loss for text, pictures, sounds and both.

    Args:
        learns_encoder: the vision encoder is among the parameters, so that its outputs are
            computed anew for every batch.
        num_validation: dialogues that validation asks.
        draw: stages with the same one learn and are asked the same dialogues (default: the name).
    """
    learner = course.learner
    if not any(map(is_of_base, parameters)):  # frozen for good: what is served from now on
        round_to_nf4(base_matrices(learner))
    dialogues = DialogueBatches(course, draw or name, make, batch_size)
    if learns_encoder:
        course.pictures.clear()  # what earlier stages kept is not what this encoder will say

    def encodings(split: Split, indices: tuple[int, ...]) -> dict[int, Encoding]:
        if not learns_encoder:
            return course.picture_encodings(split, indices)
        unique = tuple(dict.fromkeys(indices))
        encoded = encode_pictures(learner, course.materials.shown(split, unique))
        return dict(zip(unique, encoded, strict=True))

    def run(split: Split, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss, and where the replies are right."""
        with learner.autocast():
            sounds = course.heard(split, batch.sounds) if batch.sounds else None
            pictures = encodings(split, batch.pictures) if batch.pictures else None
            embeddings = learner.embed(batch, pictures, sounds, projector)
            return learner.loss_and_hits(batch, embeddings, adapter)

    def prepare() -> None:
        for batch in dialogues.of_step(0):
            if batch.sounds:
                course.sound_encodings("train")
            if batch.pictures:
                course.materials.shown("train", batch.pictures)

    def loss(step: int) -> torch.Tensor:
        return torch.stack([run("train", batch)[0] for batch in dialogues.of_step(step)]).mean()

    @torch.no_grad()
    def validate() -> dict[str, float]:
        batches = dialogues.held_out(num_validation)
        return shares_right(batches, [run("held_out", batch)[1].cpu() for batch in batches])

    learner.freeze_all_but(parameters)
    return Stage(name, parameters, schedule, loss, validate, prepare)


def shares_right(batches: list[Batch], hits: list[torch.Tensor]) -> dict[str, float]:
    """How many replies are right from end to end, and how many of their tokens are.

    Args:
        batches: what was asked.
        hits: of each batch, where the likeliest token is right; as in Learner.loss_and_hits.
    """
    replies, tokens = [], []
    for batch, hit in zip(batches, hits, strict=True):
        learned = batch.labels != IGNORED
        tokens.append(hit[learned])
        replies.extend(_runs(hit, learned))
    return {
        "exact": sum(map(bool, map(torch.all, replies))) / len(replies),
        "tokens": float(torch.cat(tokens).float().mean()),
    }


def _runs(hits: torch.Tensor, learned: torch.Tensor) -> list[torch.Tensor]:
    """Where replies are right, reply by reply: a dialogue of several turns has several.

    Args:
        hits, learned: bool, (num_rows, num_tokens).
    """
    begins = learned & ~learned.roll(1, -1)  # a row begins with <|user|>, which nobody learns
    number = begins.flatten().cumsum(0)[learned.flatten()]
    return list(
        hits[learned].split(torch.unique_consecutive(number, return_counts=True)[1].tolist())
    )
