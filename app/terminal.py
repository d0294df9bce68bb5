"""One turn in the terminal: the reply streams to stdout, the route and the speed go to stderr.

With `as_json`, stdout carries one JSON object a line instead, one for each event of the turn.
Leaves out: parsing the command line (launch.py) and conversations of more than one turn.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Final, Protocol, TextIO

from app.exit_codes import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OK, EXIT_OUR_FAILURE
from app.media import in_turn_order
from core.errors import BadInputError, TriadError
from core.events import Event, RouteSelected, TextDelta, TurnFailed, TurnFinished
from core.messages import AudioPart, Conversation, ImagePart, Message, Role, TextPart
from core.router import Route
from core.sampling_options import SamplingOptions

MAX_FILE_BYTES: Final = 300_000_000
MAX_TEXT_BYTES: Final = 10_000_000
# A reply must not move the cursor or rename the window: of the control characters only line
# feeds and tabs reach a terminal.
CONTROL_CHARACTERS: Final = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n"), ord("\t")})


class Turn(Protocol):
    """What the terminal needs of core.assistant.Turn."""

    def events(self) -> Iterator[Event]:
        """The turn's events, in order."""

    def cancel(self) -> None:
        """Stop the turn; its last event still comes."""


class Assistant(Protocol):
    """What the terminal needs of core.assistant.Assistant."""

    def submit(self, conversation: Conversation, options: SamplingOptions = ...) -> Turn:
        """Start a turn."""

    def close(self) -> None:
        """Give everything back."""


@dataclass(frozen=True)
class ChatRequest:
    """What one `launch.py chat` asks for.

    Args:
        text: what the person says; "-" reads standard input, None leaves it out.
        image_paths, sound_paths: files to attach, in order.
        record_s: record so many seconds from the microphone, as one sound more.
        system: the system message, if any.
        sampling: how the reply is sampled.
        as_json: one JSON object a line on stdout.
    """

    text: str | None = None
    image_paths: tuple[Path, ...] = ()
    sound_paths: tuple[Path, ...] = ()
    record_s: float | None = None
    system: str | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    as_json: bool = False


def chat_request(options: argparse.Namespace) -> ChatRequest:
    """The chat command's options as the terminal takes them.

    Raises:
        BadOptionError: a sampling option lies outside its range.
    """
    return ChatRequest(
        text=" ".join(options.text) or None,
        image_paths=tuple(options.image),
        sound_paths=tuple(options.audio),
        record_s=options.record,
        system=options.system,
        sampling=SamplingOptions(
            max_new_tokens=options.max_tokens, temperature=options.temperature, seed=options.seed
        ),
        as_json=options.json,
    )


def chat(request: ChatRequest, open_assistant: Callable[[], Assistant]) -> int:
    """Answer one request on stdout; returns the process's exit code.

    Everything the person gave is read and checked before the model is loaded.
    """
    show = shower(request.as_json)
    try:
        conversation = read_conversation(request)
        assistant = open_assistant()
    except TriadError as error:
        return refuse(error, request.as_json)
    try:
        return run_turn(assistant.submit(conversation, request.sampling), show)
    except TriadError as error:
        return refuse(error, request.as_json)
    finally:
        assistant.close()


def shower(as_json: bool) -> Reply | JsonLines:
    """What shows the events of a turn on this process's stdout and stderr."""
    return JsonLines(sys.stdout, sys.stderr) if as_json else Reply(sys.stdout, sys.stderr)


def refuse(error: TriadError, as_json: bool) -> int:
    """Show why there is no turn; returns the exit code."""
    failed = TurnFailed(str(error), isinstance(error, BadInputError))
    return report_failure(shower(as_json), failed)


def run_turn(turn: Turn, show: Callable[[Event], None]) -> int:
    """Show a turn's events; returns the exit code. Ctrl-C cancels the turn and shows its end."""
    try:
        with cancelled_by_ctrl_c(turn) as ctrl_c:
            for event in turn.events():
                if isinstance(event, TurnFailed):
                    return report_failure(show, event)
                show(event)
        return EXIT_INTERRUPTED if ctrl_c.is_set() else EXIT_OK
    except BrokenPipeError:
        # Whoever read us has left (launch.py chat ... | head).
        turn.cancel()
        discard_output()
        return EXIT_OUR_FAILURE


