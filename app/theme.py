"""The look: a quiet Gradio theme with the system's own fonts, and the files of assets/style.

Leaves out: layout, which is CSS (assets/style/triad.css).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import gradio as gr

from app.options import REPOSITORY

STYLE_DIR: Final = REPOSITORY / "assets" / "style"
SANS: Final = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO: Final = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


@cache
def style_text(name: str) -> str:
    """One file of assets/style."""
    return (STYLE_DIR / name).read_text(encoding="utf-8")


class TriadTheme(gr.themes.Base):
    """Paper and ink by day, slate by night, one teal accent; nothing is fetched."""

    def __init__(self) -> None:
        super().__init__(
            primary_hue=gr.themes.colors.teal,
            secondary_hue=gr.themes.colors.teal,
            neutral_hue=gr.themes.colors.stone,
            radius_size=gr.themes.sizes.radius_lg,
            font=SANS,
            font_mono=MONO,
        )
        self.name = "triad"
        self.set(
            body_background_fill="#faf9f6",
            body_background_fill_dark="#15181b",
            body_text_color="#22272b",
            body_text_color_dark="#e7e5e0",
            body_text_color_subdued="#5d6166",
            body_text_color_subdued_dark="#a3a6a9",
            background_fill_primary="#ffffff",
            background_fill_primary_dark="#1c2024",
            background_fill_secondary="#f3f1ec",
            background_fill_secondary_dark="#22272b",
            border_color_primary="#e3dfd7",
            border_color_primary_dark="#333a40",
            block_background_fill="transparent",
            block_background_fill_dark="transparent",
            block_border_width="0px",
            block_border_width_dark="0px",
            block_shadow="none",
            block_shadow_dark="none",
            input_background_fill="#ffffff",
            input_background_fill_dark="#1c2024",
            button_primary_background_fill="#0f766e",
            button_primary_background_fill_hover="#115e59",
            button_primary_background_fill_dark="#0f766e",
            button_primary_background_fill_hover_dark="#0d9488",
            button_primary_text_color="#ffffff",
            button_primary_text_color_dark="#ffffff",
        )
