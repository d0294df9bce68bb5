"""The server: the page, its media, the voice socket and /health, behind one guard.

Leaves out: the command line (launch.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, cast

import gradio as gr
import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from app.address import listening_socket, when_ready
from app.byte_ranges import ranged_response
from app.contract import AssistantLike
from app.history import History
from app.media import media_type
from app.options import ServerOptions
from app.owner import page_address
from app.pages.chat import ChatPage
from app.samples import Sample, load_samples
from app.security import Guard, require_loopback
from app.theme import STYLE_DIR, TriadTheme
from app.turns import RunningTurns
from app.voice import Clips, receive_clip

__all__ = ["ServerOptions", "create_app", "listening_socket", "serve"]

HEAD: Final = (
    '<link rel="stylesheet" href="/style/triad.css"><script src="/style/page.js"></script>'
)
SHUTDOWN_S: Final = 3  # open streams of a page end by then, asked or not


def create_app(assistant: AssistantLike, options: ServerOptions) -> FastAPI:
    """The whole web application.

    Raises:
        BadOptionError: the host could be reached by other machines.
    """
    require_loopback(options.host)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    history = History(options.history_path)
    turns = RunningTurns(assistant, history)
    clips = Clips()
    samples = load_samples(options.samples_dir)
    app = FastAPI(
        title="Triad", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan
    )
    app.state.turns, app.state.history = turns, history
    _add_routes(app, assistant, history, clips, samples)
    page = ChatPage(assistant.info, history, turns, clips, samples, options)
    app.state.page_app = _mount_page(app, page.build(), options)
    app.add_middleware(
        Guard,
        bound_host=options.host,
        url=options.url,
        max_body_bytes=options.max_request_bytes,
    )
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.turns.stop_all()
    app.state.history.close()


def _add_routes(
    app: FastAPI,
    assistant: AssistantLike,
    history: History,
    clips: Clips,
    samples: tuple[Sample, ...],
) -> None:
    """Everything but the page itself."""
    app.mount("/style", StaticFiles(directory=STYLE_DIR))

    @app.get("/health")
    def health() -> JSONResponse:
        state = {"status": "ready" if assistant.is_ready else "loading"}
        details = {"model": assistant.info.name} if assistant.is_ready else {}
        return JSONResponse({**state, **details}, 200 if assistant.is_ready else 503)

    @app.get("/media/{conversation_id}/{message_id}/{position}")
    def media(conversation_id: str, message_id: int, position: int, request: Request) -> Response:
        data = history.media(conversation_id, message_id, position)
        kind = None if data is None else media_type(data)
        if data is None or kind is None:
            return Response(status_code=404)
        kept_for = {"cache-control": "private, max-age=3600"}
        return ranged_response(data, kind, request.headers.get("range"), kept_for)

    @app.get("/samples/{index}")
    def sample_picture(index: int) -> Response:
        picture = samples[index].image if 0 <= index < len(samples) else None
        return Response(status_code=404) if picture is None else FileResponse(picture)

    @app.websocket("/voice")
    async def voice(websocket: WebSocket) -> None:
        await receive_clip(websocket, clips)


def _mount_page(app: FastAPI, blocks: gr.Blocks, options: ServerOptions) -> Any:
    """Mount the page at /, and return Gradio's own application."""
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        server_name=options.host,
        server_port=options.port,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=options.max_upload_bytes,
        favicon_path=str(STYLE_DIR / "icon.png"),
        theme=TriadTheme(),
        # Not `css=`: Gradio rewrites those selectors so that none reaches the body's classes.
        head=HEAD,
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )
    return app.routes[-1].app  # type: ignore[attr-defined]


class GracefulServer(uvicorn.Server):
    """Ends the turns and the streams of open pages before it waits for their connections."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving; called by uvicorn once it is told to exit."""
        state = cast(FastAPI, self.config.app).state
        await state.turns.stop_all()
        state.page_app.stop_event.set()
        await super().shutdown(sockets)


def serve(assistant: AssistantLike, options: ServerOptions) -> None:
    """Serve until interrupted, then stop every turn and return.

    Raises:
        BadOptionError: the host could be reached by others, or the port cannot be had.
    """
    app = create_app(assistant, options)
    with listening_socket(options) as listener:
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_S, ws_max_size=2**20
        )
        if options.open_browser:
            when_ready(options, lambda: webbrowser.open(page_address(options)))
        asyncio.run(GracefulServer(config).serve(sockets=[listener]))
