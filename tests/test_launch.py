"""The command line and the set-up; nothing is installed here, the builder is a fake."""

from __future__ import annotations

import importlib.util
import io
import os
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import IO
from xml.etree import ElementTree

import pytest

import launch
from app import checks, environment, pip_builder
from app.environment import Environment, Layer, SetupError, State, running_python, set_up, state
from app.options import ServerOptions
from app.status_line import StatusLine
from app.terminal import chat_request
from core.errors import BadMediaError, BadOptionError, QueueFullError
from core.training import packages
from core.training.fonts import FONT_PACKAGES

ROOT = Path(launch.__file__).parent


@dataclass
class FakeBuilder:
    """Makes an empty file where Python would be, and notes what it was asked for.

    Args:
        dies_in: "create" or "install": the process dies there, half-way.
        python: what the environment's Python says its version is; None where it does not run.
    """

    dies_in: str = ""
    python: str | None = field(default_factory=running_python)
    done: list[str] = field(default_factory=list)

    def create(self, environment: Environment, lock: IO[str]) -> None:
        self.done.append("create")
        if self.dies_in == "create":
            raise KeyboardInterrupt
        environment.python.parent.mkdir(parents=True)
        environment.python.touch()

    def install(self, environment: Environment, layer: Layer, lock: IO[str]) -> None:
        self.done.append(layer.name)
        environment.marker.touch()
        (environment.venv / f"package-of-{layer.name}").touch()
        if self.dies_in == "install":
            raise KeyboardInterrupt

    def python_version(self, environment: Environment) -> str | None:
        return self.python


@pytest.fixture
def place(tmp_path: Path) -> Environment:
    """An environment that does not exist yet."""
    return Environment(tmp_path / ".venv")


@pytest.fixture
def layers(tmp_path: Path) -> list[Layer]:
    """Two layers with their requirements files."""
    for name in ("run", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name}==1\n")
    return [Layer(name, tmp_path / f"{name}.txt") for name in ("run", "test")]


def quiet(text: str) -> None:
    """Takes what a set-up says."""


def test_a_first_start_makes_the_environment_and_installs_every_layer(
    place: Environment, layers: list[Layer]
) -> None:
    said: list[str] = []
    builder = FakeBuilder()
    set_up(place, layers, builder, said.append)
    assert builder.done == ["create", "run", "test"]
    assert state(place, layers, builder) is State.READY
    assert not place.marker.exists()
    assert said == [f"Setting Triad up in {place.venv}; {environment.ONCE}"]


def test_a_second_start_does_nothing(place: Environment, layers: list[Layer]) -> None:
    set_up(place, layers, FakeBuilder(), quiet)
    second = FakeBuilder()
    set_up(place, layers, second, quiet)
    assert second.done == []


def test_a_command_that_needs_more_installs_only_that(
    place: Environment, layers: list[Layer]
) -> None:
    set_up(place, layers[:1], FakeBuilder(), quiet)
    second = FakeBuilder()
    set_up(place, layers, second, quiet)
    assert second.done == ["test"]


def test_changed_requirements_are_installed_again(place: Environment, layers: list[Layer]) -> None:
    set_up(place, layers, FakeBuilder(), quiet)
    layers[0].requirements.write_text("run==2\n")
    second = FakeBuilder()
    assert state(place, layers, second) is State.INCOMPLETE
    set_up(place, layers, second, quiet)
    assert second.done == ["run"]


