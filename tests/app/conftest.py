"""What the app's tests share: a server around a scripted assistant, with its history in a folder
of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.history import History
from app.server import ServerOptions, create_app
from tests.fakes import FakeAssistant


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[FakeAssistant, TestClient]]:
    """One server around one scripted assistant for all tests: building one takes a while."""
    folder = tmp_path_factory.mktemp("served")
    assistant = FakeAssistant()
    options = ServerOptions(history_path=folder / "history.sqlite3", samples_dir=folder)
    app = create_app(assistant, options)
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        yield assistant, client


@pytest.fixture
def assistant(served: tuple[FakeAssistant, TestClient]) -> FakeAssistant:
    """Answers by echo, a word every 20 ms."""
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served: tuple[FakeAssistant, TestClient], assistant: FakeAssistant) -> TestClient:
    """A browser's view of the server."""
    return served[1]


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    """An empty history."""
    history = History(tmp_path / "chats" / "history.sqlite3")
    yield history
    history.close()
