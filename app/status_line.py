"""One line on stderr that says what is going on while somebody waits.

On a terminal the line is rewritten in place. Elsewhere (a log, a pipe) a new line is written,
at most one every `interval_s`. Standard library only: the set-up uses it before packages exist.
Leaves out: bars and colours.
"""

from __future__ import annotations

import shutil
import time
from typing import Final, TextIO

ERASE_LINE: Final = "\r\x1b[K"


class StatusLine:
    """A line that changes while the work goes on.

    Args:
        stream: where it is written, normally sys.stderr.
        interval_s: without a terminal, how long to keep quiet between two lines.
    """

    def __init__(self, stream: TextIO, interval_s: float = 15.0) -> None:
        self._stream = stream
        self._interval_s = interval_s
        self._is_terminal = stream.isatty()
        self._shown_at_s: float | None = None

    def show(self, text: str) -> None:
        """Say what is going on now."""
        if self._is_terminal:
            # A wrapped line could not be erased, so it is cut to the terminal's width.
            width = max(shutil.get_terminal_size().columns - 1, 20)
            self._write(f"{ERASE_LINE}{text[:width]}")
            return
        now_s = time.monotonic()
        if self._shown_at_s is None or now_s - self._shown_at_s >= self._interval_s:
            self._shown_at_s = now_s
            self._write(f"{text}\n")

    def keep(self, text: str) -> None:
        """Leave this line standing and start a new one below it."""
        self.clear()
        self._write(f"{text}\n")

    def clear(self) -> None:
        """Take the line away."""
        if self._is_terminal:
            self._write(ERASE_LINE)
        self._shown_at_s = None

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