@pytest.mark.parametrize("dies_in", ["create", "install"])
def test_an_interrupted_set_up_is_started_over(
    dies_in: str, place: Environment, layers: list[Layer]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        set_up(place, layers, FakeBuilder(dies_in), quiet)
    said: list[str] = []
    second = FakeBuilder()
    assert state(place, layers, second) is State.BROKEN
    place.log.write_text("what pip said\n")
    set_up(place, layers, second, said.append)
    assert second.done == ["create", "run", "test"]
    assert said == [environment.INTERRUPTED]
    assert state(place, layers, second) is State.READY
    assert place.log.read_text() == "what pip said\n"


def test_starting_over_removes_what_was_half_installed(
    place: Environment, layers: list[Layer], tmp_path: Path
) -> None:
    outside = tmp_path / "kept"
    outside.mkdir()
    (outside / "file").touch()
    with pytest.raises(KeyboardInterrupt):
        set_up(place, layers, FakeBuilder("install"), quiet)
    (place.venv / "link").symlink_to(outside)
    set_up(place, layers[1:], FakeBuilder(), quiet)
    assert not (place.venv / "package-of-run").exists()
    assert (outside / "file").exists()


def test_an_environment_without_stamps_is_filled_not_emptied(
    place: Environment, layers: list[Layer]
) -> None:
    place.python.parent.mkdir(parents=True)
    place.python.touch()
    builder = FakeBuilder()
    set_up(place, layers, builder, quiet)
    assert builder.done == ["run", "test"]


def test_a_removed_python_means_starting_over(place: Environment, layers: list[Layer]) -> None:
    set_up(place, layers, FakeBuilder(), quiet)
    place.python.unlink()
    place.python.symlink_to(place.venv / "gone")
    assert state(place, layers, FakeBuilder()) is State.BROKEN


@pytest.mark.parametrize(
    ("python", "found"),
    # "3.99" is what the stamps say; the Python that runs this test is another one.
    [("3.99", State.READY), (None, State.BROKEN), ("3.98", State.INCOMPLETE)],
)
def test_started_by_another_python_the_environments_own_decides(
    python: str | None, found: State, place: Environment, layers: list[Layer]
) -> None:
    set_up(place, layers, FakeBuilder(python="3.99"), quiet)
    assert state(place, layers, FakeBuilder(python=python)) is found


def test_two_first_starts_do_the_work_once(place: Environment, layers: list[Layer]) -> None:
    second, said = FakeBuilder(), list[str]()
    waiting = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        waiting.set()

    other = threading.Thread(target=set_up, args=(place, layers, second, say))
    place.records.mkdir(parents=True)
    with environment.held(place.lock, quiet) as lock:
        other.start()
        assert waiting.wait(timeout=10.0)
        environment.set_up_locked(place, layers, FakeBuilder(), quiet, lock)
    other.join(timeout=10.0)
    assert second.done == []
    assert said == ["Another start is setting Triad up; waiting for it (Ctrl-C gives up)."]


def test_the_lock_outlives_a_killed_starter_as_long_as_its_pip(place: Environment) -> None:
    place.records.mkdir(parents=True)
    with environment.held(place.lock, quiet) as lock:
        child = subprocess.Popen(
            [sys.executable, "-c", "input()"],
            stdin=subprocess.PIPE,
            pass_fds=pip_builder.inherited(lock),
        )
    said = threading.Event()

    def take() -> None:
        with environment.held(place.lock, lambda text: said.set()):
            pass

    other = threading.Thread(target=take)
    other.start()
    assert said.wait(timeout=10.0)
    child.communicate(b"\n", timeout=10.0)
    other.join(timeout=10.0)
    assert not other.is_alive()


def test_a_missing_requirements_file_is_a_sentence(place: Environment, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"gone\.txt cannot be read: restore it"):
        set_up(place, [Layer("run", tmp_path / "gone.txt")], FakeBuilder(), quiet)


def test_a_file_in_the_environments_place_is_a_sentence(
    place: Environment, layers: list[Layer]
) -> None:
    place.venv.touch()
    with pytest.raises(SetupError, match=r"\.venv cannot be written"):
        set_up(place, layers, FakeBuilder(), quiet)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Collecting torch==2.13.0 (from -r requirements.txt (line 4))", "looking up torch"),
        ("Collecting filelock", "looking up filelock"),
        ("Collecting uvicorn[standard]>=0.14", "looking up uvicorn[standard]"),
        ("  Downloading numpy-2.4.6-cp311-linux.whl (16.6 MB)", "downloading numpy (16.6 MB)"),
        (
            "  Downloading a/b/numpy-2.4.6-cp311-linux.whl.metadata (6 kB)",
            "downloading numpy (6 kB)",
        ),
        ("  Using cached peft-0.21.2-py3-none-any.whl", "unpacking peft"),
        ("Installing collected packages: a, b, c", "writing 3 packages"),
        ("Requirement already satisfied: a in b", None),
        ("", None),
    ],
)
def test_what_pip_says_becomes_a_few_words(line: str, words: str | None) -> None:
    assert pip_builder.describe(line) == words


