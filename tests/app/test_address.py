"""Is the port free, is the server there, is there a screen."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.address import (
    announce_when_ready,
    another_port,
    cannot_listen,
    has_screen,
    listening_socket,
    require_free_port,
)
from app.options import ServerOptions
from app.owner import page_address
from core.errors import BadOptionError


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    """A socket that has a port of its own but refuses connections until it listens."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server


def options(server: socket.socket) -> ServerOptions:
    return ServerOptions(port=server.getsockname()[1])


def test_a_port_nobody_listens_on_is_free(bound: socket.socket) -> None:
    require_free_port(options(bound))


def test_a_taken_port_is_a_sentence_with_another_port(bound: socket.socket) -> None:
    bound.listen()
    port = options(bound).port
    with pytest.raises(BadOptionError, match=rf"serves http://127.0.0.1:{port}/: .* --port \d+\.$"):
        require_free_port(options(bound))


@pytest.mark.parametrize(
    ("port", "suggested"), [(7860, 7861), (65534, 65535), (65535, 7860), (80, 7860)]
)
def test_the_port_suggested_can_be_used(port: int, suggested: int) -> None:
    assert another_port(port) == suggested


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.EADDRINUSE, "taken by another program: .* --port 7860"),
        (errno.EACCES, "kept for the system's administrator: .* --port 7860"),
        (errno.EADDRNOTAVAIL, "has no address 127.0.0.1: use --host"),
        (errno.EMFILE, r"cannot be listened on \(Too many open files\)"),
    ],
)
def test_each_reason_for_no_socket_has_its_own_sentence(code: int, sentence: str) -> None:
    error = OSError(code, "Too many open files")
    with pytest.raises(BadOptionError, match=sentence):
        raise cannot_listen(ServerOptions(port=80), error)


def test_an_address_of_another_machine_is_said_to_be_none_of_ours() -> None:
    elsewhere = ServerOptions(host="192.0.2.1", port=0)  # kept for documentation, RFC 5737
    with pytest.raises(BadOptionError, match=r"no address 192\.0\.2\.1"):
        listening_socket(elsewhere)


def test_the_address_is_said_once_the_server_listens(bound: socket.socket, tmp_path: Path) -> None:
    said: list[str] = []
    done = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        done.set()

    told = replace(options(bound), history_path=tmp_path / "chats" / "history.sqlite3")
    announce_when_ready(told, say)
    assert not done.wait(timeout=0.25)
    bound.listen()
    assert done.wait(timeout=10.0)
    assert said == [f"Triad is ready: {page_address(told)} (Ctrl-C stops it)"]


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
    ],
)
def test_a_browser_is_opened_only_where_it_can_be_seen(
    platform: str, environ: dict[str, str], expected: bool
) -> None:
    assert has_screen(platform, environ) is expected
