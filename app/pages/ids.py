"""Whose chats and which chat: the browser's two ids come along with every event of the page.

So even a click on a page that is still loading knows whose it is. They are the first two inputs of
every handler (pages/chat.py). Leaves out: where they are kept (assets/style/page.js).
"""

from __future__ import annotations

from typing import Final

WITH_IDS: Final = """async (owner, chat, ...rest) => {
  // Gradio adds the page's own script while it builds the page, so it may be a moment late.
  while (!window.triad) await new Promise((resolve) => setTimeout(resolve, 10));
  return [...(await window.triad.ids), ...rest];
}"""
