"""The bundled model's tokenizer: byte-level BPE over the small world, Phi-4's control tokens.

Digits are tokens of their own, so that sums are learned on digits. Any text can be encoded; what
the world does not say costs more tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from core.training.dialogues import SYSTEM_PROMPTS, TRANSCRIBE
from core.training.scenes import ask_about, describe, sample_scene
from core.training.world import sample_exchange

NUM_TEXT_TOKENS: Final = 1700
NUM_SENTENCES: Final = 40_000
# In Phi-4's order. Role and end tokens eat the white space after them.
CONTROL_TOKENS: Final = (
    "<|endoftext|>",
    "<|image|>",
    "<|audio|>",
    "<|endofprompt|>",
    "<|assistant|>",
    "<|end|>",
    "<|user|>",
    "<|system|>",
    "<|tool|>",
    "<|/tool|>",
    "<|tool_call|>",
    "<|/tool_call|>",
    "<|tool_response|>",
    "<|tag|>",
)
KEEPS_SPACE: Final = ("<|endoftext|>", "<|image|>", "<|audio|>", "<|endofprompt|>")


def world_sentences(num: int, seed: int) -> Iterator[str]:
    """Questions and answers from the whole world, for the vocabulary alone."""
    rng = random.Random(seed)
    yield from (TRANSCRIBE, *SYSTEM_PROMPTS) * 100
    for _ in range(num):
        exchange = sample_exchange(rng, "train")
        scene = sample_scene(rng)
        about = ask_about(rng, scene)
        yield from (exchange.question, exchange.spoken, exchange.answer)
        yield from (about.question, about.answer, describe(scene), exchange.spoken.lower())


def train_tokenizer() -> Tokenizer:
    """Learn the merges and add the control tokens behind them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=NUM_TEXT_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(world_sentences(NUM_SENTENCES, seed=0), trainer)
    tokenizer.add_special_tokens(
        [
            AddedToken(name, special=True, normalized=False, rstrip=name not in KEEPS_SPACE)
            for name in CONTROL_TOKENS
        ]
    )
    return tokenizer
