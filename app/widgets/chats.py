"""The list of chats: triggers "select" to open one and "delete" to remove one.

Leaves out: searching and exporting chats.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from app.history import ChatSummary
from app.theme import style_text


def chat_list() -> Any:
    """The list, empty until the page knows whose it is."""
    return gr.HTML(
        "", js_on_load=style_text("chats.js"), elem_id="triad-chats", apply_default_css=False
    )


def chat_list_html(chats: Sequence[ChatSummary], open_id: str) -> str:
    """The list's rows, the open chat marked."""
    if not chats:
        return '<p class="triad-hint">Your chats will be listed here.</p>'
    return "".join(_row(chat, chat.id == open_id) for chat in chats)


def _row(chat: ChatSummary, is_open: bool) -> str:
    mark = ' aria-current="true"' if is_open else ""
    title = escape(chat.title)
    return (
        f'<div class="triad-chat" data-id="{escape(chat.id)}"{mark}>'
        f'<button type="button" class="triad-chat-open">{title}</button>'
        f'<button type="button" class="triad-chat-delete" aria-label="Delete {title}">×</button>'
        "</div>"
    )
