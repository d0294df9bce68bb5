"""The bundled model's tokenizer: byte-level BPE over the small world, Phi-4's control tokens.

Digits are tokens of their own, so that sums are learned on digits. Any text can be encoded; what
the world does not say costs more tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from core.training.dialogues import text_dialogue
from core.training.exchange import words_of
from core.training.scenes import ask_about, sample_scene
from core.training.translation import sample_translation
from core.training.world import sample_exchange

NUM_TEXT_TOKENS: Final = 4000
NUM_DIALOGUES: Final = 60_000
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
    """What is said in dialogues from the whole world, for the vocabulary alone."""
    rng = random.Random(seed)
    for _ in range(num):
        for turn in text_dialogue(rng).turns:
            yield from (part for part in turn.user if isinstance(part, str))
            yield turn.reply
        exchange = sample_exchange(rng, "train")
        yield from (exchange.spoken, " " + words_of(exchange.spoken))
        yield " " + words_of(sample_translation(rng, "train").english)
        scene = sample_scene(rng)
        about = ask_about(rng, scene)
        yield from (about.question, " " + words_of(about.spoken), about.answer)


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
    tokenizer.train_from_iterator(world_sentences(NUM_DIALOGUES, seed=0), trainer)
    tokenizer.add_special_tokens(
        [
            AddedToken(name, special=True, normalized=False, rstrip=name not in KEEPS_SPACE)
            for name in CONTROL_TOKENS
        ]
    )
    return tokenizer
