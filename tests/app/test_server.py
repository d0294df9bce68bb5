"""The server's own routes, and what it switches off in Gradio."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.options import default_history_path
from app.server import ServerOptions, serve
from core.errors import BadOptionError
from core.messages import ImagePart, Message, Role
from tests.fakes import FakeAssistant
from tests.media import picture, picture_file


def page_config(client: TestClient) -> dict[str, object]:
    """What Gradio tells the browser about the page."""
    found = re.search(r"window\.gradio_config = (\{.*?\});</script>", client.get("/").text, re.S)
    assert found is not None
    config: dict[str, object] = json.loads(found[1])
    return config


def test_health_is_ready_when_the_assistant_is(client: TestClient) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ready", "model": "Triad Small"}


def test_health_is_503_while_the_model_loads(client: TestClient, assistant: FakeAssistant) -> None:
    assistant.is_ready = False
    response = client.get("/health")
    assert response.status_code == 503
    assert response.json() == {"status": "loading"}


def test_page_is_served_with_nothing_reported_to_anybody(client: TestClient) -> None:
    config = page_config(client)
    assert config["title"] == "Triad"
    assert config["analytics_enabled"] is False
    assert config["show_error"] is False
    assert client.get("/monitoring").status_code in (403, 404)
    assert client.get("/docs").status_code == client.get("/openapi.json").status_code == 404


def test_page_loads_no_script_style_or_font_from_elsewhere(client: TestClient) -> None:
    page = client.get("/").text
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']([^\"']+)", page)
    assert loaded
    assert [url for url in loaded if url.startswith(("http:", "https:", "//"))] == []


def test_media_of_a_chat_are_served_to_whoever_knows_its_id(client: TestClient) -> None:
    data = picture_file(picture(8, 8))
    history = client.app.state.history  # type: ignore[attr-defined]
    number = history.append("me", "secret", Message(Role.USER, (ImagePart(data),)))
    response = client.get(f"/media/secret/{number}/0")
    assert (response.content, response.headers["content-type"]) == (data, "image/png")
    part = client.get(f"/media/secret/{number}/0", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, data[:4])
    assert client.get(f"/media/guess/{number}/0").status_code == 404
    assert client.get(f"/media/secret/{number}/1").status_code == 404


def test_media_that_are_no_picture_and_no_sound_are_not_served(client: TestClient) -> None:
    page = ImagePart(b"<script>alert(1)</script>")
    history = client.app.state.history  # type: ignore[attr-defined]
    number = history.append("me", "secret", Message(Role.USER, (page,)))
    assert client.get(f"/media/secret/{number}/0").status_code == 404


def test_taken_port_is_a_sentence_that_names_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        options = ServerOptions(port=port, history_path=tmp_path / "history.sqlite3")
        with pytest.raises(BadOptionError, match=f"Port {port} .*--port"):
            serve(FakeAssistant(), options)


def test_history_lies_below_the_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert default_history_path() == Path("/data/triad/history.sqlite3")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_history_path() == Path("/home/ada/.local/share/triad/history.sqlite3")
