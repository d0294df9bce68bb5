"""The guard: who may ask, from where, and how much."""

from __future__ import annotations

import re

import gradio.routes
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from app.options import ServerOptions
from app.security import host_name, require_loopback
from app.server import create_app
from core.errors import BadOptionError
from tests.fakes import FakeAssistant

JOIN = "/gradio_api/queue/join"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_loopback_hosts_are_allowed(host: str) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "example.org", "::"])
def test_hosts_others_can_reach_are_refused_with_a_sentence(host: str) -> None:
    with pytest.raises(BadOptionError, match=r"--host 127\.0\.0\.1"):
        create_app(FakeAssistant(), ServerOptions(host=host))


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("127.0.0.1:7860", "127.0.0.1"),
        ("LocalHost", "localhost"),
        ("[::1]:80", "::1"),
        ("[broken", ""),
        ("", ""),
    ],
)
def test_host_name_is_read_from_its_header(header: str, name: str) -> None:
    assert host_name(header) == name


@pytest.mark.parametrize("path", ["/", "/health", "/style/triad.css", "/gradio_api/heartbeat/x"])
def test_foreign_host_names_get_nothing(client: TestClient, path: str) -> None:
    response = client.get(path, headers={"host": "rebound.example:7860"})
    assert response.status_code == 421
    assert "Triad</title>" not in response.text


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://127.0.0.1:9999", "http://127.0.0.1.evil.example:7860"],
)
def test_writes_from_other_origins_are_refused(client: TestClient, origin: str) -> None:
    assert client.post(JOIN, json={}, headers={"origin": origin}).status_code == 403


def test_writes_from_the_page_itself_reach_gradio(client: TestClient) -> None:
    response = client.post(JOIN, json={}, headers={"origin": "http://127.0.0.1:7860"})
    assert response.status_code == 422  # Gradio's word for an empty request


def test_cross_site_write_without_an_origin_is_refused(client: TestClient) -> None:
    response = client.post(JOIN, json={}, headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == 403


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"host": "rebound.example:7860"}]
)
def test_voice_socket_refuses_foreigners(client: TestClient, headers: dict[str, str]) -> None:
    with (
        pytest.raises(WebSocketDisconnect) as refused,
        client.websocket_connect("/voice", headers=headers),
    ):
        pass
    assert refused.value.code == 1008


def test_upload_that_declares_too_much_is_refused(client: TestClient) -> None:
    size = str(201 * 1024 * 1024)
    response = client.post("/gradio_api/upload", headers={"content-length": size})
    assert response.status_code == 413
    assert response.json() == {
        "error": "These files are larger than 200 MB together: attach fewer or smaller ones."
    }


@pytest.mark.parametrize("path", ["/", "/health", "/style/triad.css", "/nowhere"])
def test_every_answer_carries_the_content_policy(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["img-src"] == "'self' data: blob:"
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self' data: blob:"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://example.org/x.png",
        "/gradio_api/file=http://127.0.0.1:1/x.png",
        "/gradio_api/file=HTTPS://example.org/x.png",
        "/gradio_api/file/https://example.org/x.png",
        "/gradio_api/file=%68ttps://example.org/x.png",
        "/gradio_api/proxy=https://example.hf.space/x.png",
    ],
)
def test_nothing_is_fetched_from_elsewhere(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fetched(*_: object) -> None:
        pytest.fail("it was fetched")

    monkeypatch.setattr(gradio.routes, "secure_url_stream_response", fetched)
    response = client.get(path)
    assert response.status_code == 403
    assert "attach the file" in response.json()["error"]


@pytest.mark.parametrize(
    "headers", [{"host": "rebound.example"}, {"origin": "http://evil.example"}]
)
def test_who_is_refused_is_told_where_the_page_is(
    client: TestClient, headers: dict[str, str]
) -> None:
    said = client.post(JOIN, json={}, headers=headers).json()["error"]
    assert re.search(r"open http://127\.0\.0\.1:\d+/$", said)
