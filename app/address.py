"""Where the server can be reached: is the port free, is it answering yet, is there a browser.

Leaves out: serving (server.py).
"""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from app.options import ServerOptions
from app.owner import page_address
from core.errors import BadOptionError

POLL_S: Final = 0.1
LAST_PORT: Final = 65535
FIRST_FREE_FOR_ALL: Final = 1024  # lower ports are kept for the system's administrator


def accepts(options: ServerOptions) -> bool:
    """Whether somebody accepts connections there."""
    try:
        with socket.create_connection((options.host, options.port), timeout=1.0):
            return True
    except OSError:
        return False


def require_free_port(options: ServerOptions) -> None:
    """Notice another server in our place before the model loads, which takes long.

    Raises:
        BadOptionError: somebody else accepts connections there, or we may not.
    """
    if accepts(options):
        raise BadOptionError(
            f"Something already serves {options.url}: open that, or choose another port, "
            f"for example --port {another_port(options.port)}."
        )
    try:
        bound_socket(options).close()
    except OSError as error:
        # A port in use that nobody answers at may be free again once the model is there.
        if error.errno != errno.EADDRINUSE:
            raise cannot_listen(options, error) from error


def another_port(port: int) -> int:
    """A port to suggest in place of one that cannot be used."""
    return port + 1 if FIRST_FREE_FOR_ALL <= port < LAST_PORT else ServerOptions.port


def listening_socket(options: ServerOptions) -> socket.socket:
    """The bound socket, so that a taken port is known before anything starts.

    Raises:
        BadOptionError: the port is taken, or may not be used.
    """
    try:
        return bound_socket(options)
    except OSError as error:
        raise cannot_listen(options, error) from error


def bound_socket(options: ServerOptions) -> socket.socket:
    """A socket with the server's address that does not accept connections yet.

    Raises:
        OSError: the system refuses.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.port))
    except OSError:
        listener.close()
        raise
    return listener


def cannot_listen(options: ServerOptions, error: OSError) -> BadOptionError:
    """What to tell a person whose server gets no socket."""
    port = f"Port {options.port} on {options.host}"
    other = f"for example --port {another_port(options.port)}"
    match error.errno:
        case errno.EADDRINUSE:
            return BadOptionError(
                f"{port} is taken by another program: choose another one with --port, {other}."
            )
        case errno.EACCES:
            return BadOptionError(
                f"{port} is kept for the system's administrator: "
                f"choose one from {FIRST_FREE_FOR_ALL} up, {other}."
            )
        case errno.EADDRNOTAVAIL | errno.EAFNOSUPPORT:
            return BadOptionError(
                f"This machine has no address {options.host}: use --host 127.0.0.1."
            )
    return BadOptionError(
        f"{port} cannot be listened on ({error.strerror}): use --host 127.0.0.1, "
        f"or choose another port, {other}."
    )


def announce_when_ready(options: ServerOptions, say: Callable[[str], None]) -> None:
    """Return at once; say the address as soon as the server accepts connections."""
    when_ready(options, lambda: say(f"Triad is ready: {page_address(options)} (Ctrl-C stops it)"))


def when_ready(options: ServerOptions, act: Callable[[], object]) -> None:
    """Return at once; call `act` from another thread once the server accepts connections."""

    def wait() -> None:
        while not accepts(options):
            time.sleep(POLL_S)
        act()

    threading.Thread(target=wait, daemon=True).start()


def has_screen(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a browser can show a page; without a screen, one might take over the terminal."""
    if platform in ("win32", "darwin"):
        return True
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
