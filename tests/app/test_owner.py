"""Whose chats these are, on any port."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.options import ServerOptions
from app.owner import ID, owner_id, page_address


def test_an_account_keeps_its_id_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first = owner_id(tmp_path / "triad")
    assert first is not None
    assert ID.fullmatch(first)
    assert owner_id(tmp_path / "triad") == first
    assert owner_id(tmp_path / "other") != first
    if os.name == "posix":
        assert (tmp_path / "triad" / "owner").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kept", ["", "short", "no id, but a whole sentence", "é" * 22])
def test_a_file_that_holds_no_id_is_written_anew(tmp_path: Path, kept: str) -> None:
    (tmp_path / "owner").write_text(kept, "utf-8")
    first = owner_id(tmp_path)
    assert first is not None
    assert owner_id(tmp_path) == first


def test_the_same_id_goes_along_to_every_port(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    first, second = (page_address(ServerOptions(port=port, history_path=path)) for port in (1, 2))
    assert first.startswith("http://127.0.0.1:1/#owner=")
    assert first.partition("#")[2] == second.partition("#")[2]


def test_without_a_folder_the_address_is_plain(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    options = ServerOptions(history_path=tmp_path / "file" / "history.sqlite3")
    assert page_address(options) == options.url
