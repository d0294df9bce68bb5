"""Chats on disk: one SQLite file with conversations, messages and their media.

Whoever knows a chat's id may read it: ids are unguessable (128 random bits, made by the page),
and every read asks for one.
Replaced messages (edited, regenerated) are hidden, not deleted. A file that is no database is
set aside under another name. Leaves out: what the page shows (widgets/messages.py).
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from core.errors import BadOptionError
from core.events import FinishReason
from core.messages import AudioPart, Conversation, Detail, ImagePart, Message, Part, Role, TextPart
from core.router import ROUTES, InputMode, Route

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS conversations (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, updated_s REAL NOT NULL);
CREATE INDEX IF NOT EXISTS conversations_of_owner ON conversations (owner, updated_s);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role TEXT NOT NULL, is_replaced INTEGER NOT NULL DEFAULT 0,
    mode INTEGER, finish_reason TEXT, stats TEXT NOT NULL DEFAULT '{}', failure TEXT);
CREATE INDEX IF NOT EXISTS messages_of_conversation ON messages (conversation_id);
CREATE TABLE IF NOT EXISTS parts (
    message_id INTEGER NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    position INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT, data BLOB, name TEXT, detail TEXT,
    PRIMARY KEY (message_id, position));
"""
MAX_TITLE_CHARS: Final = 60
DAMAGED: Final = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


class DamagedFileError(sqlite3.DatabaseError):
    """SQLite reads the file, but finds that it is not whole."""


@dataclass(frozen=True)
class Outcome:
    """How a reply came about.

    Args:
        route: which adapter answered; None when the turn failed before it was known.
        finish_reason: why the reply ended; None when it failed.
        stats: TurnStats.as_dict(), empty when there are none.
        failure: the sentence of a failed turn; None when it did not fail.
    """

    route: Route | None = None
    finish_reason: FinishReason | None = None
    stats: dict[str, float | int] | None = None
    failure: str | None = None


@dataclass(frozen=True)
class StoredMessage:
    """A message with its number in the history, and for replies how it came about."""

    id: int
    message: Message
    outcome: Outcome = Outcome()


@dataclass(frozen=True)
class ChatSummary:
    """A chat's line in the list of chats."""

    id: str
    title: str


class History:
    """The chats of everybody who uses this server.

    Safe to use from several threads. `warning` is a sentence when an unreadable file was set
    aside, else None.

    Args:
        path: the SQLite file; it and its folder are created when missing.

    Raises:
        BadOptionError: the file cannot be made, or another program keeps it from us.
    """

    def __init__(self, path: Path) -> None:
        _make_private(path)
        self._lock = threading.Lock()
        self.warning: str | None = None
        try:
            self._connection = _open(path)
        except sqlite3.DatabaseError as error:
            if not _is_damaged(error):  # locked, or a failing disk: the chats may well be whole
                raise BadOptionError(
                    f"The saved chats in {path} cannot be opened ({error}): close what else uses "
                    "that file, or set XDG_DATA_HOME to another folder."
                ) from error
            aside = set_aside(path)
            _make_private(path)
            self.warning = (
                f"The saved chats in {path} could not be read and were set aside as {aside.name}: "
                "Triad started a new history."
            )
            self._connection = _open(path)

    def close(self) -> None:
        """Close the file; the history is not used afterwards."""
        with self._lock:
            self._connection.close()

    def append(
        self,
        owner: str,
        conversation_id: str,
        message: Message,
        outcome: Outcome = Outcome(),
        instead_of: int | None = None,
    ) -> int:
        """Add a message to a chat, which is created when new, and return its number.

        Args:
            instead_of: hide this message and all that follow it; both happens or nothing.
        """
        with self._transaction() as connection:
            if instead_of is not None:
                _hide_from(connection, conversation_id, instead_of)
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET updated_s = excluded.updated_s",
                (conversation_id, owner, default_title(message), time.time()),
            )
            message_id = _insert_message(connection, conversation_id, message, outcome)
            rows = [_part_row(message_id, i, part) for i, part in enumerate(message.parts)]
            connection.executemany("INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            return message_id

    def reply(self, conversation_id: str, text: str, outcome: Outcome) -> None:
        """Add the assistant's reply to a chat; nothing happens when the chat was deleted."""
        message = Message(Role.ASSISTANT, (TextPart(text),) if text else ())
        with self._lock:
            row = self._connection.execute(
                "SELECT owner FROM conversations WHERE id = ?", (conversation_id,)
            ).fetchone()
        if row is not None:
            self.append(row[0], conversation_id, message, outcome)

    def messages(self, conversation_id: str) -> tuple[StoredMessage, ...]:
        """The messages of a chat in order, replaced ones left out; empty for an unknown id."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, role, mode, finish_reason, stats, failure FROM messages "
                "WHERE conversation_id = ? AND NOT is_replaced ORDER BY id",
                (conversation_id,),
            ).fetchall()
            parts = self._connection.execute(
                "SELECT message_id, kind, text, data, name, detail FROM parts JOIN messages "
                "ON messages.id = message_id WHERE conversation_id = ? AND NOT is_replaced "
                "ORDER BY message_id, position",
                (conversation_id,),
            ).fetchall()
        by_message: dict[int, list[Part]] = {}
        for message_id, *values in parts:
            by_message.setdefault(message_id, []).append(_part(*values))
        return tuple(_stored(row, tuple(by_message.get(row[0], ()))) for row in rows)

    def replace_from(self, conversation_id: str, message_id: int) -> None:
        """Hide a message and all that follow it in its chat."""
        with self._transaction() as connection:
            _hide_from(connection, conversation_id, message_id)

    def media(self, conversation_id: str, message_id: int, position: int) -> bytes | None:
        """The bytes of one attachment, or None unless it belongs to that chat."""
        with self._lock:
            row = self._connection.execute(
                "SELECT data FROM parts JOIN messages ON messages.id = message_id "
                "WHERE conversation_id = ? AND message_id = ? AND position = ?",
                (conversation_id, message_id, position),
            ).fetchone()
        return None if row is None else row[0]

    def chats(self, owner: str) -> tuple[ChatSummary, ...]:
        """A person's chats, the last used first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT id, title FROM conversations WHERE owner = ? ORDER BY updated_s DESC",
                (owner,),
            ).fetchall()
        return tuple(ChatSummary(*row) for row in rows)

    def delete(self, owner: str, conversation_id: str) -> None:
        """Delete a chat of this person for good, with its media."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM conversations WHERE id = ? AND owner = ?", (conversation_id, owner)
            )
        with self._lock:  # the log of late writes still has what the file has no more
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            yield self._connection


def as_conversation(messages: tuple[StoredMessage, ...]) -> Conversation:
    """What is fed to the model: every answered exchange, and the message to answer now.

    An exchange whose turn failed or was stopped before its first word is left out, so that one
    unreadable picture does not spoil every turn after it.
    """
    fed: list[Message] = []
    waiting: Message | None = None
    for stored in messages:
        if stored.message.role is not Role.ASSISTANT:
            waiting = stored.message
        elif waiting is not None and stored.outcome.failure is None and stored.message.text:
            fed += [waiting, stored.message]
            waiting = None
        else:
            waiting = None
    return Conversation((*fed, waiting) if waiting is not None else tuple(fed))


def _make_private(path: Path) -> None:
    """Have a file that only its owner may read before SQLite writes to it.

    SQLite gives the files it puts beside it (-wal, -shm) the same permissions.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        if path.is_file():
            path.chmod(0o600)
    except OSError as error:
        raise BadOptionError(
            f"Chats cannot be kept in {path.parent}: "
            "set XDG_DATA_HOME to a folder that you can write to."
        ) from error


