"""How the server is started: the values launch.py fills in.

Leaves out: parsing a command line (launch.py).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAX_FULL_SIZE_UPLOADS: Final = 8  # dropped at once, each as large as a file may be
REPOSITORY: Final = Path(__file__).resolve().parent.parent


def default_history_path() -> Path:
    """Where chats are kept: below XDG_DATA_HOME, or ~/.local/share without it."""
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "triad" / "history.sqlite3"


@dataclass(frozen=True)
class ServerOptions:
    """One server.

    Args:
        host: the address to listen on; loopback only.
        port: the TCP port.
        open_browser: open the page in the person's browser once it is served.
        history_path: the SQLite file the chats are kept in.
        samples_dir: pictures, clips and questions to click, with their samples.json.
        max_upload_bytes: the largest file that may be attached.
        max_waiting_turns: how many page events may queue.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    open_browser: bool = False
    history_path: Path = field(default_factory=default_history_path)
    samples_dir: Path = REPOSITORY / "assets" / "samples"
    max_upload_bytes: int = 25 * 1024 * 1024
    max_waiting_turns: int = 64

    @property
    def max_request_bytes(self) -> int:
        """The largest request body: several files may be dropped at once."""
        return MAX_FULL_SIZE_UPLOADS * self.max_upload_bytes

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"
