"""Token ids -> text deltas: never half a character, never the beginning of a stop string.

Leaves out: which tokens end a reply (engine.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers.decoders import DecodeStream

from core.tokenizer import Tokenizer

REPLACEMENT = "�"  # what an incomplete character decodes to


class TextStream:
    """The text of one reply as it grows.

    Args:
        tokenizer: the checkpoint's.
        stop: the reply ends before the first of these strings.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending_ids: list[int] = []
        self._stop = tuple(stop)
        self._held_back = ""
        self.text = ""
        self.is_stopped = False

    def push(self, token_id: int) -> str:
        """Add a token; returns the text that is certain now, maybe none."""
        assert not self.is_stopped, "the reply has ended"
        self._pending_ids.append(token_id)
        decoded = self._stream.step(self._tokenizer.full, token_id)
        if decoded is None:
            return ""
        self._pending_ids.clear()
        return self._release(decoded, is_last=False)

    def finish(self, is_whole: bool = True) -> str:
        """The rest of the text, when the reply ends with nothing more to come.

        Args:
            is_whole: the model itself ended the reply. Bytes that never became a character are
                then shown as such; of a reply that was cut off, half a character is dropped.
        """
        if self.is_stopped:
            return ""
        is_shown = is_whole and bool(self._pending_ids)
        rest = self._tokenizer.decode(self._pending_ids) if is_shown else ""
        return self._release(rest, is_last=True)

    def _release(self, decoded: str, is_last: bool) -> str:
        text = self._held_back + decoded
        found = [(at + len(stop), at) for stop in self._stop if (at := text.find(stop)) >= 0]
        if found:
            # The one complete first, so that it does not matter how text falls into tokens.
            _, cut = min(found)
            self.is_stopped = True
            self._held_back = ""
            delta = text[:cut]
        else:
            num_held = 0 if is_last else self._num_to_hold(text)
            delta, self._held_back = text[: len(text) - num_held], text[len(text) - num_held :]
        self.text += delta
        return delta

    def _num_to_hold(self, text: str) -> int:
        """How many last characters could be the beginning of a stop string."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        for num in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-num:]) for stop in self._stop):
                return num
        return 0
