"""The samples to click: a row of cards that trigger "select" with their number.

Leaves out: what they send (app/samples.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import gradio as gr

from app.samples import Sample
from app.theme import style_text

KIND_WORDS: Final = {
    (False, False): "text",
    (True, False): "picture",
    (False, True): "sound",
    (True, True): "picture and sound",
}


def samples_row(samples: Sequence[Sample]) -> Any:
    """The cards, shown while the chat is empty."""
    cards = "".join(_card(i, sample) for i, sample in enumerate(samples))
    return gr.HTML(
        html_template=f'<div class="triad-cards" role="group" aria-label="Things to try">'
        f"{cards}</div>",
        js_on_load=style_text("samples.js"),
        elem_id="triad-samples",
        apply_default_css=False,
    )


def _card(index: int, sample: Sample) -> str:
    kind = KIND_WORDS[(sample.image is not None, sample.audio is not None)]
    kind = "two pictures" if sample.second_image else kind
    picture = f'<img src="/samples/{index}" alt="">' if sample.image else ""
    return (
        f'<button type="button" class="triad-card" data-index="{index}">{picture}'
        f"<span><b>{_text(sample.title)}</b><small>{kind}</small></span></button>"
    )


def _text(words: str) -> str:
    """Escaped for HTML, and for the template language of gr.HTML: no ${...} and no {{...}}."""
    return escape(words).replace("$", "&#36;").replace("{", "&#123;").replace("}", "&#125;")
