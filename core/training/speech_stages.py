"""The speech stages: encoder and projector by CTC, projector and LoRA; then pictures too."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final, get_args

import numpy as np
import torch
from torch import nn

from core.training.course import NUM_VALIDATION, Course, dialogue_stage
from core.training.ctc import SpokenTokens, collapsed, ctc_loss, spoken_tokens
from core.training.edit_distance import edit_distance
from core.training.exchange import Split
from core.training.heard_words import HeardWords
from core.training.learner import Learner
from core.training.loop import Schedule, Stage
from core.training.media import Clips
from core.training.mel_augment import augment, stretch
from core.training.parts import ADAPTER_STAGES
from core.training.phonemes import SpokenPhonemes, spoken_phonemes
from core.training.sound_dialogues import SoundDialogues
from core.training.speech_heads import Heard, SpeechHeads
from core.training.vision_stages import vision_projector_parameters

NUM_ENCODER_STEPS: Final = 6000
NUM_FRAMES_A_BATCH: Final = 9600  # about 32 clips
PHONEMES_WEIGHT: Final = 1.0  # beside the words
FLAT_START_SHARE: Final = 0.3  # of the steps are helped by a flat alignment
NUM_PROJECTOR_STEPS: Final = 3000
NUM_FRAMES_POINTED: Final = 12_000  # of the clips whose words the projector learns in a step
WORDS_ERROR_RATE: Final = 0.5  # of tokens; a projector that says words says fewer of them wrong
# The projector already says words; a LoRA that is still at a loss would talk it out of them.
PROJECTOR_SHARE: Final = 0.03  # of the LoRA's learning rate: at 0.25, it says none in the end
DROPOUT: Final = 0.1  # in the encoder: it would soon know every clip by heart
SORTED_SHARE: Final = 0.25  # of the steps go from short clips to all of them
_AUDIO_EMBED: Final = "model.embed_tokens_extend.audio_embed."


def speech_encoder(course: Course) -> Stage:
    """The audio encoder and two throw-away heads, by CTC: words, and phonemes in its middle."""
    learner = course.learner
    encoder = learner.media.audio_embed.encoder
    clips, spoken, phonemes = course.materials.clips("train"), _spoken(course), _phonemes(course)
    torch.manual_seed(2)
    width = learner.config.audio_config.hidden_size
    _begin_dropout(encoder)
    heads = SpeechHeads(width, spoken.blank + 1, phonemes.blank + 1).to(learner.device)
    goes_on = "speech_encoder" in course.goes_on
    if not goes_on:
        _set_mean_and_variance(learner, clips)
    trunk = learner.parameters(f"{_AUDIO_EMBED}encoder.")
    parameters = {**trunk, **{f"head.{n}": p for n, p in heads.named_parameters()}}
    schedule = Schedule(
        course.steps(NUM_ENCODER_STEPS), course.rate("speech_encoder", 2e-3), num_warmup=200
    )
    # A finished encoder needs no easy beginning.
    sorted_share, flat_share = (0.0, 0.0) if goes_on else (SORTED_SHARE, FLAT_START_SHARE)

    def heard_of(mels: torch.Tensor, is_encoder_kept: bool = False) -> Heard:
        with learner.autocast():
            return heads.hear(encoder, mels.to(learner.device), is_encoder_kept)

    def loss(step: int) -> torch.Tensor:
        """CTC of clips of about one length, at first with a flat alignment beside it."""
        rng = random.Random(f"speech_encoder-{step}")
        # Short clips first, and undisturbed: alignments are found on them (SortaGrad, 1512.02595).
        progress = min(1.0, (step + 1) / (1 + sorted_share * schedule.num_steps))
        indices = _alike(clips, NUM_FRAMES_A_BATCH, 0.2 + 0.8 * progress, rng)
        torch.manual_seed(step)  # of dropout
        varies = rng if progress == 1.0 else None
        mels = _log_mels(clips, indices, varies)
        is_kept = course.begins_with_head("speech_encoder", step)
        heard = heard_of(_padded(mels, varies), is_kept)
        truth = [spoken.trained[index] for index in indices]
        pronounced = [phonemes.by_clip[index] for index in indices]
        found = spoken.loss(heard.words, truth)
        found = found + PHONEMES_WEIGHT * ctc_loss(heard.phonemes, pronounced, phonemes.blank)
        if step >= flat_share * schedule.num_steps:
            return found
        return found + spoken.flat_start_loss(heard.words, truth, [mel.numpy() for mel in mels])

    @torch.no_grad()
    def validate() -> dict[str, float]:
        """What is read of held-out clips, each alone and without padding."""
        encoder.eval()
        unseen, truth = course.materials.clips("held_out"), spoken.held_out
        num = min(NUM_VALIDATION, len(unseen))
        heard = [heard_of(_padded([mel])) for mel in _log_mels(unseen, range(num))]
        encoder.train()
        words = [_read(of_clip.words, spoken.blank) for of_clip in heard]
        sounds = [_read(of_clip.phonemes, phonemes.blank) for of_clip in heard]
        right = phonemes.by_clip[len(clips) :]  # behind those that are learned from
        errors = _figures(right[:num], sounds)["token_error_rate"]
        return {**_figures(truth[:num], words), "phoneme_error_rate": errors}

    learner.freeze_all_but(parameters)
    return Stage("speech_encoder", parameters, schedule, loss, validate)


def _read(log_probs: torch.Tensor, blank: int) -> tuple[int, ...]:
    """What is read of one clip: log probabilities of (num_frames, 1, num_classes)."""
    return collapsed(log_probs.argmax(-1)[:, 0].tolist(), blank)


def _said(course: Course) -> list[list[str]]:
    """What the clips of each split say."""
    return [[clip.spoken for clip in course.materials.clips(s).about] for s in get_args(Split)]


def _spoken(course: Course) -> SpokenTokens:
    """What the clips say, as classes."""
    return spoken_tokens(course.tokenizer, *_said(course))


def _phonemes(course: Course) -> SpokenPhonemes:
    """What the clips of both splits say, one behind the other, as phonemes."""
    trained, held_out = _said(course)
    return spoken_phonemes([*trained, *held_out])


def _figures(truth: Sequence[Sequence[int]], read: Sequence[Sequence[int]]) -> dict[str, float]:
    """How many clips are read right, and how many tokens are wrong for each that was said."""
    pairs = list(zip(truth, read, strict=True))
    return {
        "exact": sum(said == heard for said, heard in pairs) / len(pairs),
        "token_error_rate": sum(edit_distance(said, heard) for said, heard in pairs)
        / sum(map(len, truth)),
    }


def _set_mean_and_variance(learner: Learner, clips: Clips) -> None:
    """Fill the encoder's own normalisation from the first clips."""
    frames = np.asarray(clips.frames[:200_000], dtype=np.float32)
    layer = learner.media.audio_embed.encoder.encoder_embedding
    layer.global_mean.copy_(torch.from_numpy(frames.mean(0)))
    layer.global_invstd.copy_(torch.from_numpy(1 / np.maximum(frames.std(0), 1e-3)))


