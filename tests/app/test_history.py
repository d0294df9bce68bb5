"""Chats on disk: what is written is read again, also after a restart, and only by its id."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from app.history import History, Outcome, StoredMessage, as_conversation, default_title, set_aside
from core.errors import BadOptionError
from core.messages import AudioPart, ImagePart, Message, Part, Role, TextPart
from core.router import ROUTES, InputMode

PICTURE = ImagePart(b"\x89PNG picture", "cat.png", "low")
SOUND = AudioPart(b"RIFF sound", "hello.wav")


def asked(*parts: Part) -> Message:
    return Message(Role.USER, parts)


def said(text: str, failure: str | None = None) -> StoredMessage:
    message = Message(Role.ASSISTANT, (TextPart(text),))
    return StoredMessage(0, message, Outcome(failure=failure))


def question(text: str) -> StoredMessage:
    return StoredMessage(0, asked(TextPart(text)))


def test_message_comes_back_with_every_part(history: History) -> None:
    message = asked(PICTURE, SOUND, TextPart("What is it?"))
    history.append("me", "chat", message)
    assert [stored.message for stored in history.messages("chat")] == [message]


def test_reply_comes_back_with_its_route_and_stats(history: History) -> None:
    outcome = Outcome(ROUTES[InputMode.VISION_SPEECH], "length", {"tokens_per_s": 12.5})
    history.append("me", "chat", asked(PICTURE, SOUND))
    history.reply("chat", "A cat.", outcome)
    assert history.messages("chat")[1].outcome == outcome
    assert history.messages("chat")[1].message.text == "A cat."


def test_chats_outlive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    first = History(path)
    first.append("me", "chat", asked(TextPart("Hello")))
    first.close()
    second = History(path)
    assert second.messages("chat")[0].message.text == "Hello"
    assert second.warning is None
    second.close()


def test_damaged_file_is_set_aside_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    history = History(path)
    aside = [file for file in tmp_path.iterdir() if ".unreadable-" in file.name]
    assert [file.read_bytes() for file in aside] == [b"no database at all" * 100]
    assert history.warning is not None and aside[0].name in history.warning
    history.append("me", "chat", asked(TextPart("Hello")))
    assert len(history.messages("chat")) == 1
    history.close()


def test_log_of_a_damaged_file_is_kept_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    path.write_bytes(b"no database at all" * 100)
    (tmp_path / "history.sqlite3-wal").write_bytes(b"newest chats")
    aside = set_aside(path)
    assert {file.name for file in tmp_path.iterdir()} == {aside.name, f"{aside.name}-wal"}
    assert (tmp_path / f"{aside.name}-wal").read_bytes() == b"newest chats"


def test_locked_file_is_a_sentence_and_stays_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite3"
    first = History(path)
    first.append("me", "chat", asked(TextPart("Hello")))
    first.close()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda file, **_: connect(file, timeout=0))
    other = connect(path)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BadOptionError, match=r"cannot be opened \(database is locked\)"):
        History(path)
    other.close()
    second = History(path)
    assert second.warning is None
    assert second.messages("chat")[0].message.text == "Hello"
    second.close()


def test_chats_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "triad" / "history.sqlite3"
    history = History(path)
    history.append("me", "chat", asked(TextPart("Hello")))
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ("history.sqlite3", "history.sqlite3-wal", "history.sqlite3-shm"), 0o600
    )
    assert path.parent.stat().st_mode & 0o777 == 0o700
    history.close()


def test_deleted_chat_leaves_no_words_behind(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history = History(path)
    history.append("me", "chat", asked(TextPart("a secret of mine")))
    assert any(b"a secret of mine" in file.read_bytes() for file in tmp_path.iterdir())
    history.delete("me", "chat")
    assert not any(b"a secret of mine" in file.read_bytes() for file in tmp_path.iterdir())
    history.close()


def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(BadOptionError, match=r"Chats cannot be kept in .*: set XDG_DATA_HOME"):
        History(tmp_path / "file" / "triad" / "history.sqlite3")


def test_another_chats_id_opens_neither_messages_nor_media(history: History) -> None:
    number = history.append("me", "mine", asked(PICTURE))
    assert history.media("mine", number, 0) == PICTURE.data
    assert history.media("yours", number, 0) is None
    assert history.messages("yours") == ()


def test_only_the_owner_deletes_and_lists_a_chat(history: History) -> None:
    number = history.append("me", "chat", asked(PICTURE))
    history.delete("you", "chat")
    assert history.chats("you") == ()
    assert [chat.id for chat in history.chats("me")] == ["chat"]
    history.delete("me", "chat")
    assert history.chats("me") == ()
    assert history.media("chat", number, 0) is None


def test_reply_to_a_deleted_chat_is_dropped(history: History) -> None:
    history.append("me", "chat", asked(TextPart("Hello")))
    history.delete("me", "chat")
    history.reply("chat", "Too late.", Outcome())
    assert history.messages("chat") == ()


def test_replaced_messages_are_hidden_from_there_on(history: History) -> None:
    history.append("me", "chat", asked(TextPart("one")))
    history.reply("chat", "1", Outcome())
    second = history.append("me", "chat", asked(TextPart("two")))
    history.reply("chat", "2", Outcome())
    history.replace_from("chat", second)
    history.append("me", "chat", asked(TextPart("three")))
    assert [stored.message.text for stored in history.messages("chat")] == ["one", "1", "three"]


def test_a_message_that_cannot_be_saved_hides_nothing(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = history.append("me", "chat", asked(TextPart("one")))
    history.reply("chat", "1", Outcome())
    with monkeypatch.context() as patch:
        patch.setattr("app.history._part_row", lambda *_: ("no", "such", "row"))
        with pytest.raises(sqlite3.Error):
            history.append("me", "chat", asked(TextPart("changed")), instead_of=first)
    assert [stored.message.text for stored in history.messages("chat")] == ["one", "1"]
    history.append("me", "chat", asked(TextPart("changed")), instead_of=first)
    assert [stored.message.text for stored in history.messages("chat")] == ["changed"]


def test_every_chat_is_listed_however_many_there_are(history: History) -> None:
    for number in range(60):
        history.append("me", f"chat-{number}", asked(TextPart(f"Chat {number}")))
    assert len(history.chats("me")) == 60


def test_last_used_chat_is_listed_first(history: History) -> None:
    for chat in ("old", "new", "old"):
        history.append("me", chat, asked(TextPart(chat)))
    assert [chat.id for chat in history.chats("me")] == ["old", "new"]


@pytest.mark.parametrize(
    ("parts", "title"),
    [
        ((TextPart("  two \n words "),), "two words"),
        ((TextPart("x" * 100),), "x" * 59 + "…"),
        ((PICTURE,), "A picture"),
        ((SOUND,), "A spoken question"),
    ],
)
def test_chat_is_named_after_its_first_message(parts: tuple[Part, ...], title: str) -> None:
    assert default_title(asked(*parts)) == title


def test_answered_exchanges_and_the_open_question_are_fed_to_the_model() -> None:
    fed = as_conversation((question("one"), said("1"), question("two")))
    assert [message.text for message in fed.messages] == ["one", "1", "two"]


@pytest.mark.parametrize("spoiled", [said("", "The picture is damaged."), said("")])
def test_exchange_without_an_answer_is_not_fed_to_the_model(spoiled: StoredMessage) -> None:
    fed = as_conversation((question("one"), spoiled, question("two")))
    assert [message.text for message in fed.messages] == ["two"]
