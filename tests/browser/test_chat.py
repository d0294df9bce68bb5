"""The chat page in a real browser, around a scripted assistant."""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder
from playwright.sync_api import Browser, BrowserContext, expect

from app.history import History
from core.errors import QueueFullError
from core.events import TurnFailed
from core.messages import AudioPart, Conversation, ImagePart, TextPart
from tests.browser.page import ChatPage, expect_soon
from tests.fakes import FakeAssistant
from tests.media import picture, picture_file

pytestmark = pytest.mark.browser

LONG = " ".join(f"word{i}" for i in range(400))


@pytest.fixture
def picture_path(tmp_path: Path) -> Path:
    path = tmp_path / "scene.png"
    path.write_bytes(picture_file(picture(64, 48)))
    return path


def test_reply_streams_word_by_word(chat: ChatPage, assistant: FakeAssistant) -> None:
    assistant.script = lambda _: LONG
    chat.send("Tell me everything")
    chat.expect_last_reply("word3")
    assert "word399" not in chat.replies.last.inner_text()
    assert not assistant.turns[0].is_cancelled


def test_stop_button_stops_the_engine_and_keeps_what_was_said(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    assistant.script = lambda _: LONG
    chat.send("Tell me everything")
    chat.expect_last_reply("word2")
    chat.stop_button.click()
    chat.expect_last_reply("stopped")
    num_words = assistant.turns[0].num_words_said
    assert assistant.turns[0].is_cancelled
    assert 3 <= num_words < 400
    chat.expect_last_reply(f"word{num_words - 1}")


def test_escape_stops_the_engine(chat: ChatPage, assistant: FakeAssistant) -> None:
    assistant.script = lambda _: LONG
    chat.send("Tell me everything")
    chat.expect_last_reply("word2")
    chat.page.keyboard.press("Escape")
    chat.expect_last_reply("stopped")
    assert assistant.turns[0].is_cancelled


def test_closed_page_stops_the_engine(
    chat: ChatPage, context: BrowserContext, assistant: FakeAssistant
) -> None:
    assistant.script = lambda _: LONG
    assistant.pause_s = 0.1
    chat.send("Tell me everything")
    chat.expect_last_reply("word2")
    watcher = context.new_page()
    chat.page.close()
    for _ in range(50):
        if assistant.turns[0].is_cancelled:
            break
        watcher.wait_for_timeout(100)
    assert assistant.turns[0].is_cancelled
    assert assistant.turns[0].num_words_said < 100


def test_reply_shows_its_route_and_its_measures(chat: ChatPage) -> None:
    chat.ask("Hello")
    chat.expect_route("text")
    expect(chat.badges.last).to_have_attribute("title", "base model, no adapter")
    chat.expect_last_reply("first token 0.02 s")
    chat.expect_last_reply("tokens/s")


def test_uploaded_picture_is_sent_before_the_text_and_shown(
    chat: ChatPage, assistant: FakeAssistant, picture_path: Path
) -> None:
    chat.attach(picture_path)
    chat.ask("What is this?")
    parts = assistant.turns[0].conversation.messages[-1].parts
    assert [type(part) for part in parts] == [ImagePart, TextPart]
    assert parts[0].data == picture_path.read_bytes()  # type: ignore[union-attr]
    chat.expect_route("vision")
    expect(chat.badges.last).to_have_attribute("title", "vision adapter")
    assert chat.media_bytes(chat.pictures.last) == picture_path.read_bytes()
    expect(chat.attachments).to_have_count(0)


def test_waiting_is_visible_and_fits_the_modality(
    chat: ChatPage, assistant: FakeAssistant, picture_path: Path
) -> None:
    assistant.pause_s = 2.0
    chat.send("Hello")
    expect(chat.waiting).to_have_text("thinking…")
    chat.page.keyboard.press("Escape")
    chat.wait_until_answered()
    chat.attach(picture_path)
    chat.send("And this?")
    expect(chat.waiting).to_have_text("looking…")


def test_edited_message_is_sent_again_from_there_with_its_picture(
    chat: ChatPage, assistant: FakeAssistant, picture_path: Path
) -> None:
    chat.attach(picture_path)
    chat.ask("first")
    chat.ask("second")
    chat.edit(0, "changed")
    chat.expect_last_reply("You said: changed")
    expect(chat.questions).to_have_count(1)
    sent = assistant.turns[-1].conversation.messages
    assert len(sent) == 1
    assert [type(part) for part in sent[0].parts] == [ImagePart, TextPart]


def test_an_edit_that_comes_too_late_hides_nothing(
    chat: ChatPage, context: BrowserContext, url: str
) -> None:
    chat.ask("first")
    other = ChatPage(context.new_page(), url).open()
    other.chats_button.click()
    other.chats.first.click()
    expect(other.questions).to_have_count(1)
    other.edit(0, "changed there")
    other.expect_last_reply("You said: changed there")
    chat.edit(0, "changed here")
    expect(chat.page.get_by_text("This chat was changed in another tab")).to_be_visible()
    chat.expect_last_reply("You said: changed there")
    expect(chat.questions).to_have_count(1)


def test_what_cannot_be_saved_stays_in_the_box_and_hides_nothing(
    chat: ChatPage, assistant: FakeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat.ask("first")

    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(History, "append", full)
        chat.send("second")
        expect(chat.page.get_by_text("make room on the disk")).to_be_visible()
        expect(chat.box).to_have_value("second")
        chat.edit(0, "changed")
        expect(chat.page.get_by_text("make room on the disk").nth(1)).to_be_visible()
    chat.reload()
    expect(chat.questions).to_contain_text(["first"])
    assert len(assistant.turns) == 1


def test_a_file_that_is_gone_is_named_and_the_words_are_kept(
    chat: ChatPage, assistant: FakeAssistant, picture_path: Path
) -> None:
    chat.attach(picture_path)
    copies = list(Path(get_upload_folder()).rglob(picture_path.name))
    assert copies
    for copy in copies:
        copy.unlink()
    chat.send("What is this?")
    expect(chat.failures.last).to_contain_text("is not here any more: attach it again")
    expect(chat.questions.last).to_contain_text("What is this?")


def test_regenerate_answers_the_same_question_again(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    replies = iter(["one answer", "another answer"])
    assistant.script = lambda _: next(replies)
    chat.ask("Hello")
    chat.action("Regenerate").click()
    chat.expect_last_reply("another answer")
    expect(chat.messages).to_have_count(2)
    assert assistant.turns[0].conversation == assistant.turns[1].conversation


def test_copy_takes_the_reply_as_it_was_written(
    chat: ChatPage, context: BrowserContext, assistant: FakeAssistant
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    assistant.script = lambda _: 'some **bold** "text" <b> & ${1+1} {{x}}'
    chat.ask("Hello")
    chat.action("Copy").click()
    expect(chat.action("Copied")).to_be_visible()
    copied = chat.page.evaluate("navigator.clipboard.readText()")
    assert copied == 'some **bold** "text" <b> & ${1+1} {{x}}'


def test_new_chat_starts_empty_and_the_old_one_is_listed(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    chat.ask("remember me")
    chat.new_chat_button.click()
    expect(chat.messages).to_have_count(0)
    chat.ask("something else")
    assert len(assistant.turns[-1].conversation.messages) == 1
    chat.chats_button.click()
    expect(chat.chats).to_have_text(["something else", "remember me"])
    chat.chats.last.click()
    chat.expect_last_reply("You said: remember me")


def test_chat_that_is_left_in_mid_reply_does_not_show_up_in_the_next_one(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    assistant.script = lambda c: LONG if c.messages[-1].text == "long" else "short"
    chat.send("long")
    chat.expect_last_reply("word2")
    chat.new_chat_button.click()
    expect(chat.messages).to_have_count(0)
    expect(chat.send_button).to_be_visible()
    assert assistant.turns[0].is_cancelled
    chat.ask("something else")
    expect(chat.messages).to_have_count(2)
    chat.expect_last_reply("short")


def test_deleted_chat_is_gone_for_good(chat: ChatPage) -> None:
    chat.ask("forget me")
    chat.page.on("dialog", lambda dialog: dialog.accept())
    chat.chats_button.click()
    chat.delete_buttons.first.click()
    expect(chat.messages).to_have_count(0)
    chat.reload()
    expect(chat.messages).to_have_count(0)
    expect(chat.chats).to_have_count(0)


def test_click_before_the_page_is_ready_is_not_lost(context: BrowserContext, url: str) -> None:
    page = context.new_page()
    page.route("**/queue/data**", lambda route: (page.wait_for_timeout(500), route.continue_()))
    chat = ChatPage(page, url)
    page.goto(url)
    chat.samples.first.click()
    chat.expect_last_reply("You said: Hello! What can you do?")
    chat.reload()
    chat.expect_last_reply("You said: Hello! What can you do?")


def test_reload_brings_the_chat_back(
    chat: ChatPage, assistant: FakeAssistant, picture_path: Path
) -> None:
    chat.attach(picture_path)
    chat.ask("What is this?")
    chat.reload()
    chat.expect_last_reply("You said: What is this?")
    chat.expect_route("vision")
    expect(chat.pictures).to_have_count(1)
    chat.ask("And now?")
    assert len(assistant.turns[-1].conversation.messages) == 3


def test_reload_in_mid_reply_stops_it_and_keeps_its_beginning(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    assistant.script = lambda _: LONG
    chat.send("Tell me everything")
    chat.expect_last_reply("word2")
    chat.reload()
    chat.expect_last_reply("stopped")
    assert assistant.turns[0].is_cancelled


@pytest.mark.parametrize(
    "sentence", ["The picture is damaged: attach another one.", "Too long: start a new chat."]
)
def test_failure_is_a_bubble_and_the_next_turn_works(
    chat: ChatPage, assistant: FakeAssistant, sentence: str
) -> None:
    assistant.script = lambda _: TurnFailed(sentence, is_bad_input=True)
    chat.ask("broken")
    expect(chat.failures).to_have_text(sentence)
    expect(chat.questions).to_contain_text("broken")
    assistant.script = lambda _: "fine again"
    chat.ask("works")
    chat.expect_last_reply("fine again")
    assert [m.text for m in assistant.turns[-1].conversation.messages] == ["works"]


def test_full_queue_is_a_bubble(chat: ChatPage, assistant: FakeAssistant) -> None:
    def refuse(_: Conversation) -> str:
        raise QueueFullError("Too many turns are waiting: try again in a moment.")

    assistant.script = refuse
    chat.ask("Hello")
    expect(chat.failures).to_have_text("Too many turns are waiting: try again in a moment.")


def test_file_of_another_kind_is_refused_with_a_sentence(
    chat: ChatPage, assistant: FakeAssistant, tmp_path: Path
) -> None:
    path = tmp_path / "notes.png"
    path.write_bytes(b"plain text")
    chat.attach(path)
    chat.ask("What is this?")
    expect(chat.failures).to_contain_text("notes.png is neither a picture nor a sound")
    assert assistant.turns == []


def test_remote_pictures_in_a_reply_are_not_fetched(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(request.url))
    assistant.script = lambda _: (
        'A ![cat](https://evil.example/a.png) <img src="https://evil.example/b.png"> picture'
    )
    chat.ask("Show me")
    chat.expect_last_reply("[picture: cat]")
    assert [url for url in asked if "evil.example" in url] == []
    assert chat.replies.last.locator("img").count() == 0


def test_page_asks_no_other_host_for_anything(context: BrowserContext, url: str) -> None:
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ChatPage(page, url).open().ask("Hello")
    own = (url, url.replace("http", "ws", 1), "data:", "blob:")
    assert asked
    assert [other for other in asked if not other.startswith(own)] == []


def test_two_tabs_stream_at_the_same_time(
    chat: ChatPage, context: BrowserContext, assistant: FakeAssistant
) -> None:
    assistant.script = lambda c: " ".join(f"{c.messages[-1].text}{i}" for i in range(400))
    assistant.pause_s = 0.1  # neither may come to its end before it is looked at
    other = ChatPage(context.new_page(), chat.url).open()
    chat.send("left")
    other.send("right")
    chat.expect_last_reply("left5")
    other.expect_last_reply("right5")
    assert not any(turn.is_cancelled for turn in assistant.turns)
    chat.page.keyboard.press("Escape")
    chat.expect_last_reply("stopped")
    cancelled = {t.conversation.messages[-1].text: t.is_cancelled for t in assistant.turns}
    assert cancelled == {"left": True, "right": False}


def test_narrow_window_has_no_sideways_scroll(
    browser: Browser, url: str, assistant: FakeAssistant
) -> None:
    assistant.script = lambda _: "A `long_word_" + "x" * 200 + "` and\n\n```\n" + "y" * 200
    context = browser.new_context(viewport={"width": 360, "height": 700})
    chat = ChatPage(context.new_page(), url).open()
    assert not chat.has_sideways_scroll()
    chat.ask("Hello")
    assert not chat.has_sideways_scroll()
    for control in (chat.send_button, chat.microphone, chat.camera, chat.new_chat_button):
        place = control.bounding_box()
        assert place is not None
        assert place["x"] >= 0
        assert place["x"] + place["width"] <= 360
    context.close()


def test_everything_is_reached_by_keyboard_alone(chat: ChatPage) -> None:
    reached = set(chat.focus_order(16))
    for label in ("Chats", "New chat", "Dismiss this notice", "Upload a file"):
        assert label in reached
    assert any(label.startswith("Speak") for label in reached)
    assert "Take a picture with the camera" in reached
    chat.box.focus()
    chat.page.keyboard.type("line one")
    chat.page.keyboard.press("Shift+Enter")
    chat.page.keyboard.type("line two")
    chat.page.keyboard.press("Enter")
    chat.expect_last_reply("line two")
    expect(chat.questions).to_have_count(1)


def test_focus_is_visible(chat: ChatPage) -> None:
    chat.chats_button.focus()
    chat.page.keyboard.press("Tab")
    outline = chat.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_theme_follows_the_system_and_the_button_turns_it(
    browser: Browser, url: str, scheme: str, is_dark: bool
) -> None:
    context = browser.new_context(color_scheme=scheme)
    chat = ChatPage(context.new_page(), url).open()
    read: Callable[[], bool] = lambda: chat.page.evaluate(  # noqa: E731
        "document.body.classList.contains('dark')"
    )
    assert read() is is_dark
    chat.theme_button.click()
    assert read() is not is_dark
    chat.reload()
    assert read() is not is_dark
    context.close()


def test_notice_says_how_to_load_the_large_model_and_can_be_dismissed(chat: ChatPage) -> None:
    expect(chat.notice).to_contain_text("--model microsoft/Phi-4-multimodal-instruct")
    expect(chat.notice).to_contain_text("shapes, colours and counting")
    chat.notice.get_by_label("Dismiss this notice").click()
    expect(chat.notice).to_be_hidden()
    chat.reload()
    expect(chat.notice).to_be_hidden()


def test_sample_is_sent_by_a_click(chat: ChatPage, assistant: FakeAssistant) -> None:
    chat.samples.last.click()
    chat.expect_last_reply("How many sides does a triangle have?")
    expect(chat.samples).to_have_count(0)


def test_camera_snapshot_is_attached_at_640_by_480_and_read_at_once(
    chat: ChatPage, assistant: FakeAssistant
) -> None:
    from PIL import Image

    expect(chat.snap_button).to_be_disabled()
    chat.camera.click()
    chat.snap_button.click()  # which waits until it is enabled, by the first frame
    expect(chat.attachments).to_have_count(1)
    expect_soon(lambda: len(assistant.ahead) == 1)
    chat.ask("What do you see?")
    part = assistant.turns[0].conversation.messages[-1].parts[0]
    assert isinstance(part, ImagePart)
    (known,) = assistant.ahead[0].conversation.messages[-1].parts
    assert isinstance(known, ImagePart)
    assert known.data == part.data, "it was worked on before the question was sent"
    with Image.open(io.BytesIO(part.data)) as snapshot:
        assert (snapshot.format, snapshot.size) == ("JPEG", (640, 480))


def test_attached_sound_is_heard_before_the_text(
    chat: ChatPage, assistant: FakeAssistant, tmp_path: Path
) -> None:
    from tests.media import sound_file, tone

    path = tmp_path / "tone.wav"
    path.write_bytes(sound_file(tone(1.0)))
    chat.attach(path)
    chat.ask("What was that?")
    parts = assistant.turns[0].conversation.messages[-1].parts
    assert [type(part) for part in parts] == [AudioPart, TextPart]
    chat.expect_route("speech")
    expect(chat.badges.last).to_have_attribute("title", "speech adapter, speech audio projector")


def test_the_printed_address_shows_the_accounts_chats_in_any_browser(
    browser: Browser, contexts: ExitStack, url: str
) -> None:
    for number in range(2):  # as on another port: nothing of the first is known
        context = browser.new_context()
        contexts.callback(context.close)
        page = ChatPage(context.new_page(), f"{url}#owner=An-account-of-22-chars").open()
        assert "#" not in page.page.url
        if number == 0:
            page.ask("remember me")
    page.chats_button.click()
    expect(page.chats).to_have_text(["remember me"])


def test_an_owner_that_the_browser_has_stays(chat: ChatPage) -> None:
    before = chat.page.evaluate("localStorage.getItem('triad-owner')")
    chat.page.goto(f"{chat.url}?again#owner=An-account-of-22-chars")
    chat.wait_until_ready()
    assert chat.page.evaluate("localStorage.getItem('triad-owner')") == before


def test_stored_ids_are_unguessable(chat: ChatPage) -> None:
    stored = json.loads(chat.page.evaluate("JSON.stringify(localStorage)"))
    assert len(stored["triad-owner"]) == len(stored["triad-chat"]) == 22
    assert stored["triad-owner"] != stored["triad-chat"]
