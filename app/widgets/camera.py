"""The camera button: a 640x480 preview and a snapshot that is attached to the message.

It triggers "upload" with the snapshot as a JPEG data: URL. Leaves out: live pictures.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.theme import style_text


def camera() -> Any:
    """The button with its preview."""
    return gr.HTML(
        html_template=style_text("camera.html"),
        js_on_load=style_text("camera.js"),
        elem_id="triad-camera",
        apply_default_css=False,
        min_width=0,
        scale=0,
    )
