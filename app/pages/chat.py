"""The chat page: where its pieces stand, and what happens when they are used.

The browser keeps two ids, whose chats these are and which one is open (assets/style/page.js);
everything else is in the history, so a reload or a restart loses nothing. Leaves out: looks
(theme.py, assets/style), how a turn runs (turns.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from app.contract import ModelInfoLike
from app.history import History, Outcome
from app.media import ATTACHABLE_SUFFIXES, in_turn_order, parts_from_files, snapshot_bytes
from app.options import ServerOptions
from app.pages import sentences
from app.pages.ids import WITH_IDS
from app.samples import Sample
from app.turns import OUR_FAULT, LiveTurn, Progress, RunningTurns
from app.voice import Clips
from app.widgets.actions import actions
from app.widgets.banner import header, notice
from app.widgets.camera import camera
from app.widgets.chats import chat_list, chat_list_html
from app.widgets.messages import chat_messages
from app.widgets.microphone import microphone
from app.widgets.samples import samples_row
from core.errors import BadMediaError
from core.messages import AudioPart, ImagePart, Message, Part, Role, TextPart
from core.sampling_options import SamplingOptions

LOG: Final = logging.getLogger(__name__)
Update = tuple[Any, ...]
QUIET: Final = {
    "api_visibility": "private",
    "show_progress": "hidden",
    # A chat never waits for another one here: the engine has the queue.
    "concurrency_limit": None,
}
UPLOAD_LIFE_S: Final = 24 * 3600  # of Gradio's copies; what was sent is in the history
MAX_PASTED_CHARS: Final = 10_000_000  # more becomes a file, which nobody could send
LAST_UPDATE_S: Final = 2.0
ANSWERING: Final = {"submit_btn": False, "stop_btn": True}
IDLE: Final = {"submit_btn": True, "stop_btn": False}


class ChatPage:
    """The page of one server.

    Args:
        info: the loaded model.
        history, turns, clips, samples: what the page works on.
        options: the server's limits.
    """

    def __init__(
        self,
        info: ModelInfoLike,
        history: History,
        turns: RunningTurns,
        clips: Clips,
        samples: Sequence[Sample],
        options: ServerOptions,
    ) -> None:
        self._info = info
        self._history = history
        self._turns = turns
        self._clips = clips
        self._samples = samples
        self._options = options
        # Which chat each page shows, by Gradio session: a turn that ends late must not be shown
        # over the chat that was opened since.
        self._open_chats: dict[str, str] = {}
        # Each page's latest answer: an interrupted one that ends late must not take the stop
        # button from the one that runs.
        self._latest_answers: dict[str, asyncio.Event] = {}

    def build(self) -> gr.Blocks:
        """The page with its events."""
        with gr.Blocks(
            title="Triad",
            fill_height=True,
            fill_width=True,
            analytics_enabled=False,
            delete_cache=(UPLOAD_LIFE_S, UPLOAD_LIFE_S),
        ) as blocks:
            self._lay_out()
            self._connect(blocks)
        return blocks.queue(
            max_size=self._options.max_waiting_turns, default_concurrency_limit=None, api_open=False
        )

    def _lay_out(self) -> None:
        self._header = header(self._info)
        self._lay_out_drawer()
        with gr.Column(elem_id="triad-main"):
            notice(self._info, self._history.warning)
            self._chatbot = gr.Chatbot(
                elem_id="triad-chat",
                show_label=False,
                label="Chat",
                container=False,
                height=None,
                buttons=[],
                feedback_options=None,
                placeholder=sentences.EMPTY_CHAT,
                layout="bubble",
                group_consecutive_messages=True,
                allow_file_downloads=False,
                latex_delimiters=[],
            )
            self._samples_row = samples_row(self._samples)
            self._lay_out_composer()

    def _lay_out_drawer(self) -> None:
        with gr.Column(elem_id="triad-drawer"):
            gr.Markdown("## Chats")
            self._chats = chat_list()
            with gr.Accordion("Answer settings", open=False):
                self._temperature = gr.Slider(0.0, 2.0, 0.0, step=0.1, label="Temperature")
                self._max_new_tokens = gr.Slider(
                    16, 2048, 512, step=16, label="Longest answer, in tokens"
                )

    def _lay_out_composer(self) -> None:
        self._actions = actions()
        self._owner = gr.Textbox(visible=False)
        self._chat = gr.Textbox(visible=False)
        with gr.Row(elem_id="triad-composer", equal_height=False):
            self._box = gr.MultimodalTextbox(
                elem_id="triad-box",
                sources=["upload"],
                file_types=list(ATTACHABLE_SUFFIXES),
                file_count="multiple",
                placeholder=sentences.PLACEHOLDER,
                label="Message",
                show_label=False,
                container=False,
                autofocus=True,
                max_lines=8,
                max_plain_text_length=MAX_PASTED_CHARS,
                scale=1,
                min_width=0,
            )
            self._camera = camera()
            self._microphone = microphone()

    def _connect(self, blocks: gr.Blocks) -> None:
        ids = [self._owner, self._chat]
        opened = [self._chatbot, self._samples_row, self._chats]
        shown = [*opened, self._box]
        sampling = [self._temperature, self._max_new_tokens]
        asking = {"js": WITH_IDS, **QUIET}

        blocks.load(self._open, ids, opened, **asking)
        blocks.unload(self._leave)
        self._header.click(self._open, ids, opened, **asking)
        self._chats.select(self._open, ids, opened, **asking)
        self._chats.delete(self._delete_chat, ids, opened, **asking)
        self._box.submit(self._send_written, [*ids, *sampling, self._box], shown, **asking)
        self._box.stop(self._stop, ids, None, **asking)
        self._microphone.submit(self._send_spoken, [*ids, *sampling, self._box], shown, **asking)
        self._samples_row.select(self._send_sample, [*ids, *sampling], shown, **asking)
        self._actions.retry(self._regenerate, [*ids, *sampling], shown, **asking)
        self._actions.edit(self._edit, [*ids, *sampling], shown, **asking)
        self._camera.upload(self._attach_snapshot, [*ids, self._box], [self._box], **asking)
        # Never with the box among its inputs: what is typed meanwhile would be lost now and then.
        self._microphone.start(self._foresee_speech, ids, None, **asking)

    # Opening and leaving

    async def _open(self, owner: str, chat: str, request: gr.Request) -> Update:
        """Show a chat; turns that nobody watches any more are stopped first."""
        page = str(request.session_hash)
        before, self._open_chats[page] = self._open_chats.get(page, chat), chat
        await self._turns.stop(before)
        await self._turns.stop(chat)
        if page in self._latest_answers:  # what it still shows is on its way until it is over
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._latest_answers[page].wait(), LAST_UPDATE_S)
        messages = await asyncio.to_thread(self._history.messages, chat)
        rows = await self._chat_rows(owner, chat)
        return chat_messages(chat, messages), gr.update(visible=not messages), rows

    async def _delete_chat(
        self, owner: str, chat: str, event: gr.EventData, request: gr.Request
    ) -> Update:
        await self._turns.stop(event.chat)
        await asyncio.to_thread(self._history.delete, owner, event.chat)
        return await self._open(owner, chat, request)

    async def _leave(self, request: gr.Request) -> None:
        """The page closed: nobody reads its turns any more."""
        page = str(request.session_hash)
        chat, _ = self._open_chats.pop(page, None), self._latest_answers.pop(page, None)
        await self._turns.stop_page(page)
        if chat is not None and chat not in self._open_chats.values():
            await self._turns.stop(chat)

    async def _stop(self, owner: str, chat: str) -> None:
        live = self._turns.of(chat)
        if live is not None:
            live.cancel()

    # Sending

    async def _send_written(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        box: dict[str, Any],
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        if not box["files"] and not box["text"].strip():
            yield (gr.skip(),) * 4
            return
        stored = self._store_message(box, owner, chat, ())
        async for update in self._answer(owner, chat, temperature, max_new_tokens, request, stored):
            yield update

    async def _send_spoken(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        box: dict[str, Any],
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        clip = self._clips.take(event.clip)
        if clip is None:
            gr.Warning(sentences.CLIP_LOST)
            yield (gr.skip(),) * 4
            return
        stored = self._store_message(box, owner, chat, (clip,))
        async for update in self._answer(owner, chat, temperature, max_new_tokens, request, stored):
            yield update

    async def _send_sample(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        stored = self._store(owner, chat, self._samples[int(event.index)].parts)
        async for update in self._answer(owner, chat, temperature, max_new_tokens, request, stored):
            yield update

    async def _regenerate(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        """Answer the last message again; the reply before is hidden, not deleted."""
        stored = self._drop_reply(chat)
        async for update in self._answer(owner, chat, temperature, max_new_tokens, request, stored):
            yield update

    async def _edit(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        event: gr.EventData,
        request: gr.Request,
    ) -> AsyncIterator[Update]:
        """Send a changed message again from where it stood, with the media it had."""
        await self._turns.stop_answer(chat)
        messages = await asyncio.to_thread(self._history.messages, chat)
        edited = next((each.message for each in messages if each.id == event.message), None)
        if edited is None:
            gr.Warning(sentences.CHANGED_ELSEWHERE)
            yield chat_messages(chat, messages), gr.skip(), gr.skip(), gr.update(**IDLE)
            return
        media = [part for part in edited.parts if not isinstance(part, TextPart)]
        stored = self._store(owner, chat, in_turn_order(media, event.text), event.message)
        async for update in self._answer(owner, chat, temperature, max_new_tokens, request, stored):
            yield update

    async def _attach_snapshot(
        self, owner: str, chat: str, box: dict[str, Any], event: gr.EventData
    ) -> Any:
        try:
            data = snapshot_bytes(event.picture, self._options.max_upload_bytes)
        except BadMediaError as error:
            gr.Warning(str(error))
            return gr.skip()
        path = save_bytes_to_cache(data, "snapshot.jpg", self._box.GRADIO_CACHE)
        await self._turns.prepare(chat, (ImagePart(data),))
        return {"text": box["text"], "files": [*box["files"], path]}

    async def _foresee_speech(self, owner: str, chat: str) -> None:
        """Somebody begins to speak: the model reads what was said before."""
        await self._turns.prepare(chat, (), will_be_spoken=True)

    # The turn

    async def _answer(
        self,
        owner: str,
        chat: str,
        temperature: float,
        max_new_tokens: int,
        request: gr.Request,
        stored: Awaitable[str | None],
    ) -> AsyncIterator[Update]:
        """Answer a chat's last message, showing the reply as it grows.

        Args:
            stored: saves that message first; the sentence of what could not be used, or None.
        """
        try:
            failure = await stored
            if failure is not None:
                await asyncio.to_thread(self._history.reply, chat, "", Outcome(failure=failure))
        except sqlite3.Error:
            LOG.exception("a message could not be saved")
            gr.Warning(sentences.NOT_SAVED)
            yield (gr.skip(),) * 4  # what was written stays where it is
            return
        page = str(request.session_hash)
        self._open_chats[page] = chat
        answer = self._latest_answers[page] = asyncio.Event()
        messages = await asyncio.to_thread(self._history.messages, chat)
        rows = await self._chat_rows(owner, chat)
        waiting = chat_messages(chat, messages, Progress() if failure is None else None)
        yield waiting, gr.update(visible=False), rows, gr.update(value=None, **ANSWERING)
        shown = gr.skip()
        try:
            options = SamplingOptions(int(max_new_tokens), float(temperature))
            live = await self._turns.start(chat, page, options) if failure is None else None
            if live is not None:
                async for progress in live.updates():
                    if self._open_chats.get(page) == chat:
                        growing = chat_messages(chat, messages, progress)
                        yield growing, gr.skip(), gr.skip(), gr.skip()
            shown = await self._ended(chat, page, live)
        except Exception:  # whatever it was, the page needs its send button back
            LOG.exception("an answer broke")
            gr.Warning(OUR_FAULT)
        is_latest = self._latest_answers.get(page) is answer
        yield shown, gr.skip(), gr.skip(), gr.update(**IDLE) if is_latest else gr.skip()
        answer.set()  # asked for more: what it yielded has been sent

    async def _ended(self, chat: str, page: str, live: LiveTurn | None) -> Any:
        """The chat as it stands after a turn; nothing new where another chat is open by now."""
        messages = await asyncio.to_thread(self._history.messages, chat)
        if live is not None and live.unsaved is not None:
            messages = (*messages, live.unsaved)
        return chat_messages(chat, messages) if self._open_chats.get(page) == chat else gr.skip()

    async def _store_message(
        self, box: dict[str, Any], owner: str, chat: str, clips: tuple[AudioPart, ...]
    ) -> str | None:
        """Save what was written, attached and said; the sentence of what could not be used."""
        files, bad = await asyncio.to_thread(
            parts_from_files, [Path(path) for path in box["files"]]
        )
        text = box["text"] or "".join(path.name for path in list(bad)[-1:])
        await self._store(owner, chat, in_turn_order([*clips, *files], text))
        return next(reversed(bad.values()), None)

    async def _store(
        self, owner: str, chat: str, parts: tuple[Part, ...], instead_of: int | None = None
    ) -> None:
        """Save a message, in place of an earlier one and all that followed where one is given."""
        await self._turns.stop_answer(chat)
        message = Message(Role.USER, parts)
        await asyncio.to_thread(self._history.append, owner, chat, message, instead_of=instead_of)

    async def _drop_reply(self, chat: str) -> None:
        """Hide a chat's last reply, so that its question is answered again."""
        await self._turns.stop_answer(chat)
        messages = await asyncio.to_thread(self._history.messages, chat)
        if messages and messages[-1].message.role is Role.ASSISTANT:
            await asyncio.to_thread(self._history.replace_from, chat, messages[-1].id)

    async def _chat_rows(self, owner: str, chat: str) -> str:
        return chat_list_html(await asyncio.to_thread(self._history.chats, owner), chat)
