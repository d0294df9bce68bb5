"""The README's screenshots, taken of the page with the bundled model.

    .venv/bin/python -m tests.browser.screenshots

Writes assets/screenshots/{chat,chat-dark,chat-small}.png.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, sync_playwright

from app.server import ServerOptions
from core.assistant import open_assistant
from core.config import ModelOptions
from tests.browser.conftest import FLAGS, chromium_path
from tests.browser.page import ChatPage
from tests.browser.server import running

ROOT: Final = Path(__file__).resolve().parents[2]
SAMPLES: Final = ROOT / "assets" / "samples"
FOLDER: Final = ROOT / "assets" / "screenshots"
WIDE: Final = (1280, 860)
SMALL: Final = (360, 740)


def main() -> int:
    """Take every screenshot; returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    assistant = open_assistant(None, ModelOptions())
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        options = ServerOptions(history_path=Path(folder) / "history.sqlite3")
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        with running(assistant, options) as url:
            shoot(browser, url, "chat.png", WIDE, is_dark=False)
            shoot(browser, url, "chat-dark.png", WIDE, is_dark=True)
            shoot(browser, url, "chat-small.png", SMALL, is_dark=False)
        browser.close()
    assistant.close()
    return 0


def shoot(browser: Browser, url: str, name: str, size: tuple[int, int], is_dark: bool) -> None:
    """Ask about the sample picture, then say the sample question, and save what is seen."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if is_dark else "light",
        permissions=["microphone", "camera"],
    )
    chat = ChatPage(context.new_page(), url).open()
    chat.attach(SAMPLES / "three-shapes.png")
    chat.ask("Describe the image in detail.")
    chat.page.wait_for_timeout(500)  # the last animation
    chat.page.screenshot(path=str(FOLDER / name))
    context.close()


if __name__ == "__main__":
    sys.exit(main())
