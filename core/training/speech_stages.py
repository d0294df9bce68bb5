"""The speech stages: the encoder by CTC, projector, projector and LoRA; then pictures too."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from core.training.course import NUM_VALIDATION, Course, dialogue_stage
from core.training.dialogues import (
    TRANSCRIBE,
    Dialogue,
    PictureRef,
    SoundRef,
    Turn,
    picture_turn,
    text_turn,
)
from core.training.examples import IGNORED
from core.training.learner import Learner
from core.training.loop import Schedule, Stage
from core.training.materials import Clips, scene_at
from core.training.scenes import ask_about
from core.training.vision_stages import picture_dialogue, vision_projector_parameters
from core.training.world import Split, words_of

FLAT_START_SHARE: Final = 0.4  # of the steps are helped by a flat alignment
SORTED_SHARE: Final = 0.25  # of the steps go from short clips to all of them
SPLITS: Final[tuple[Split, ...]] = ("train", "held_out")


def speech_encoder(course: Course) -> Stage:
    """The audio encoder and a throw-away head, by CTC on the words that are said."""
    learner = course.learner
    encoder = learner.media.audio_embed.encoder
    num_classes = learner.config.vocab_size + 1  # the last one is CTC's blank
    torch.manual_seed(2)
    head = nn.Linear(learner.config.audio_config.hidden_size, num_classes).to(learner.device)
    _set_mean_and_variance(learner, course.materials.clips("train"))
    trunk = learner.parameters("model.embed_tokens_extend.audio_embed.encoder.")
    parameters = {**trunk, **{f"head.{n}": p for n, p in head.named_parameters()}}
    clips = course.materials.clips("train")
    schedule = Schedule(course.steps(4500), 6e-4, num_warmup=400)
    num_letters = _token_lengths(course)
    targets = {split: _ctc_targets(course, split) for split in SPLITS}

    def run(
        clips: Clips,
        wanted: list[list[int]],
        indices: Sequence[int],
        rng: random.Random | None,
        is_flat_start: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of some clips, and each frame's likeliest class, (num_clips, num_frames)."""
        mels = _padded(clips, indices, rng)
        with learner.autocast():
            hidden = encoder(mels.to(learner.device), None)
            log_probs = head(hidden).float().log_softmax(-1).transpose(0, 1)
        lengths = torch.tensor([len(wanted[i]) for i in indices])
        flat = torch.tensor([id_ for i in indices for id_ in wanted[i]])
        frames = torch.full((len(indices),), log_probs.shape[0])
        loss = F.ctc_loss(log_probs, flat, frames, lengths, num_classes - 1, zero_infinity=True)
        if is_flat_start:
            labels = torch.full(log_probs.shape[:2], IGNORED)
            for row, index in enumerate(indices):
                aligned = flat_alignment(clips.log_mel(index), wanted[index], num_letters)
                labels[: len(aligned), row] = torch.tensor(aligned)
            loss = loss + F.nll_loss(log_probs.flatten(0, 1), labels.flatten().to(loss.device))
        return loss, log_probs.argmax(-1).transpose(0, 1)

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"speech_encoder-{step}")
        # Short clips first, and unmasked: alignments are found on them (SortaGrad, 1512.02595).
        progress = min(1.0, step / (SORTED_SHARE * schedule.num_steps))
        indices = _alike(clips, 16, 0.2 + 0.8 * progress, rng)
        is_flat_start = step < FLAT_START_SHARE * schedule.num_steps
        mask_rng = rng if progress == 1.0 else None
        return run(clips, targets["train"], indices, mask_rng, is_flat_start)[0]

    @torch.no_grad()
    def validate() -> dict[str, float]:
        encoder.eval()
        unseen, wanted = course.materials.clips("held_out"), targets["held_out"]
        num = min(NUM_VALIDATION, len(unseen))
        paths = [run(unseen, wanted, [index], None)[1][0].tolist() for index in range(num)]
        hits = [_collapsed(path, num_classes - 1) == wanted[i] for i, path in enumerate(paths)]
        encoder.train()
        return {"exact": sum(hits) / num}

    learner.freeze_all_but(parameters)
    return Stage("speech_encoder", parameters, schedule, loss, validate)