def fake_python(place: Environment, script: str) -> None:
    """A shell script in the place of the environment's Python."""
    place.python.parent.mkdir(parents=True)
    place.python.write_text(f"#!/bin/sh\n{script}\n")
    place.python.chmod(0o755)


def install_with(place: Environment, layers: Sequence[Layer], script: str) -> str:
    """Install a layer with a pip that does what the script says; returns what is shown."""
    fake_python(place, script)
    place.records.mkdir()
    shown = io.StringIO()
    with environment.held(place.lock, quiet) as lock:
        pip_builder.PipBuilder(StatusLine(shown, 0.0)).install(place, layers[0], lock)
    return shown.getvalue()


def test_pip_is_followed_and_its_words_are_logged(place: Environment, layers: list[Layer]) -> None:
    shown = install_with(place, layers, 'echo "Collecting torch"; echo "$@"')
    assert "Installing the run packages: looking up torch (0 s)\n" in shown
    assert shown.endswith("Installing the run packages: done (0 s)\n")
    assert str(layers[0].requirements) in place.log.read_text()


def test_the_marker_stands_once_pip_writes(place: Environment, layers: list[Layer]) -> None:
    with pytest.raises(SetupError):
        install_with(place, layers, 'echo "Installing collected packages: a, b"; exit 1')
    assert place.marker.exists()


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("NameResolutionError: Failed to resolve", "could not be downloaded: connect this machine"),
        ("Failed to establish a new connection: refused", "connect this machine to the internet"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("SSLError(SSLCertVerificationError(CERTIFICATE_VERIFY_FAILED))", "could not be trusted"),
        (
            "ERROR: No matching distribution found for torch==2.13.0",
            r"has no torch==2\.13\.0 for Python 3\.\d+\.\d+ on this machine \(.+\): start Triad",
        ),
    ],
)
def test_a_common_failure_of_pip_is_one_sentence(
    said: str, sentence: str, place: Environment, layers: list[Layer]
) -> None:
    with pytest.raises(SetupError, match=sentence) as caught:
        install_with(place, layers, f"echo '{said}'; exit 1")
    assert "\n" not in str(caught.value)
    assert not place.marker.exists()


def test_another_failure_of_pip_shows_the_end_of_its_log(
    place: Environment, layers: list[Layer]
) -> None:
    with pytest.raises(SetupError) as caught:
        install_with(place, layers, "for i in $(seq 100); do echo line $i; done; exit 1")
    shown = str(caught.value).splitlines()
    assert shown[:-1] == [f"line {i}" for i in range(86, 101)]
    assert shown[-1].endswith(f"failed: the lines above and {place.log} say why.")


@pytest.mark.parametrize(
    ("script", "version"), [("echo 3.12", "3.12"), ("exit 1", None), (None, None)]
)
def test_the_environments_python_is_asked_for_its_version(
    script: str | None, version: str | None, place: Environment
) -> None:
    if script:
        fake_python(place, script)
    builder = pip_builder.PipBuilder(StatusLine(io.StringIO()))
    assert builder.python_version(place) == version


