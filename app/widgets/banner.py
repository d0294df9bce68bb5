"""The top of the page: the brand and model line, and the notice about what is loaded.

Leaves out: switching models in the page; that is a start option of launch.py.
"""

from __future__ import annotations

import hashlib
from html import escape
from typing import Any, Final

import gradio as gr

from app.contract import ModelInfoLike
from app.theme import style_text

LOAD_COMMAND: Final = "python3 launch.py --model microsoft/Phi-4-multimodal-instruct"


def header(info: ModelInfoLike) -> Any:
    """The brand, the loaded model and the buttons of the page; triggers "click" for a new chat."""
    return gr.HTML(
        model_line(info),
        html_template=style_text("header.html"),
        js_on_load=style_text("header.js"),
        elem_id="triad-header",
        apply_default_css=False,
    )


def model_line(info: ModelInfoLike) -> str:
    """Name, device and quantisation of the loaded model, as HTML."""
    packed = "" if info.quantization in ("", "none") else f" · {info.quantization}"
    return f"<b>{escape(info.name)}</b> · {escape(info.device)} · {escape(info.dtype + packed)}"


def notice_markdown(info: ModelInfoLike) -> str:
    """What the loaded model knows, and how to load the large one."""
    about = f"**{info.name}.** {info.about}"
    if not info.is_bundled:
        return about
    return f"{about}\n\nTo talk to Phi-4-multimodal, start Triad with `{LOAD_COMMAND}`."


def _fingerprint(info: ModelInfoLike) -> str:
    """A notice that was dismissed comes back once its words change."""
    return hashlib.sha256(notice_markdown(info).encode()).hexdigest()[:16]


def notice(info: ModelInfoLike, warning: str | None) -> None:
    """The dismissible notice, and above it what went wrong at the start, if anything did."""
    if warning is not None:
        gr.Markdown(f"**{escape(warning)}**", elem_id="triad-warning")
    with gr.Row(elem_id="triad-notice", equal_height=False):
        gr.Markdown(notice_markdown(info), elem_id="triad-notice-text")
        gr.HTML(
            html_template=(
                f'<button type="button" class="triad-quiet" data-words="{_fingerprint(info)}" '
                'aria-label="Dismiss this notice">×</button>'
            ),
            js_on_load=style_text("notice.js"),
            elem_id="triad-notice-dismiss",
            apply_default_css=False,
            min_width=0,
            scale=0,
        )
