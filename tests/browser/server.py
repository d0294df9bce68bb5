"""A real server on a free loopback port, in a thread of the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import uvicorn

from app.contract import AssistantLike
from app.server import GracefulServer, ServerOptions, create_app, listening_socket


@contextmanager
def running(assistant: AssistantLike, options: ServerOptions) -> Iterator[str]:
    """Serve until the block ends, and yield the page's address; the options' port is ignored."""
    listener = listening_socket(replace(options, port=0))
    options = replace(options, port=listener.getsockname()[1])
    config = uvicorn.Config(
        create_app(assistant, options), log_level="warning", timeout_graceful_shutdown=1
    )
    server = GracefulServer(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield options.url
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        listener.close()