@pytest.mark.parametrize("lacking", ["venv", "ensurepip"])
def test_a_python_without_venv_is_a_sentence(
    lacking: str, place: Environment, layers: list[Layer], monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == lacking else find_spec(name)
    )
    with pytest.raises(SetupError, match="apt-get install python3-venv"):
        set_up(place, layers, pip_builder.PipBuilder(StatusLine(io.StringIO())), quiet)


class FakeTerminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_on_a_terminal_the_status_is_rewritten_in_place() -> None:
    shown = FakeTerminal()
    status = StatusLine(shown)
    status.show("one")
    status.show("two")
    status.keep("done")
    assert shown.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[Kdone\n"


def test_without_a_terminal_the_status_keeps_quiet_between_lines() -> None:
    shown = io.StringIO()
    status = StatusLine(shown, interval_s=3600.0)
    status.show("one")
    status.show("two")
    status.keep("done")
    status.show("three")
    assert shown.getvalue() == "one\ndone\nthree\n"


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 11, 7), (3, 14, 0), (4, 0, 0)])
def test_a_new_enough_python_is_taken(version: tuple[int, ...]) -> None:
    assert launch.python_problem(version) is None


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 18), (3, 10, 99)])
def test_an_old_python_is_refused_in_one_sentence(version: tuple[int, ...]) -> None:
    sentence = launch.python_problem(version)
    assert sentence is not None
    assert sentence.startswith("Triad needs Python 3.11 or newer and this is ")
    assert ".".join(map(str, version)) in sentence


@pytest.mark.parametrize(
    ("arguments", "split"),
    [
        ([], ("serve", [])),
        (["--port", "8000"], ("serve", ["--port", "8000"])),
        (["serve", "--no-browser"], ("serve", ["--no-browser"])),
        (["chat", "test"], ("chat", ["test"])),
        (["test", "-k", "chat"], ("test", ["-k", "chat"])),
    ],
)
def test_the_first_word_is_the_command(arguments: list[str], split: tuple[str, list[str]]) -> None:
    assert launch.split_command(arguments) == split


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("chta", "There is no command 'chta': did you mean chat?\n"),
        (
            "xyz",
            "There is no command 'xyz': there are serve, chat, model, test, train, eval, "
            "bench, ablation, world.\n",
        ),
    ],
)
def test_an_unknown_command_is_a_sentence(
    word: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.main([word]) == 2
    assert capsys.readouterr() == ("", sentence)


@pytest.mark.parametrize("what", ["info", "prepare"])
@pytest.mark.parametrize(
    ("arguments", "model"),
    [([], None), (["phi"], "phi"), (["--model", "phi"], "phi"), (["phi", "--model", "phi"], "phi")],
)
def test_a_model_is_named_with_the_word_or_without(
    what: str, arguments: list[str], model: str | None
) -> None:
    assert launch.parse_model([what, *arguments]).model == model


def test_two_models_at_once_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        launch.parse_model(["info", "phi", "--model", "other"])
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("phi and --model other: give one of them")


def test_the_defaults_serve_the_bundled_model_on_this_machine_only() -> None:
    options = launch.parse_serve([])
    assert vars(options) == {
        "host": "127.0.0.1",
        "port": 7860,
        "no_browser": False,
        "model": None,
        "dtype": "auto",
        "quantization": "auto",
        "kv_cache": "auto",
        "device": "auto",
    }


def test_a_chat_request_takes_everything_from_the_command_line() -> None:
    arguments = "--image a.png what --audio b.wav is --image c.png it --json --seed 3"
    more = "--max-tokens 9 --temperature 0.5 --system brief"
    request = chat_request(launch.parse_chat([*arguments.split(), *more.split()]))
    assert request.text == "what is it"
    assert request.image_paths == (Path("a.png"), Path("c.png"))
    assert request.sound_paths == (Path("b.wav"),)
    assert (request.system, request.as_json) == ("brief", True)
    sampling = request.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.seed) == (9, 0.5, 3)