def _alike(clips: Clips, num_frames: int, share: float, rng: random.Random) -> list[int]:
    """Clips of about the same length, so that padding is a short silence.

    Args:
        num_frames: of all of them together.
        share: take them from this share of the clips, the shortest ones.
    """
    lengths = clips.starts[1:] - clips.starts[:-1]
    wanted = int(np.sort(lengths)[int(rng.random() * share * (len(clips) - 1))])
    num = min(len(clips), max(1, num_frames // wanted))
    tolerance = 6
    while True:
        near = np.flatnonzero(np.abs(lengths - wanted) <= tolerance)
        if len(near) >= num:
            return rng.sample(near.tolist(), num)
        tolerance *= 2


def _begin_dropout(encoder: nn.Module) -> None:
    """Forget a share of what each layer says, at random, whenever the encoder learns."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = DROPOUT
    encoder.train()


def _log_mels(
    clips: Clips, indices: Sequence[int], rng: random.Random | None = None
) -> list[torch.Tensor]:
    """Of some clips, float32, (num_frames, 80) each; `rng` makes some faster or slower."""
    mels = [torch.from_numpy(clips.log_mel(index).astype(np.float32)) for index in indices]
    return mels if rng is None else [stretch(mel, rng) for mel in mels]


def _padded(mels: Sequence[torch.Tensor], rng: random.Random | None = None) -> torch.Tensor:
    """Log-mel frames side by side, (num, num_frames, 80), the ends filled with silence.

    Args:
        mels: of each clip, (num_frames, 80).
        rng: varies them; None: they stay as they are.
    """
    lengths = torch.tensor([len(mel) for mel in mels])
    longest = int(lengths.max())
    padded = torch.zeros(len(mels), longest + -longest % 16, 80)  # 0 is digital silence
    for row, mel in enumerate(mels):
        padded[row, : len(mel)] = mel
    return padded if rng is None else augment(padded, lengths, rng)


def speech_projector_parameters(learner: Learner, suffix: str) -> dict[str, nn.Parameter]:
    """One of the two audio projectors: "speech" or "vision_speech"."""
    names = (f"up_proj_for_{suffix}.", f"down_proj_for_{suffix}.")
    return learner.parameters(*(_AUDIO_EMBED + name for name in names))


def speech_projector(course: Course) -> Stage:
    """The speech projector alone: a frame that says something becomes the word for it.

    Encoder and language model are frozen, and neither is run but to hear the clips once. Which
    frame says which word is found by a throw-away head; the projector is told.
    """
    learner, spoken = course.learner, _spoken(course)
    audio = learner.media.audio_embed
    projections = (audio.up_proj_for_speech, audio.down_proj_for_speech)
    clips, num = course.materials.clips("train"), min(NUM_VALIDATION, len(spoken.held_out))
    words = HeardWords(learner.decoder.embed_tokens.weight, spoken.token_ids)
    torch.manual_seed(3)
    head = nn.Linear(learner.config.audio_config.hidden_size, spoken.blank + 1).to(learner.device)

    def frames_of(split: Split, indices: Sequence[int]) -> tuple[torch.Tensor, list[int]]:
        """What the encoder hears in some clips, (num_tokens, audio hidden); tokens a clip."""
        heard = course.sound_encodings(split)
        kept = [heard[index] for index in indices]
        return torch.cat(kept).to(learner.device).float(), [len(clip) for clip in kept]

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"speech_projector-{step}")
        indices = _alike(clips, NUM_FRAMES_POINTED, 1.0, rng)
        frames, lengths = frames_of("train", indices)
        said = head(frames).log_softmax(-1)
        together = nn.utils.rnn.pad_sequence(said.split(lengths))
        found = spoken.loss(together, [spoken.trained[index] for index in indices], lengths)
        return found + words.loss(learner.project_sound(frames, "speech"), said.detach().exp())

    @torch.no_grad()
    def validate() -> dict[str, float]:
        frames, lengths = frames_of("held_out", range(num))
        paths = words.log_probs(learner.project_sound(frames, "speech")).argmax(-1).split(lengths)
        read = [collapsed(path.tolist(), spoken.blank) for path in paths]
        return _figures(spoken.held_out[:num], read)

    def prepare() -> None:
        course.sound_encodings("train")

    def says_words() -> bool:
        return validate()["token_error_rate"] < WORDS_ERROR_RATE

    stages = *ADAPTER_STAGES["speech"], "vision_speech"
    course.begin_anew("speech", projections, says_words, *stages)
    projector = speech_projector_parameters(learner, "speech")
    parameters = {**projector, **{f"head.{n}": p for n, p in head.named_parameters()}}
    learner.freeze_all_but(parameters)
    schedule = Schedule(course.steps(NUM_PROJECTOR_STEPS), course.rate("speech_projector", 3e-3))
    return Stage("speech_projector", parameters, schedule, loss, validate, prepare)


def speech(course: Course) -> Stage:
    """Speech projector and speech LoRA; the encoder stays frozen."""
    learner = course.learner
    parameters = {
        **speech_projector_parameters(learner, "speech"),
        **learner.parameters("lora.speech."),
    }

    make = SoundDialogues(course.materials, course.splice).speech
    schedule = Schedule(
        course.steps(2400), course.rate("speech", 3e-3), slower={_AUDIO_EMBED: PROJECTOR_SHARE}
    )
    return dialogue_stage(course, "speech", parameters, schedule, 64, make, "speech")


def vision_speech(course: Course) -> Stage:
    """The second audio projector, begun as a copy of the first, and the vision LoRA."""
    learner = course.learner
    audio = learner.media.audio_embed
    if "vision_speech" not in course.goes_on:
        for part in ("up_proj", "down_proj"):
            source = getattr(audio, f"{part}_for_speech").state_dict()
            getattr(audio, f"{part}_for_vision_speech").load_state_dict(source)
    parameters = {
        **speech_projector_parameters(learner, "vision_speech"),
        **vision_projector_parameters(learner),
        **learner.parameters("lora.vision."),
    }

    make = SoundDialogues(course.materials, course.splice).vision_speech
    schedule = Schedule(course.steps(1000), course.rate("vision_speech", 2e-3))
    return dialogue_stage(
        course, "vision_speech", parameters, schedule, 32, make, "vision", "vision"
    )
