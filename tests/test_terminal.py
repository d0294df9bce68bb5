"""One turn in the terminal, against an assistant that replays scripted events."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag

import pytest

from app import terminal
from app.terminal import ChatRequest, chat, read_conversation
from core.errors import BadInputError, BadModelError, OutOfMemoryError, QueueFullError, TriadError
from core.events import Event, FinishReason, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.messages import AudioPart, Conversation, ImagePart, Role, TextPart
from core.router import ROUTES, InputMode
from core.sampling_options import SamplingOptions
from core.stats import TurnStats

STATS = TurnStats(num_reply_tokens=11, decode_ms=500.0, time_to_first_token_ms=420.4)


def finished(text: str, reason: FinishReason = "stop") -> TurnFinished:
    return TurnFinished(text, reason, STATS)


def reply(*deltas: str, mode: InputMode = InputMode.LANGUAGE) -> list[Event]:
    """The events of a turn that answers in these pieces."""
    return [RouteSelected(ROUTES[mode]), *map(TextDelta, deltas), finished("".join(deltas))]


@dataclass
class ScriptedTurn:
    """Replays events; where the script has None, the person presses Ctrl-C."""

    script: Sequence[Event | None]
    cancelled: Flag = field(default_factory=Flag)

    def events(self) -> Iterator[Event]:
        for event in self.script:
            if event is not None:
                yield event
                continue
            signal.raise_signal(signal.SIGINT)
            assert self.cancelled.wait(timeout=10.0)

    def cancel(self) -> None:
        self.cancelled.set()


@dataclass
class ScriptedAssistant:
    """Answers every conversation with one script, or refuses it."""

    script: Sequence[Event | None] = ()
    refusal: TriadError | None = None
    asked: list[tuple[Conversation, SamplingOptions]] = field(default_factory=list)
    turns: list[ScriptedTurn] = field(default_factory=list)
    is_closed: bool = False

    def submit(
        self, conversation: Conversation, options: SamplingOptions | None = None
    ) -> ScriptedTurn:
        if self.refusal:
            raise self.refusal
        self.asked.append((conversation, options or SamplingOptions()))
        self.turns.append(ScriptedTurn(self.script))
        return self.turns[-1]

    def close(self) -> None:
        self.is_closed = True


def never_opened() -> ScriptedAssistant:
    raise AssertionError("the model was loaded for a request that cannot be answered")


def test_the_reply_goes_to_stdout_and_the_route_to_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assistant = ScriptedAssistant(reply("A red ", "ball.", mode=InputMode.VISION_SPEECH))
    assert chat(ChatRequest("What is it?"), lambda: assistant) == 0
    out, about = capsys.readouterr()
    assert out == "A red ball.\n"
    assert about == (
        "route: vision+speech · first token after 420 ms · 20.0 tokens/s · 11 tokens\n"
    )
    assert assistant.is_closed


def test_a_reply_that_ends_its_line_gets_no_second_one(capsys: pytest.CaptureFixture[str]) -> None:
    chat(ChatRequest("Hello"), lambda: ScriptedAssistant(reply("Hi.\n")))
    assert capsys.readouterr().out == "Hi.\n"


@pytest.mark.parametrize(
    ("reason", "words"),
    [("length", "cut off by its length limit (--max-tokens)"), ("cancelled", "cancelled")],
)
def test_a_reply_that_did_not_end_by_itself_says_why(
    reason: FinishReason, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    script: list[Event] = [RouteSelected(ROUTES[InputMode.LANGUAGE]), finished("", reason)]
    chat(ChatRequest("Hello"), lambda: ScriptedAssistant(script))
    assert capsys.readouterr().err.endswith(f" · {words}\n")


def test_sampling_options_reach_the_assistant() -> None:
    assistant = ScriptedAssistant(reply("Hi."))
    sampling = SamplingOptions(max_new_tokens=7, temperature=0.5, seed=3)
    chat(ChatRequest("Hello", sampling=sampling), lambda: assistant)
    assert assistant.asked[0][1] is sampling


def test_json_prints_one_object_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    assistant = ScriptedAssistant(reply("Grün", ".\n", mode=InputMode.VISION))
    assert chat(ChatRequest("Farbe?", as_json=True), lambda: assistant) == 0
    out, about = capsys.readouterr()
    assert [json.loads(line) for line in out.splitlines()] == [
        {
            "event": "route",
            "mode": 1,
            "label": "vision",
            "adapter": "vision",
            "audio_projector": None,
        },
        {"event": "delta", "text": "Grün"},
        {"event": "delta", "text": ".\n"},
        {
            "event": "finished",
            "text": "Grün.\n",
            "finish_reason": "stop",
            "stats": STATS.as_dict(),
        },
    ]
    assert "Grün" in out
    assert about == ""


@pytest.mark.parametrize(("is_bad_input", "exit_code"), [(True, 2), (False, 1)])
def test_a_failed_turn_is_one_sentence_and_an_exit_code(
    is_bad_input: bool, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = TurnFailed("The sound is empty: record it again.", is_bad_input)
    script: list[Event] = [TextDelta("Half a"), failed]
    assert chat(ChatRequest("Hello"), lambda: ScriptedAssistant(script)) == exit_code
    assert capsys.readouterr() == ("Half a\n", "The sound is empty: record it again.\n")


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [(BadModelError("No model."), 2), (OutOfMemoryError("No room."), 1)],
)
def test_a_model_that_cannot_be_opened_is_one_sentence(
    error: TriadError, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def open_assistant() -> ScriptedAssistant:
        raise error

    assert chat(ChatRequest("Hello"), open_assistant) == exit_code
    assert capsys.readouterr() == ("", f"{error}\n")


def test_a_refused_turn_still_closes_the_assistant(capsys: pytest.CaptureFixture[str]) -> None:
    assistant = ScriptedAssistant(refusal=QueueFullError("Too many turns: try later."))
    assert chat(ChatRequest("Hello"), lambda: assistant) == 1
    assert capsys.readouterr().err == "Too many turns: try later.\n"
    assert assistant.is_closed


def test_json_reports_bad_input_on_both_streams(capsys: pytest.CaptureFixture[str]) -> None:
    assert chat(ChatRequest(as_json=True), never_opened) == 2
    out, about = capsys.readouterr()
    assert json.loads(out) == {"event": "failed", "message": about.strip()}


def test_ctrl_c_cancels_the_turn_and_shows_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    route = RouteSelected(ROUTES[InputMode.LANGUAGE])
    assistant = ScriptedAssistant([route, TextDelta("So"), None, finished("So", "cancelled")])
    handler = signal.getsignal(signal.SIGINT)
    assert chat(ChatRequest("Hello"), lambda: assistant) == 130
    assert assistant.turns[0].cancelled.is_set()
    out, about = capsys.readouterr()
    assert out == "So\n"
    assert about.endswith(" · cancelled\n")
    assert signal.getsignal(signal.SIGINT) == handler


def test_a_second_ctrl_c_leaves_at_once() -> None:
    assistant = ScriptedAssistant([TextDelta("So"), None, None, finished("So", "cancelled")])
    with pytest.raises(KeyboardInterrupt):
        chat(ChatRequest("Hello"), lambda: assistant)
    assert assistant.is_closed


def test_a_reader_that_leaves_cancels_the_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    out = os.fdopen(writer, "w", encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    assistant = ScriptedAssistant(reply("Hello"))
    assert chat(ChatRequest("Hello"), lambda: assistant) == 1
    assert assistant.turns[0].cancelled.is_set()
    out.close()


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_reply_cannot_steer_the_terminal() -> None:
    out, about = FakeTerminal(), FakeTerminal()
    show = terminal.Reply(out, about)
    show(TextDelta("a\x1b[2Jb\r\x07\x9bc\td\n"))
    assert out.getvalue() == "a[2Jbc\td\n"


@pytest.mark.parametrize(("no_color", "is_dim"), [("", True), ("1", False)])
def test_the_line_about_the_turn_is_dim_on_a_terminal(
    no_color: str, is_dim: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    about = FakeTerminal()
    terminal.Reply(io.StringIO(), about)(finished(""))
    assert about.getvalue().startswith("\x1b[2mroute") is is_dim


def test_pictures_come_first_then_sounds_then_text(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.wav"):
        (tmp_path / name).write_bytes(name.encode())
    request = ChatRequest(
        "What?",
        image_paths=(tmp_path / "a.png", tmp_path / "b.png"),
        sound_paths=(tmp_path / "c.wav",),
        system="Be brief.",
    )
    system, user = read_conversation(request).messages
    assert (system.role, system.text) == (Role.SYSTEM, "Be brief.")
    assert user.parts == (
        ImagePart(b"a.png", "a.png"),
        ImagePart(b"b.png", "b.png"),
        AudioPart(b"c.wav", "c.wav"),
        TextPart("What?"),
    )


def test_a_sound_alone_is_a_spoken_question(tmp_path: Path) -> None:
    sound = tmp_path / "question.wav"
    sound.write_bytes(b"RIFF")
    (message,) = read_conversation(ChatRequest(sound_paths=(sound,))).messages
    assert message.parts == (AudioPart(b"RIFF", "question.wav"),)


def standard_input(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, "Grüße\n".encode())
    assert read_conversation(ChatRequest("-")).messages[0].text == "Grüße\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * (terminal.MAX_TEXT_BYTES + 1), "is longer than 10 MB"),
        (b" \n", "There is nothing to answer"),
    ],
)
def test_unusable_standard_input_is_refused(
    data: bytes, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard_input(monkeypatch, data)
    with pytest.raises(BadInputError, match=sentence):
        read_conversation(ChatRequest("-"))


def test_the_largest_standard_input_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    standard_input(monkeypatch, b"x" * terminal.MAX_TEXT_BYTES)
    assert len(read_conversation(ChatRequest("-")).messages[0].text) == terminal.MAX_TEXT_BYTES


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_nothing_to_answer_is_refused_before_the_model_loads(
    text: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(ChatRequest(text), never_opened) == 2
    assert capsys.readouterr().err.count("\n") == 1


BROKEN = os.fsdecode(b"caf\xe9")


@pytest.mark.parametrize("asked", [ChatRequest(BROKEN), ChatRequest("Hi", system=BROKEN)])
def test_bytes_that_are_no_characters_are_refused(asked: ChatRequest) -> None:
    with pytest.raises(BadInputError, match="not UTF-8"):
        read_conversation(asked)


def test_a_missing_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gone.png"
    assert chat(ChatRequest("What?", image_paths=(path,)), never_opened) == 2
    assert capsys.readouterr().err == f"There is no file {path}: check its name and folder.\n"


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is a folder: give one file"):
        terminal.read_file(tmp_path)


def test_a_device_is_no_picture() -> None:
    with pytest.raises(BadInputError, match="is a device"):
        terminal.read_file(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, f"{__file__}/a.png"])
def test_an_impossible_name_cannot_be_read(name: str) -> None:
    with pytest.raises(BadInputError, match="cannot be read"):
        terminal.read_file(Path(name))


def test_a_huge_file_is_refused_without_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.wav"
    with path.open("wb") as file:
        file.truncate(terminal.MAX_FILE_BYTES + 1)  # sparse: takes no room on the disk

    def opened(*arguments: object) -> None:
        raise AssertionError("a huge file was opened")

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(BadInputError, match="is larger than 300 MB: give a smaller file"):
        terminal.read_file(path)
