"""Where what can be made again is kept on this computer.

Leaves out: what the model hub's own library keeps (hub.py).
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(name: str) -> Path:
    """The folder of one kind of things: below XDG_CACHE_HOME, or ~/.cache without it."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "triad" / name