def test_a_chat_without_text_has_none() -> None:
    assert chat_request(launch.parse_chat(["--audio", "a.wav"])).text is None


def test_a_chat_option_out_of_range_is_refused() -> None:
    with pytest.raises(BadOptionError, match="Temperature"):
        chat_request(launch.parse_chat(["--temperature", "3", "Hello"]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "0"],
        ["--port", "65536"],
        ["--port", "http"],
        ["--quantization", "q4"],
        ["--mod", "x"],
        ["serve", "chat"],
        ["chat", "--max-tokens", "many"],
        ["chat", "--image"],
        ["chat", "--frobnicate"],
    ],
)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        launch.main(arguments)
    assert caught.value.code == 2
    out, sentence = capsys.readouterr()
    assert out == ""
    assert sentence.count("\n") == 1
    assert sentence.endswith("--help shows what can be given.\n")


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "-h"]])
def test_the_help_tells_commands_options_defaults_and_examples(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        launch.main(arguments)
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    columns = set()
    for word, command in launch.COMMANDS.items():
        (row,) = [row for row in shown.splitlines() if row.startswith(f"  {word} ")]
        assert row.endswith(command.about)
        columns.add(row.index(command.about))
    assert len(columns) == 1  # "ablation" too stands apart from what it is for
    for text in ("--quantization", "default: 7860", 'launch.py chat "', "--no-browser"):
        assert text in shown


@pytest.mark.parametrize("command", ["chat", "test"])
def test_every_command_of_ours_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        launch.main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: launch.py {command}" in capsys.readouterr().out


def test_the_version_is_the_changelogs_newest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        launch.main(["--version"])
    headings = [
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    ]
    assert capsys.readouterr().out == f"Triad {headings[0].removeprefix('## ')}\n"


def test_every_layer_a_command_names_has_its_requirements(
    monkeypatch: pytest.MonkeyPatch, place: Environment
) -> None:
    prepared: list[Layer] = []
    monkeypatch.setattr(environment, "set_up", lambda place, layers, *rest: prepared.extend(layers))
    monkeypatch.setattr(environment, "continue_inside", lambda *arguments: None)
    for command in launch.COMMANDS.values():
        launch.prepare(command.layers, place, [])
    assert prepared
    assert all(layer.requirements.is_file() for layer in prepared)


def failing(error: BaseException) -> Callable[[list[str]], int]:
    def run(arguments: list[str]) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "exit_code", "sentence"),
    [
        (BadMediaError("The sound is empty."), 2, "The sound is empty.\n"),
        (QueueFullError("Too many turns."), 1, "Too many turns.\n"),
        (KeyboardInterrupt(), 130, ""),
        (
            ZeroDivisionError("by zero"),
            1,
            "Triad failed (ZeroDivisionError: by zero): "
            "set TRIAD_DEBUG=1 to see where, and report it.\n",
        ),
    ],
)
def test_what_goes_wrong_in_a_command_is_a_sentence_and_an_exit_code(
    error: BaseException, exit_code: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = launch.Command("fails", failing(error), launch.accept_all)
    assert launch.run_guarded(command, []) == exit_code
    assert capsys.readouterr() == ("", sentence)


@dataclass
class ClosableAssistant:
    """Knows only whether it was closed."""

    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What happens while `launch.py serve` runs, its server and its model being fakes."""
    happened: list[object] = []

    def load(options: object) -> ClosableAssistant:
        happened.append(ClosableAssistant())
        assert isinstance(happened[-1], ClosableAssistant)
        return happened[-1]

    def serve(assistant: object, options: object) -> None:
        happened.append(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "load", load)
    # In the place of the real module, whose Gradio takes seconds to import.
    server = ModuleType("app.server")
    monkeypatch.setattr(server, "serve", serve, raising=False)
    monkeypatch.setitem(sys.modules, "app.server", server)
    monkeypatch.setattr("app.address.announce_when_ready", lambda options, say: None)
    monkeypatch.setattr(launch, "quieten_libraries", lambda model: None)
    return happened


def test_ctrl_c_stops_the_server_and_closes_the_assistant(
    serving: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert launch.run_serve(["--port", str(port), "--no-browser"]) == 0
    assistant, options = serving
    assert assistant == ClosableAssistant(is_closed=True)
    assert options == ServerOptions("127.0.0.1", port, open_browser=False)
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_taken_port_is_noticed_before_the_model_loads(serving: list[object]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BadOptionError, match="Something already serves"),
    ):
        launch.run_serve(["--port", str(taken.getsockname()[1])])
    assert serving == []


def test_an_open_address_is_refused_before_the_model_loads(serving: list[object]) -> None:
    with pytest.raises(BadOptionError):
        launch.run_serve(["--host", "0.0.0.0"])
    assert serving == []


def test_only_a_hub_name_may_go_to_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warnings, "simplefilter", lambda action: None)
    for model, is_offline in ((None, True), (str(tmp_path), True), ("owner/model", False)):
        monkeypatch.setattr(os, "environ", {})
        launch.quieten_libraries(model)
        assert ("HF_HUB_OFFLINE" in os.environ) is is_offline


def test_every_check_runs_and_one_failure_fails_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = (0, 3, 0)
    runs = tuple(
        checks.Check(f"check {code}", ("-c", f"raise SystemExit({code})")) for code in codes
    )
    monkeypatch.setattr(checks, "missing_for_tests", lambda: ())
    monkeypatch.setattr(checks, "checks", lambda arguments: runs)
    assert checks.run_checks(tmp_path, []) == 1
    shown = capfd.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in shown[-3:]] == ["check 0", "check 3", "check 0"]
    assert "FAILED (exit code 3)" in shown[-2]


def test_pytest_gets_what_is_given_and_names_what_it_skips() -> None:
    (pytest_check,) = [check for check in checks.checks(["-k", "chat"]) if check.name == "pytest"]
    assert pytest_check.arguments[-4:] == ("-ra", "--no-fold-skipped", "-k", "chat")


def test_checks_run_offline_in_the_checkout(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = "import os; print(os.environ['HF_HUB_OFFLINE'], os.getcwd())"
    checks.run_check(checks.Check("look", ("-c", code)), tmp_path)
    assert capfd.readouterr().out.splitlines()[-1] == f"1 {tmp_path.resolve()}"


@pytest.mark.parametrize("may_install", [True, False])
def test_missing_packages_are_installed_where_they_may_be(
    may_install: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[str] = []
    monkeypatch.setattr(checks, "may_install", lambda: may_install)
    monkeypatch.setattr(checks, "apt_install", installed.extend)
    still = checks.provide(lambda: tuple({"away"} - set(installed)))
    assert (still, installed) == (((), ["away"]) if may_install else (("away",), []))


def test_what_is_there_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "may_install", lambda: True)
    monkeypatch.setattr(checks, "apt_install", pytest.fail)
    assert checks.provide(lambda: ()) == ()


def test_tests_that_lack_a_package_run_on_and_are_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "provide", lambda missing: ("flite", "chromium"))
    monkeypatch.setattr(checks, "checks", lambda arguments: (checks.Check("it", ("-c", "")),))
    assert checks.run_checks(tmp_path, []) == 0
    assert capfd.readouterr().out.startswith(
        "Missing: flite, chromium; the tests that need them are skipped. "
        "Install them with: sudo apt-get install flite chromium\n"
    )


def test_tests_need_programs_voices_and_typefaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.training.voices.PACKAGES", [("festival", "festival", "not there")])
    monkeypatch.setattr(packages, "FOLDER", tmp_path)
    monkeypatch.setattr(checks, "PROGRAMS", (checks.Program("chromium", lambda: False),))
    assert checks.missing_for_tests() == ("chromium", "festival", *FONT_PACKAGES)
    # The recipe itself never speaks with festival.
    assert checks.missing_for_training() == tuple(FONT_PACKAGES)


@pytest.mark.parametrize(("exit_codes", "num_calls"), [((0, 0), 2), ((0, 1, 0, 1), 4)])
def test_a_package_that_does_not_exist_keeps_no_other_away(
    exit_codes: tuple[int, ...], num_calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, ...]] = []
    codes = iter(exit_codes)

    def apt_get(*arguments: str) -> int:
        calls.append(arguments)
        return next(codes)

    monkeypatch.setattr(checks, "apt_get", apt_get)
    checks.apt_install(("flite", "gone"))
    expected = [
        ("update",),
        ("install", "flite", "gone"),
        ("install", "flite"),
        ("install", "gone"),
    ]
    assert calls == expected[:num_calls]


def test_training_without_its_packages_names_them_and_does_not_begin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "provide", lambda missing: ("espeak-ng", "flite"))
    monkeypatch.setattr("core.training.recipe.main", pytest.fail)
    assert launch.run_train(["text"]) == 2
    assert capsys.readouterr().err == (
        "Some voices or typefaces are missing; install them with: "
        "sudo apt-get install espeak-ng flite\n"
    )


def test_asking_how_to_train_installs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "provide", pytest.fail)
    with pytest.raises(SystemExit) as stopped:
        launch.run_train(["--help"])
    assert stopped.value.code == 0


@pytest.mark.parametrize("word", ["eval", "world"])
def test_a_wrong_option_of_a_measurement_installs_nothing(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "provide", pytest.fail)
    for arguments in (["--help"], ["--skill", "juggling"]):
        with pytest.raises(SystemExit):
            launch.COMMANDS[word].run(arguments)


def test_serving_and_chatting_need_nothing_of_the_recipe() -> None:
    for word in ("serve", "chat", "model"):
        assert launch.COMMANDS[word].layers == ("run-time",)


@pytest.fixture
def ci() -> ModuleType:
    """The script that .ci/run judges a test report with."""
    spec = importlib.util.spec_from_file_location(
        "require_browser_tests", ROOT / ".ci" / "require_browser_tests.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REPORTED = """
import pytest

def test_plain(): pass

@pytest.mark.skip
def test_skipped(): pass

@pytest.mark.browser
def test_page(): pass

@pytest.mark.browser
def test_skipped_page(): pytest.skip("no Chromium")
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest reports, with our conftest, of the four tests above."""
    folder = tmp_path_factory.mktemp("reported")
    (folder / "test_it.py").write_text(REPORTED)
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    command = [sys.executable, "-m", "pytest", "--junitxml=report.xml"]
    alone = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTEST_ADDOPTS": "",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    subprocess.run(command, cwd=folder, env=alone, capture_output=True, check=False)
    return (folder / "report.xml").read_text()


@pytest.mark.parametrize(
    ("names", "problems"),
    [
        (["test_plain", "test_skipped"], []),
        (["test_page"], []),
        (
            ["test_plain", "test_skipped_page"],
            ["A browser test was skipped: test_it.test_skipped_page"],
        ),
        (["test_skipped"], ["No test ran."]),
        ([], ["No test ran."]),
    ],
)
def test_ci_refuses_skipped_browser_tests(
    names: list[str], problems: list[str], report: str, ci: ModuleType, tmp_path: Path
) -> None:
    cases = ElementTree.fromstring(report).iter("testcase")
    kept = ElementTree.Element("testsuites")
    kept.extend(case for case in cases if case.get("name") in names)
    assert len(kept) == len(names)
    ElementTree.ElementTree(kept).write(tmp_path / "report.xml")
    assert ci.problems(tmp_path / "report.xml") == problems


def test_ci_refuses_a_run_without_a_report(ci: ModuleType, tmp_path: Path) -> None:
    (sentence,) = ci.problems(tmp_path / "gone.xml")
    assert "pytest did not run to its end" in sentence
