"""Markdown that is safe to show: no picture in it is ever fetched.

A picture's address can carry what was said to whoever serves it, so pictures in text become
their words. The content policy (security.py) would block them too; this keeps broken picture
frames off the page. Leaves out: HTML sanitising, which the chat widget does.
"""

from __future__ import annotations

import re
from typing import Final

INLINE_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\([^)]*\)")
REFERENCE_PICTURE: Final = re.compile(r"!\[([^\]]*)\]\[[^\]]*\]")
SHORTCUT_PICTURE: Final = re.compile(r"!\[([^\]]*)\](?![\[(])")
# Tags that load something by themselves once the browser parses them.
LOADING_TAG: Final = re.compile(
    r"<(?=\s*/?\s*(?:img|image|picture|source|video|audio|iframe|object|embed|svg|link|style|script|input)\b)",
    re.IGNORECASE,
)
CODE: Final = re.compile(r"(^```.*?(?:^```|\Z)|(?<!\\)`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def without_pictures(text: str) -> str:
    """Markdown with its pictures turned into their words; code is left as it is."""
    pieces = CODE.split(text)
    return "".join(piece if i % 2 else _plain(piece) for i, piece in enumerate(pieces))


def _plain(text: str) -> str:
    for pattern in (INLINE_PICTURE, REFERENCE_PICTURE, SHORTCUT_PICTURE):
        text = pattern.sub(lambda match: f"*[picture: {match[1] or 'no words'}]*", text)
    return LOADING_TAG.sub("&lt;", text)
