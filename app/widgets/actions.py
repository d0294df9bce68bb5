"""What the buttons below a message do: copy it, edit it, have it answered again.

Gradio's own editing mixes up messages that carry media, so this is ours. Triggers "edit" with
the message's number and its new text, and "retry". Leaves out: the buttons (widgets/messages.py).
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.theme import style_text


def actions() -> Any:
    """The dialog to edit in; it takes no room until it is opened."""
    return gr.HTML(
        html_template=style_text("actions.html"),
        js_on_load=style_text("actions.js"),
        elem_id="triad-actions",
        apply_default_css=False,
    )
