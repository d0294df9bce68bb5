"""The microphone button: records in the browser and sends 16 kHz PCM to /voice.

Gradio's own microphone loses sound while the page is busy, so this is ours: an AudioWorklet
(assets/style/capture-worklet.js) and a WebSocket (app/voice.py). It triggers "start" when it
listens, and "submit" with the clip's id. Leaves out: hands-free talk.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.theme import style_text


def microphone() -> Any:
    """The button with its level meter and state line."""
    return gr.HTML(
        html_template=style_text("microphone.html"),
        js_on_load=style_text("microphone.js"),
        elem_id="triad-microphone",
        apply_default_css=False,
        min_width=0,
        scale=0,
    )
