"""A byte-level tokenizer for the tiny checkpoints: every byte, 54 merges, ten added tokens.

The merges spell words that tests say, the names of control tokens among them, and the first half
of an emoji, so that text cut in the wrong place gives other ids.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from tests.tiny_checkpoint import AUDIO_TOKEN_ID, IMAGE_TOKEN_ID, VOCAB_SIZE

# Each is merged from left to right; "Ġ" is the byte-level alphabet's space.
WORDS: Final = (
    *("hello", "Ġthe", "Ġworld", "ing", "Ġpicture", "Ġwhat", "ĠĠ", "ðŁ"),
    *("<|", "|>", "end", "user", "assistant", "system", "image", "audio"),
)
KEEPS_SPACE: Final = ("<|image|>", "<|audio|>", "<|endoftext|>")
CONTROL_TOKENS: Final = (
    *KEEPS_SPACE,
    *("<|assistant|>", "<|end|>", "<|user|>", "<|system|>"),
    *("<|tool|>", "<|/tool|>", "<|tool_call|>"),
)


def write_tiny_tokenizer(folder: Path) -> Path:
    """Write tokenizer.json into a folder; returns the folder."""
    (folder / "tokenizer.json").write_text(tiny_tokenizer_json(), encoding="utf-8")
    return folder


def tiny_tokenizer_json(keeps_names_in_vocab: bool = False) -> str:
    """The text of a tokenizer.json.

    Args:
        keeps_names_in_vocab: list the control tokens in the vocabulary too, and let a whole text
            that is in the vocabulary be one token, as some published files do.
    """
    vocab, merges = _learnt()
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(
        [
            AddedToken(name, special=True, normalized=False, rstrip=name not in KEEPS_SPACE)
            for name in CONTROL_TOKENS
        ]
    )
    assert tokenizer.token_to_id("<|image|>") == IMAGE_TOKEN_ID
    assert tokenizer.token_to_id("<|audio|>") == AUDIO_TOKEN_ID
    assert tokenizer.get_vocab_size() == VOCAB_SIZE
    content = json.loads(tokenizer.to_str())
    if keeps_names_in_vocab:
        content["model"]["ignore_merges"] = True
        content["model"]["vocab"] |= {t["content"]: t["id"] for t in content["added_tokens"]}
        content["pre_tokenizer"]["use_regex"] = False
    return json.dumps(content)


def byte_token_ids() -> tuple[int, ...]:
    """The token that stands for each of the 256 bytes alone.

    The byte-level alphabet writes a printable byte as its Latin-1 character, and the others as
    the characters from U+0100 on, in order.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    chars = [chr(byte if byte in printable else next(others)) for byte in range(256)]
    vocab, _ = _learnt()
    return tuple(vocab[char] for char in chars)


def _learnt() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary without added tokens, and the merges that lead to it."""
    vocab = {char: i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = []
    for word in WORDS:
        for end in range(2, len(word) + 1):
            if word[:end] not in vocab:
                vocab[word[:end]] = len(vocab)
                merges.append((word[: end - 1], word[end - 1]))
    return vocab, merges
