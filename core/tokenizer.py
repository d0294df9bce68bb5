"""The checkpoint's tokenizer, kept from reading control tokens out of people's text.

Leaves out: templates (prompt.py) and streaming (detokenize.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import tokenizers

from core.errors import BadModelError

# What the library takes for white space after a token: Unicode's White_Space, which, other than
# Python's own idea of it, leaves out U+001C to U+001F.
WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008"
    "\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)


class Tokenizer:
    """Plain text to token ids and back, and the ids of control tokens by name.

    Two tokenizers are made from one file. The plain one has no added tokens at all, so that
    "<|end|>" typed by a person becomes the letters of "<|end|>"; the full one decodes.

    Args:
        definition: the text of a tokenizer.json.
    Raises:
        BadModelError: the text is not a tokenizer's definition.
    """

    def __init__(self, definition: str) -> None:
        try:
            content = json.loads(definition)
            added = content.get("added_tokens", [])
            self.full = tokenizers.Tokenizer.from_str(definition)
            self._plain = tokenizers.Tokenizer.from_str(_without_added_tokens(content))
        except Exception as error:  # the library raises bare Exception on a malformed file
            raise BadModelError(
                "The model's tokenizer.json cannot be read: fetch the model folder again."
            ) from error
        self._plain.no_truncation()
        self._plain.no_padding()
        self._ids: dict[str, int] = {token["content"]: token["id"] for token in added}
        self._eats_space = frozenset(token["id"] for token in added if token.get("rstrip"))
        self.control_ids = frozenset(self._ids.values())

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """Read `tokenizer.json` of a model folder.

        Raises:
            BadModelError: the file is missing or broken.
        """
        try:
            return cls((folder / "tokenizer.json").read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadModelError(
                f"The model folder '{folder.name}' has no readable tokenizer.json: "
                "fetch the folder again."
            ) from error

    def encode_text(self, text: str, after: int | None = None) -> list[int]:
        """Token ids of plain text; never a control token's id.

        Args:
            text: anything, control tokens' names included.
            after: the control token before the text; role tokens eat the white space after them.
        """
        if after in self._eats_space:
            text = text.lstrip(WHITE_SPACE)
        # Lone surrogates cannot be encoded; they come from broken clients, not from languages.
        text = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self._plain.encode(text, add_special_tokens=False).ids
        assert self.control_ids.isdisjoint(ids), "plain text became a control token"
        return ids

    def control_id(self, name: str) -> int:
        """The id of a control token such as "<|end|>".

        Raises:
            BadModelError: this tokenizer has no such token.
        """
        if name not in self._ids:
            raise BadModelError(
                f"The model's tokenizer has no token {name}: it is not a Phi-4 tokenizer, "
                "choose another model folder."
            )
        return self._ids[name]

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids, control tokens left out."""
        text: str = self.full.decode(list(token_ids), skip_special_tokens=True)
        return text


def _without_added_tokens(content: dict[str, Any]) -> str:
    """The same definition with no way to an added token's id, not even as a word."""
    names = {token["content"] for token in content.get("added_tokens", [])}
    model = content["model"]
    if isinstance(vocab := model.get("vocab"), dict):
        model = {**model, "vocab": {word: i for word, i in vocab.items() if word not in names}}
    return json.dumps({**content, "added_tokens": [], "model": model})