@contextmanager
def cancelled_by_ctrl_c(turn: Turn) -> Iterator[threading.Event]:
    """While this lasts, the first Ctrl-C cancels the turn and the second one leaves at once.

    Raising at the first one would end the turn's generator, and with it the events to come.
    """
    pressed = threading.Event()

    def on_ctrl_c(signal_number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pressed.set()
        # Another thread: this one may be interrupted with a lock in hand that cancel() needs.
        threading.Thread(target=turn.cancel, daemon=True).start()

    before = signal.signal(signal.SIGINT, on_ctrl_c)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def report_failure(show: Callable[[Event], None], failed: TurnFailed) -> int:
    """Show why there is no reply; returns the exit code."""
    show(failed)
    return EXIT_BAD_INPUT if failed.is_bad_input else EXIT_OUR_FAILURE


def discard_output() -> None:
    """Send what is still in stdout's buffer nowhere, so that Python's exit does not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Reply:
    """Shows events to a person: the reply on `out`, one line about the turn on `about`."""

    def __init__(self, out: TextIO, about: TextIO) -> None:
        self._out = out
        self._about = about
        self._route: Route | None = None
        self._ends_line = True

    def __call__(self, event: Event) -> None:
        """Show one event."""
        match event:
            case RouteSelected(route=route):
                self._route = route
            case TextDelta(text=text):
                self._say(text)
            case TurnFinished():
                self._end_line()
                self._tell(summary(self._route, event))
            case TurnFailed(message=message):
                self._end_line()
                self._about.write(f"{message}\n")

    def _say(self, text: str) -> None:
        if not text:
            return
        self._out.write(text.translate(CONTROL_CHARACTERS) if self._out.isatty() else text)
        self._out.flush()
        self._ends_line = text.endswith("\n")

    def _end_line(self) -> None:
        if not self._ends_line:
            self._say("\n")

    def _tell(self, text: str) -> None:
        dim = self._about.isatty() and not os.environ.get("NO_COLOR")
        self._about.write(f"\x1b[2m{text}\x1b[0m\n" if dim else f"{text}\n")


class JsonLines:
    """Shows events to programs: one JSON object a line on `out`; failures on `about` as well."""

    def __init__(self, out: TextIO, about: TextIO) -> None:
        self._out = out
        self._about = about

    def __call__(self, event: Event) -> None:
        """Show one event."""
        self._out.write(json.dumps(as_json(event), ensure_ascii=False) + "\n")
        self._out.flush()
        if isinstance(event, TurnFailed):
            self._about.write(f"{event.message}\n")


def as_json(event: Event) -> dict[str, object]:
    """An event as the JSON object that `--json` prints."""
    match event:
        case RouteSelected(route=route):
            return {
                "event": "route",
                "mode": int(route.mode),
                "label": route.label,
                "adapter": route.adapter,
                "audio_projector": route.audio_projector,
            }
        case TextDelta(text=text):
            return {"event": "delta", "text": text}
        case TurnFinished(text=text, finish_reason=finish_reason, stats=stats):
            return {
                "event": "finished",
                "text": text,
                "finish_reason": finish_reason,
                "stats": stats.as_dict(),
            }
        case TurnFailed(message=message):
            return {"event": "failed", "message": message}


def summary(route: Route | None, finished: TurnFinished) -> str:
    """The line after a reply: which adapter answered, and how fast."""
    stats = finished.stats
    words = [
        f"route: {route.label if route else 'unknown'}",
        f"first token after {stats.time_to_first_token_ms:.0f} ms",
    ]
    if stats.tokens_per_s:  # a reply of one token has no speed
        words.append(f"{stats.tokens_per_s:.1f} tokens/s")
    words.append(f"{stats.num_reply_tokens} tokens")
    if finished.finish_reason == "length":
        words.append("cut off by its length limit (--max-tokens)")
    if finished.finish_reason == "cancelled":
        words.append("cancelled")
    return " · ".join(words)


def read_conversation(request: ChatRequest) -> Conversation:
    """The request as a conversation: the system message, then pictures, sounds and text.

    Raises:
        BadInputError: a file cannot be read, or there is nothing to answer.
    """
    media: list[ImagePart | AudioPart] = [
        *(ImagePart(read_file(path), path.name) for path in request.image_paths),
        *(AudioPart(read_file(path), path.name) for path in request.sound_paths),
    ]
    if request.record_s is not None:
        media.append(recorded(request.record_s))
    text = read_stdin() if request.text == "-" else checked_text(request.text or "")
    parts = in_turn_order(media, text)
    if not parts:
        raise BadInputError(
            "There is nothing to answer: give a text, --image FILE, --audio FILE "
            "or --record SECONDS."
        )
    messages = [Message(Role.USER, parts)]
    if request.system:
        messages.insert(0, Message(Role.SYSTEM, (TextPart(checked_text(request.system)),)))
    return Conversation(tuple(messages))


def recorded(seconds: float) -> AudioPart:
    """Some seconds from this computer's microphone.

    Raises:
        BadInputError: there is no microphone, or the length makes no sense.
    """
    from audio.errors import AudioError
    from audio.microphone import record
    from audio.save import wav_bytes

    if sys.stderr.isatty():
        print(f"Listening for {seconds:g} seconds …", file=sys.stderr)
    try:
        waveform = record(seconds)
    except AudioError as error:
        raise BadInputError(str(error)) from error
    return AudioPart(wav_bytes(waveform), "recording.wav")


def read_file(path: Path) -> bytes:
    """A file's bytes, after a look at what it is: nothing of a huge one is read.

    Raises:
        BadInputError: there is no such file, it is no file, unreadable or too large.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise BadInputError(f"{path} is a folder: give one file.")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise BadInputError(f"{path} is a device: give a file.")
        if status.st_size > MAX_FILE_BYTES:
            raise BadInputError(too_large(path))
        with path.open("rb") as file:
            # A pipe has no size before it is read.
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise BadInputError(f"There is no file {path}: check its name and folder.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise BadInputError(f"{path} cannot be read ({reason}): give another file.") from None
    if len(data) > MAX_FILE_BYTES:
        raise BadInputError(too_large(path))
    return data


def too_large(path: Path) -> str:
    """What to tell about a file over the limit."""
    return f"{path} is larger than {MAX_FILE_BYTES // 1_000_000} MB: give a smaller file."


def read_stdin() -> str:
    """The text on standard input.

    Raises:
        BadInputError: it is too long or not UTF-8.
    """
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise BadInputError(
            f"The text on standard input is longer than {MAX_TEXT_BYTES // 1_000_000} MB: "
            "give a shorter one."
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInputError("The text on standard input is not UTF-8: convert it first.") from None


def checked_text(text: str) -> str:
    """The text as it is.

    Raises:
        BadInputError: it holds bytes that are no characters, as a shell can pass them.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadInputError("The text is not UTF-8: convert it first.") from None
    return text