def _is_damaged(error: sqlite3.DatabaseError) -> bool:
    """Whether the file itself is at fault, rather than a lock, a permission or the disk."""
    # The low byte is the error, the rest says more of the same.
    code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, DamagedFileError) or code in DAMAGED


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")  # a deleted chat leaves no bytes behind
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise DamagedFileError("the file is damaged")
        connection.executescript(SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


def set_aside(path: Path) -> Path:
    """Give a damaged file, and its log of late writes if any, a name out of the way."""
    aside = path.with_name(f"{path.name}.unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
    path.rename(aside)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():  # it may hold the newest chats
        log.rename(aside.with_name(f"{aside.name}-wal"))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    return aside


def default_title(message: Message) -> str:
    """What a chat is called after its first message."""
    text = " ".join(message.text.split())
    if not text:
        kinds = {ImagePart: "A picture", AudioPart: "A spoken question"}
        text = next((kinds[type(part)] for part in message.parts if type(part) in kinds), "A chat")
    return text if len(text) <= MAX_TITLE_CHARS else text[: MAX_TITLE_CHARS - 1] + "…"


def _hide_from(connection: sqlite3.Connection, conversation_id: str, message_id: int) -> None:
    connection.execute(
        "UPDATE messages SET is_replaced = 1 WHERE conversation_id = ? AND id >= ?",
        (conversation_id, message_id),
    )


def _insert_message(
    connection: sqlite3.Connection, conversation_id: str, message: Message, outcome: Outcome
) -> int:
    cursor = connection.execute(
        "INSERT INTO messages (conversation_id, role, mode, finish_reason, stats, failure) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (
            conversation_id,
            message.role.value,
            None if outcome.route is None else int(outcome.route.mode),
            outcome.finish_reason,
            json.dumps(outcome.stats or {}),
            outcome.failure,
        ),
    )
    return cast(int, cursor.lastrowid)


def _part_row(message_id: int, position: int, part: Part) -> tuple[Any, ...]:
    if isinstance(part, TextPart):
        return (message_id, position, "text", part.text, None, None, None)
    if isinstance(part, ImagePart):
        return (message_id, position, "image", None, part.data, part.name, part.detail)
    return (message_id, position, "audio", None, part.data, part.name, None)


def _part(kind: str, text: str, data: bytes, name: str, detail: str) -> Part:
    if kind == "text":
        return TextPart(text)
    return ImagePart(data, name, cast(Detail, detail)) if kind == "image" else AudioPart(data, name)


def _stored(row: tuple[Any, ...], parts: tuple[Part, ...]) -> StoredMessage:
    message_id, role, mode, finish_reason, stats, failure = row
    route = None if mode is None else ROUTES[InputMode(mode)]
    outcome = Outcome(route, finish_reason, json.loads(stats) or None, failure)
    return StoredMessage(message_id, Message(Role(role), parts), outcome)