def flat_alignment(
    mel: np.ndarray, token_ids: Sequence[int], num_letters: Sequence[int]
) -> list[int]:
    """Which token each encoder frame says, as if speech ran evenly from its begin to its end.

    A wrong but helpful beginning: CTC alone takes thousands of steps to find any alignment.
    Source: the flat start of hidden Markov models (Young et al., The HTK Book).

    Args:
        mel: log-mel frames, shape (num_frames, 80).
        token_ids: what is said.
        num_letters: by token id, how long a token takes.
    Returns:
        A token id for each eight frames; IGNORED in silence and near the tokens' borders.
    """
    energy = mel.astype(np.float32).mean(1)
    low, high = np.percentile(energy, (5, 95))
    loud = np.flatnonzero(energy > low + 0.35 * (high - low))
    begin, end = (loud[0], loud[-1] + 1) if len(loud) else (0, len(mel))
    ends = np.cumsum([num_letters[id_] for id_ in token_ids]) / sum(
        num_letters[id_] for id_ in token_ids
    )
    labels = []
    for frame in range(4, len(mel) + 4, 8):  # the middle of each encoder frame
        position = (frame - begin) / max(1, end - begin)
        index = min(int(np.searchsorted(ends, position)), len(token_ids) - 1)
        first = ends[index - 1] if index else 0.0
        inside = (position - first) / (ends[index] - first)
        labels.append(token_ids[index] if 0.15 < inside < 0.85 else IGNORED)
    return labels


def _set_mean_and_variance(learner: Learner, clips: Clips) -> None:
    """Fill the encoder's own normalisation from the first clips."""
    frames = np.asarray(clips.frames[:200_000], dtype=np.float32)
    layer = learner.media.audio_embed.encoder.encoder_embedding
    layer.global_mean.copy_(torch.from_numpy(frames.mean(0)))
    layer.global_invstd.copy_(torch.from_numpy(1 / np.maximum(frames.std(0), 1e-3)))


def _token_lengths(course: Course) -> list[int]:
    """By token id, how long a token takes to say: its letters, and one for the pause."""
    num_tokens = course.tokenizer.full.get_vocab_size()
    return [len(course.tokenizer.decode([id_]).strip()) + 1 for id_ in range(num_tokens)]


def _ctc_targets(course: Course, split: Split) -> list[list[int]]:
    """Each clip's words as token ids, lower case, without punctuation."""
    return [
        course.tokenizer.encode_text(" " + words_of(clip.spoken))
        for clip in course.materials.clips(split).about
    ]


def _alike(clips: Clips, num: int, share: float, rng: random.Random) -> list[int]:
    """Clips of about the same length, so that padding is a short silence.

    Args:
        share: take them from this share of the clips, the shortest ones.
    """
    lengths = clips.starts[1:] - clips.starts[:-1]
    wanted = int(np.sort(lengths)[int(rng.random() * share * (len(clips) - 1))])
    tolerance = 6
    while True:
        near = np.flatnonzero(np.abs(lengths - wanted) <= tolerance)
        if len(near) >= min(num, len(clips)):
            return rng.sample(near.tolist(), min(num, len(clips)))
        tolerance *= 2


def _padded(clips: Clips, indices: Sequence[int], rng: random.Random | None) -> torch.Tensor:
    """Log-mel frames side by side, (num, num_frames, 80), the ends filled with silence."""
    longest = max(clips.num_frames(i) for i in indices)
    mels = torch.zeros(len(indices), longest + -longest % 16, 80)  # 0 is digital silence
    for row, index in enumerate(indices):
        mel = torch.from_numpy(clips.log_mel(index).astype(np.float32))
        mels[row, : len(mel)] = mel if rng is None else _masked(mel, rng)
    return mels


def _masked(mel: torch.Tensor, rng: random.Random) -> torch.Tensor:
    """SpecAugment, lightly: one band and two moments are replaced by the clip's mean."""
    mel = mel.clone()
    mean = float(mel.mean())
    low, width = rng.randrange(80), rng.randint(0, 14)
    mel[:, low : low + width] = mean
    for _ in range(2):
        start, duration = rng.randrange(len(mel)), rng.randint(0, 12)
        mel[start : start + duration] = mean
    return mel


def _collapsed(path: Sequence[int], blank: int) -> list[int]:
    """CTC's greedy reading of a path: repeats merged, blanks dropped."""
    merged = [id_ for i, id_ in enumerate(path) if i == 0 or id_ != path[i - 1]]
    return [id_ for id_ in merged if id_ != blank]


