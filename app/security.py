"""The guard in front of every route: hosts, origins, sizes and the content policy.

Gradio checks none of these itself, and a page of another site may talk to a server on
loopback; DNS rebinding even makes it look like the same site. So the Host header must be a
name we know, a browser's Origin must be the Host it asks, and nothing may be loaded from
elsewhere. Leaves out: keys; a server that others can reach is refused until there are some.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import BadOptionError

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Gradio fetches these for whoever asks, and a picture in a reply could ask.
FETCHING_PATH: Final = re.compile(r"/gradio_api/(?:proxy=|file[=/]\s*[a-z][a-z0-9+.-]+:/)", re.I)
POLICY_VIOLATION: Final = 1008  # WebSocket close code, RFC 6455 section 7.4.1

# Gradio starts from inline scripts, and compiles the templates of gr.HTML in the browser,
# hence 'unsafe-inline' and 'unsafe-eval'; what matters is that nothing leaves for elsewhere.
CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Final = (
    ("content-security-policy", CONTENT_POLICY),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "microphone=(self), camera=(self), geolocation=()"),
    ("cross-origin-resource-policy", "same-origin"),
)


def require_loopback(host: str) -> None:
    """Refuse an address that other machines could reach.

    Raises:
        BadOptionError: the host is neither localhost nor a loopback address.
    """
    if host not in LOOPBACK_NAMES and not _is_loopback_address(host):
        raise BadOptionError(
            f"Triad only listens on this machine and cannot be opened to others on {host!r}: "
            "use --host 127.0.0.1, and an SSH tunnel to reach it from elsewhere."
        )


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_name(host_header: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{host_header}").hostname or "").lower()
    except ValueError:
        return ""


@dataclass(frozen=True)
class Refusal:
    """Why a request is turned away."""

    status: int
    sentence: str


class Guard:
    """ASGI middleware: turns away what the rules forbid, and stamps the policy on the rest.

    Args:
        app: what lies behind.
        bound_host: the address the server listens on; allowed beside the loopback names.
        url: where the page is, for those who are turned away.
        max_body_bytes: the largest request body.
    """

    def __init__(self, app: ASGIApp, bound_host: str, url: str, max_body_bytes: int) -> None:
        self._app = app
        self._hosts = LOOPBACK_NAMES | {bound_host.lower()}
        self._url = url
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            limited = _LimitedBody(receive, self._max_body_bytes)
            await self._app(scope, limited, _with_headers(send))

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = Headers(scope=scope)
        if host_name(headers.get("host", "")) not in self._hosts:
            return Refusal(421, f"Triad does not answer to that name: open {self._url}")
        if FETCHING_PATH.match(scope["path"]):
            return Refusal(403, "Triad fetches nothing from elsewhere: attach the file instead.")
        is_write = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if is_write and not _is_same_origin(headers):
            return Refusal(403, f"Requests from other sites are refused: open {self._url}")
        if _declared_bytes(headers) > self._max_body_bytes:
            return Refusal(413, too_large_sentence(self._max_body_bytes))
        return None


def too_large_sentence(max_bytes: int) -> str:
    """What to say of a request that is too large."""
    size = f"{max_bytes // 1024**2} MB"
    return f"These files are larger than {size} together: attach fewer or smaller ones."


def _is_same_origin(headers: Headers) -> bool:
    """True without an Origin: browsers always send one with writes, other clients never do."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return origin.lower() in {f"{scheme}://{headers.get('host', '').lower()}" for scheme in SCHEMES}


SCHEMES: Final = ("http", "https")


def _declared_bytes(headers: Headers) -> int:
    length = headers.get("content-length", "0")
    return int(length) if length.isdigit() else 0


class _LimitedBody:
    """A `receive` that cuts the connection once the body is longer than allowed.

    A length is not always declared (chunked uploads), so the bytes are counted too.
    """

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._num_bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._num_bytes += len(message.get("body", b""))
        return message if self._num_bytes <= self._max_bytes else {"type": "http.disconnect"}


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS:
                headers[name] = value
        await send(message)

    return send_with_headers


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    response = JSONResponse({"error": refusal.sentence}, status_code=refusal.status)
    await response(scope, receive, _with_headers(send))
