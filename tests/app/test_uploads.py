"""Uploads lie in a folder of their own, which goes when the server does."""

from __future__ import annotations

import os

import pytest

from app.uploads import VARIABLE, private_uploads


@pytest.mark.parametrize("before", [None, "/elsewhere"])
def test_uploads_are_private_and_gone_at_the_end(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VARIABLE, before)
    with private_uploads() as folder:
        assert os.environ[VARIABLE] == str(folder)
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "picture.png").write_bytes(b"picture")
    assert not folder.exists()
    assert os.environ.get(VARIABLE) == before
