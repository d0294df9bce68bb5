"""The chat page as a test sees it. Every selector lives here: Gradio's change between versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Locator, Page, expect

WAIT_MS: Final = 15_000  # for a busy machine; nothing here measures time


def expect_soon(holds: Callable[[], bool]) -> None:
    """Wait until something holds on the server's side."""
    until_s = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < until_s, "it never came to that"
        time.sleep(0.01)


class ChatPage:
    """One open page.

    Args:
        page: Playwright's page.
        url: where the server is.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        page.set_default_timeout(WAIT_MS)
        self.box = page.locator("#triad-box textarea")
        self.messages = page.locator("#triad-chat .message-row")
        self.questions = page.locator("#triad-chat .user-row")
        self.replies = page.locator("#triad-chat .bot-row")
        self.badges = page.locator("#triad-chat .triad-badge")
        self.failures = page.locator("#triad-chat .triad-failure")
        self.waiting = page.locator("#triad-chat .triad-waiting")
        self.pictures = page.locator("#triad-chat .triad-picture")
        self.sounds = page.locator("#triad-chat .triad-sound")
        self.attachments = page.locator("#triad-box .thumbnail-item")
        self.stop_button = page.locator("#triad-box .stop-button")
        self.send_button = page.locator("#triad-box .submit-button")
        self.samples = page.locator(".triad-card")
        self.notice = page.locator("#triad-notice")
        self.microphone = page.locator("#triad-microphone button")
        self.microphone_state = page.locator("#triad-microphone .triad-microphone")
        self.microphone_line = page.locator("#triad-microphone .triad-state")
        self.camera = page.locator("#triad-camera [data-action=toggle]")
        self.camera_line = page.locator("#triad-camera .triad-state")
        self.snap_button = page.locator("#triad-camera [data-action=snap]")
        self.camera_video = page.locator("#triad-camera video")
        self.editor = page.locator(".triad-editor textarea")
        self.delete_buttons = page.locator(".triad-chat-delete")
        self.chats = page.locator(".triad-chat-open")
        self.new_chat_button = page.locator("#triad-header [data-action=new]")
        self.chats_button = page.locator("#triad-header [data-action=chats]")
        self.theme_button = page.locator("#triad-header [data-action=theme]")

    def open(self) -> ChatPage:
        """Load the page and wait until it can be used."""
        self.page.goto(self.url)
        self.wait_until_ready()
        return self

    def reload(self) -> None:
        """Load it again, as F5 does."""
        self.page.reload()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Until the message box and the list of chats are there."""
        expect(self.box).to_be_visible(timeout=60_000)
        self.page.locator("#triad-chats .triad-hint, #triad-chats .triad-chat").first.wait_for(
            state="attached"
        )

    def send(self, text: str) -> None:
        """Write a message and press Enter."""
        self.box.fill(text)
        self.box.press("Enter")

    def ask(self, text: str) -> None:
        """Send a message and wait for the end of its reply."""
        num_replies = self.replies.count()
        self.send(text)
        expect(self.replies).to_have_count(num_replies + 1, timeout=WAIT_MS)
        self.wait_until_answered()

    def wait_until_answered(self, timeout_ms: int = WAIT_MS) -> None:
        """Until the last reply is complete."""
        expect(self.action("Regenerate")).to_be_visible(timeout=timeout_ms)
        expect(self.send_button).to_be_visible(timeout=timeout_ms)

    def attach(self, *paths: Path) -> None:
        """Choose files, and wait until they are uploaded."""
        self.page.set_input_files("#triad-box input[type=file]", [str(path) for path in paths])
        expect(self.attachments).to_have_count(len(paths), timeout=WAIT_MS)

    def action(self, words: str) -> Locator:
        """The last small button below a message that says so."""
        return self.page.locator("#triad-chat .triad-act", has_text=words).last

    def edit(self, index: int, text: str) -> None:
        """Change the user's message with this index, and send it again."""
        self.questions.nth(index).locator(".triad-act", has_text="Edit").click()
        self.editor.fill(text)
        self.editor.press("Enter")

    def start_speaking(self) -> None:
        """Press the microphone, and wait until it listens."""
        self.microphone.click()
        expect(self.microphone_state).to_have_attribute("data-state", "listening", timeout=WAIT_MS)

    def stop_speaking(self) -> None:
        """Press the microphone again: what was said is sent."""
        self.microphone.click()

    def wait_for_listeners(self, seconds: float) -> None:
        """Let the fake microphone play for so long."""
        self.page.wait_for_timeout(seconds * 1000)

    def expect_last_reply(self, words: str, timeout_ms: int = WAIT_MS) -> None:
        """The last reply contains these words."""
        expect(self.replies.last).to_contain_text(words, timeout=timeout_ms, ignore_case=True)

    def expect_route(self, label: str, timeout_ms: int = WAIT_MS) -> None:
        """The last reply's badge names this route."""
        expect(self.badges.last).to_have_text(label, timeout=timeout_ms)

    def media_bytes(self, media: Locator) -> bytes:
        """What a picture or a sound in the chat is made of, fetched as the browser fetches it."""
        url = media.get_attribute("src")
        response = self.page.request.get(self.url.rstrip("/") + str(url))
        assert response.ok
        return response.body()

    def has_sideways_scroll(self) -> bool:
        """Whether the page is wider than its window."""
        return bool(
            self.page.evaluate(
                "document.documentElement.scrollWidth > document.documentElement.clientWidth"
            )
        )

    def focus_order(self, num_tabs: int) -> Sequence[str]:
        """The labels of what Tab reaches from the top of the page."""
        self.page.evaluate("document.activeElement?.blur(); window.scrollTo(0, 0)")
        labels: list[Any] = []
        for _ in range(num_tabs):
            self.page.keyboard.press("Tab")
            labels.append(
                self.page.evaluate(
                    "(document.activeElement.getAttribute('aria-label') "
                    "?? document.activeElement.innerText ?? '').trim() "
                    "|| document.activeElement.tagName"
                )
            )
        return labels
