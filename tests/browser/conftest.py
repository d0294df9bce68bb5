"""Chromium with a fake microphone and a fake camera, and a server for it to open."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Playwright, sync_playwright

from app import checks
from app.server import ServerOptions
from tests.browser.page import ChatPage
from tests.browser.server import running
from tests.fakes import FakeAssistant

FLAGS: Final = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --autoplay-policy=no-user-gesture-required "
    "--use-fake-device-for-media-stream"
).split()

Launch = Callable[..., Browser]
OpenPage = Callable[..., ChatPage]


def chromium_path() -> str:
    """The browser to drive; skips the test where there is none."""
    path = checks.chromium_path()
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium, or name one in TRIAD_CHROMIUM")
    return path


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """Playwright, started once; ended with this folder, because its event loop holds the thread."""
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium whose fake devices beep and blink, for tests without media of their own."""
    browser = playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
    yield browser
    browser.close()


@pytest.fixture
def launch(playwright: Playwright) -> Iterator[Launch]:
    """Start a Chromium whose microphone plays a WAV or whose camera shows a y4m."""
    with ExitStack() as stack:

        def launch(microphone: Path | None = None, camera: Path | None = None) -> Browser:
            flags = [*FLAGS]
            if microphone is not None:
                flags.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
            if camera is not None:
                flags.append(f"--use-file-for-fake-video-capture={camera}")
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=flags)
            stack.callback(browser.close)
            return browser

        yield launch


@pytest.fixture
def contexts() -> Iterator[ExitStack]:
    """Closes what a test opened."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeAssistant, str]]:
    """One server around one scripted assistant for all tests: starting one takes a while."""
    folder = tmp_path_factory.mktemp("served")
    assistant = FakeAssistant()
    options = ServerOptions(history_path=folder / "history.sqlite3", samples_dir=folder)
    with running(assistant, options) as url:
        yield assistant, url


@pytest.fixture
def assistant(served: tuple[FakeAssistant, str]) -> FakeAssistant:
    """Answers by echo until a test gives it another script."""
    served[0].reset()
    return served[0]


@pytest.fixture
def url(served: tuple[FakeAssistant, str], assistant: FakeAssistant) -> str:
    """The server's address."""
    return served[1]


@pytest.fixture
def context(browser: Browser, contexts: ExitStack) -> BrowserContext:
    """A person's browser: its own storage, devices allowed."""
    context = browser.new_context(permissions=["microphone", "camera"])
    contexts.callback(context.close)
    return context


@pytest.fixture
def chat(context: BrowserContext, url: str) -> ChatPage:
    """The page, open."""
    return ChatPage(context.new_page(), url).open()
