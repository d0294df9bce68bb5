"""The two throw-away heads of the audio encoder's own stage: words behind it, phonemes inside.

Leaves out: the stage (speech_stages.py), and what is said as classes (ctc.py, phonemes.py).
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import nn
from transformers.models.phi4_multimodal.modeling_phi4_multimodal import Phi4MultimodalAudioModel

from core.training.phonemes import PhonemeHead


class Heard(NamedTuple):
    """What the heads say of some clips, as log probabilities.

    Args:
        words: (num_frames, num_clips, num_word_classes).
        phonemes: (NUM_PARTS * num_frames, num_clips, num_phoneme_classes).
    """

    words: torch.Tensor
    phonemes: torch.Tensor


class SpeechHeads(nn.Module):
    """What word token does each frame say, and what phonemes do its parts?

    Args:
        width: of the encoder.
        num_words, num_phonemes: classes, the blank too.
    """

    def __init__(self, width: int, num_words: int, num_phonemes: int) -> None:
        super().__init__()
        self.words = nn.Linear(width, num_words)
        self.phonemes = PhonemeHead(width, num_phonemes)

    def hear(
        self, encoder: Phi4MultimodalAudioModel, mels: torch.Tensor, is_encoder_kept: bool
    ) -> Heard:
        """Run the encoder and both heads.

        Args:
            mels: (num_clips, num_frames, 80).
            is_encoder_kept: only the heads will learn from this.
        """
        with torch.no_grad() if is_encoder_kept else nullcontext():
            hidden, middle = run_with_middle(encoder, mels)
        logits: torch.Tensor = self.words(hidden)
        words = logits.float().log_softmax(-1).transpose(0, 1)
        return Heard(words, self.phonemes.log_probs(middle))


def run_with_middle(
    encoder: Phi4MultimodalAudioModel, mels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the encoder says, and what it says behind two of three of its blocks.

    Args:
        mels: (num_clips, num_frames, 80).
    Returns:
        Both (num_clips, num_frames / 8, width).
    """
    middle: list[torch.Tensor] = []
    block = encoder.encoders[2 * len(encoder.encoders) // 3 - 1]
    with block.register_forward_hook(lambda _, __, output: middle.append(output)):
        hidden: torch.Tensor = encoder(mels, None)
    return hidden, middle[0]
