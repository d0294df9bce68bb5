"""What is wrong with the chat command's options is said the way the caller asked for."""

from __future__ import annotations

import json

import pytest

import launch
from app.exit_codes import EXIT_BAD_INPUT


def test_bad_sampling_option_is_a_failed_line_of_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "quieten_libraries", lambda model: None)
    assert launch.run_chat(["--json", "--max-tokens", "0", "Hello"]) == EXIT_BAD_INPUT
    shown = capsys.readouterr()
    line = json.loads(shown.out)
    assert line["event"] == "failed"
    assert shown.err == line["message"] + "\n"
