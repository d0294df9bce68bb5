"""Whose chats these are: one id for this account, whatever port or browser the page is opened in.

A page keeps its owner's id in the browser, which knows it on one port and by one host name only.
So the id is also in a file beside the chats, that only this account may read, and goes along with
the address that is printed and opened: behind a "#", which browsers send to nobody.
Leaves out: what the page does with it (assets/style/page.js).
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Final

from app.options import ServerOptions

FILE: Final = "owner"
ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")  # 128 bits, as the page writes them


def owner_id(folder: Path) -> str | None:
    """This account's id, made when there is none yet; None where it cannot be kept.

    Args:
        folder: where the chats are kept; it is made when missing.
    """
    path = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.exists():
            kept = path.read_text("utf-8", "replace").strip()
            if ID.fullmatch(kept):
                return kept
            path.unlink()
        path.touch(mode=0o600, exist_ok=False)
        new = secrets.token_urlsafe(16)
        path.write_text(new, "ascii")
    except OSError:
        return None
    return new


def page_address(options: ServerOptions) -> str:
    """The address to open in a browser, so that it shows this account's chats."""
    owner = owner_id(options.history_path.parent)
    return options.url if owner is None else f"{options.url}#owner={owner}"