def _speech_projector_parameters(learner: Learner, suffix: str) -> dict[str, nn.Parameter]:
    prefix = "model.embed_tokens_extend.audio_embed."
    return learner.parameters(f"{prefix}up_proj_for_{suffix}.", f"{prefix}down_proj_for_{suffix}.")


def _sound_turn(course: Course, rng: random.Random, split: Split, transcribe: bool) -> Turn:
    clips = course.materials.clips(split)
    while True:
        index = rng.randrange(len(clips))
        clip = clips.about[index]
        if rng.random() < 0.07:  # a typed question beside a clip is the one to answer
            return Turn((SoundRef(index), *(typed := text_turn(rng, split)).user), typed.reply)
        if transcribe:
            return Turn((SoundRef(index), TRANSCRIBE), clip.spoken)
        if clip.kind == "world":
            return Turn((SoundRef(index),), clip.answer)


def _speech_dialogue(course: Course, rng: random.Random, split: Split) -> Dialogue:
    """A clip to write down or to answer, now and then with a typed or spoken turn more."""
    turns = [_sound_turn(course, rng, split, rng.random() < 0.35)]
    if rng.random() < 0.2:
        more = text_turn(rng, split) if rng.random() < 0.5 else None
        turns.append(more or _sound_turn(course, rng, split, rng.random() < 0.35))
        if rng.random() < 0.5:
            turns.reverse()
    return Dialogue(tuple(turns))


def speech_projector(course: Course) -> Stage:
    """The speech projector alone, on transcription."""
    parameters = _speech_projector_parameters(course.learner, "speech")

    def make(rng: random.Random, split: Split) -> Dialogue:
        return Dialogue((_sound_turn(course, rng, split, transcribe=True),))

    schedule = Schedule(course.steps(250), course.rate(2e-3))
    return dialogue_stage(course, "speech_projector", parameters, schedule, 64, make, "speech")


def speech(course: Course) -> Stage:
    """Speech projector and speech LoRA; the encoder stays frozen."""
    learner = course.learner
    parameters = {
        **_speech_projector_parameters(learner, "speech"),
        **learner.parameters("lora.speech."),
    }

    def make(rng: random.Random, split: Split) -> Dialogue:
        return _speech_dialogue(course, rng, split)

    schedule = Schedule(course.steps(1500), course.rate(1.5e-3))
    return dialogue_stage(course, "speech", parameters, schedule, 64, make, "speech")


def _vision_speech_dialogue(course: Course, rng: random.Random, split: Split) -> Dialogue:
    """A spoken question about a picture; in two cases of five typed ones, not to forget them."""
    if rng.random() < 0.4:
        return picture_dialogue(rng, split, course.materials.num_pictures(split))
    clips = course.materials.clips(split)
    index = rng.randrange(len(clips))
    clip = clips.about[index]
    scene = (
        clip.scene
        if clip.kind == "picture"
        else rng.randrange(course.materials.num_pictures(split))
    )
    picture, sound = PictureRef(scene), SoundRef(index)
    if rng.random() < 0.1:
        return Dialogue((Turn((picture, sound, TRANSCRIBE), clip.spoken),))
    if rng.random() < 0.25:
        first = picture_turn(rng, scene, ask_about(rng, scene_at(split, scene)))
        return Dialogue((first, Turn((sound,), clip.answer)))
    return Dialogue((Turn((picture, sound), clip.answer),))


def vision_speech(course: Course) -> Stage:
    """The second audio projector, begun as a copy of the first, and the vision LoRA."""
    learner = course.learner
    audio = learner.media.audio_embed
    if not course.goes_on:
        for part in ("up_proj", "down_proj"):
            source = getattr(audio, f"{part}_for_speech").state_dict()
            getattr(audio, f"{part}_for_vision_speech").load_state_dict(source)
    parameters = {
        **_speech_projector_parameters(learner, "vision_speech"),
        **vision_projector_parameters(learner),
        **learner.parameters("lora.vision."),
    }

    def make(rng: random.Random, split: Split) -> Dialogue:
        return _vision_speech_dialogue(course, rng, split)

    schedule = Schedule(course.steps(1500), course.rate(1e-3))
    return dialogue_stage(
        course, "vision_speech", parameters, schedule, 32, make, "vision", "vision"
    )
