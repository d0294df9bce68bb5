"""Stored messages and a turn's progress -> what gr.Chatbot shows.

Media are HTML that points at /media/..., so nothing is copied into Gradio's cache; each reply
ends with its route badge and measures. Leaves out: fetching any of it (pages/chat.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

from app.history import Outcome, StoredMessage
from app.markdown import without_pictures
from app.turns import Progress
from core.messages import AudioPart, ImagePart, Message, Part, Role, TextPart
from core.router import Route

Block = str | dict[str, Any]
ChatMessage = dict[str, Any]

BUTTON: Final = '<button type="button" class="triad-act"'
FINISH_WORDS: Final = {
    "length": "cut off at its length limit",
    "cancelled": "stopped",
}


def chat_messages(
    conversation_id: str, messages: Sequence[StoredMessage], progress: Progress | None = None
) -> list[ChatMessage]:
    """The chat, with the turn under way at its end if there is one."""
    last = messages[-1] if messages and progress is None else None
    shown = [_shown(conversation_id, stored, stored is last) for stored in messages]
    if progress is not None:
        shown.append(_under_way(messages, progress))
    return shown


def waiting_word(message: Message) -> str:
    """What the assistant is busy with before its first word."""
    if any(isinstance(part, AudioPart) for part in message.parts):
        return "hearing…"
    return "looking…" if any(isinstance(part, ImagePart) for part in message.parts) else "thinking…"


def route_words(route: Route) -> str:
    """A route as its badge's title spells it out."""
    if route.adapter is None:
        return "base model, no adapter"
    if route.audio_projector is None:
        return f"{route.adapter} adapter"
    return f"{route.adapter} adapter, {route.audio_projector} audio projector"


def _shown(conversation_id: str, stored: StoredMessage, is_last: bool) -> ChatMessage:
    buttons = _buttons(stored, is_last)
    if stored.message.role is Role.ASSISTANT:
        return {"role": "assistant", "content": _reply_blocks(stored, buttons)}
    url = f"/media/{conversation_id}/{stored.id}"
    blocks = [_block(part, f"{url}/{i}") for i, part in enumerate(stored.message.parts)]
    return {"role": "user", "content": [*blocks, _footer(buttons)]}


def _block(part: Part, url: str) -> Block:
    match part:
        case TextPart(text):
            return without_pictures(text)
        case ImagePart(name=name):
            return _html(f'<img class="triad-picture" src="{url}" alt="{escape(name)}">')
        case AudioPart(name=name):
            return _html(
                f'<audio class="triad-sound" controls preload="metadata" src="{url}" '
                f'aria-label="{escape(name)}"></audio>'
            )


def _html(markup: str) -> Block:
    """Markup as a block of its own kind: it is left out when a message is copied or edited."""
    props = {"html_template": "${value}", "css_template": "", "apply_default_css": False}
    return {
        "type": "component",
        "component": "html",
        "value": markup,
        "constructor_args": {},
        "props": {**props, "value": markup, "show_label": False, "container": False},
    }


def _reply_blocks(stored: StoredMessage, buttons: str) -> list[Block]:
    text = without_pictures(stored.message.text)
    failure = stored.outcome.failure
    blocks: list[Block] = [text] if text else []
    if failure is not None:
        blocks.append(_html(f'<div class="triad-failure" role="alert">{escape(failure)}</div>'))
    return [*blocks, _footer(_badge(stored.outcome.route) + _measured(stored.outcome) + buttons)]


def _under_way(messages: Sequence[StoredMessage], progress: Progress) -> ChatMessage:
    badge = _badge(progress.route)
    if progress.text:
        return {
            "role": "assistant",
            "content": [without_pictures(progress.text), _footer(badge)],
        }
    word = waiting_word(messages[-1].message) if messages else "thinking…"
    waiting = f'<span class="triad-waiting" role="status">{word}</span>'
    return {"role": "assistant", "content": [_footer(waiting + badge)]}


def _badge(route: Route | None) -> str:
    if route is None:
        return ""
    name = route.label.replace("+", "-")
    return (
        f'<span class="triad-badge triad-{name}" title="{route_words(route)}">{route.label}</span>'
    )


def _footer(markup: str) -> Block:
    return _html(f'<div class="triad-footer">{markup}</div>')


def _measured(outcome: Outcome) -> str:
    return "".join(
        f'<span class="triad-measure">{escape(words)}</span>' for words in _measures(outcome)
    )


def _buttons(stored: StoredMessage, is_last: bool) -> str:
    """The buttons below a message; assets/style/actions.js does what they say."""
    is_reply = stored.message.role is Role.ASSISTANT
    text = escape(stored.message.text)
    buttons = [f'{BUTTON} data-act="copy" data-text="{text}">Copy</button>'] if text else []
    if not is_reply:
        has_media = any(not isinstance(part, TextPart) for part in stored.message.parts)
        media = " data-media" if has_media else ""
        data = f'data-message="{stored.id}" data-text="{text}"{media}'
        buttons.append(f'{BUTTON} data-act="edit" {data}>Edit</button>')
    elif is_last:
        buttons.append(f'{BUTTON} data-act="again">Regenerate</button>')
    return f'<span class="triad-acts">{"".join(buttons)}</span>'


def _measures(outcome: Outcome) -> list[str]:
    words = []
    stats = outcome.stats or {}
    first_ms = float(stats.get("time_to_first_token_ms", 0.0))
    speed = float(stats.get("tokens_per_s", 0.0))
    if first_ms:
        words.append(f"first token {first_ms / 1000:.2f} s")
    if speed:
        words.append(f"{speed:.1f} tokens/s")
    if outcome.finish_reason in FINISH_WORDS:
        words.append(FINISH_WORDS[outcome.finish_reason])
    return words
