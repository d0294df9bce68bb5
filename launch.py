"""Triad: one local assistant that reads, sees and hears.

The first start makes .venv beside this file and installs what requirements.txt lists; later
starts find it there. At module level this file imports nothing that has to be installed, in syntax
that Python 3.7 can read, so that it can say which Python it needs.
Leaves out: options (app/command_line.py), set-up (app/environment.py), the commands' work.
"""

from __future__ import annotations

import argparse
import difflib
import gc
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.exit_codes import EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_OUR_FAILURE

if TYPE_CHECKING:
    from app.environment import Environment
    from app.options import ServerOptions
    from core.assistant import Assistant

ROOT = Path(__file__).resolve().parent
VERSION = "0.1.0"
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Command:
    """One word after launch.py.

    Args:
        about: the command's line in the help.
        run: takes the arguments after the word, inside .venv; returns the exit code.
        check: takes them before anything is set up, so that a wrong option or --help costs
            nothing; exits where it finds one.
        layers: the layers of packages it needs.
    """

    about: str
    run: Callable[[list[str]], int]
    check: Callable[[list[str]], object]
    layers: tuple[str, ...] = ("run-time",)


class UnknownCommandError(Exception):
    """There is no such command; `str(error)` is one sentence."""


def python_problem(version: tuple[int, ...]) -> str | None:
    """What to tell a person whose Python is too old; None where it is not."""
    if version[:2] >= OLDEST_PYTHON:
        return None
    needed, found = (".".join(map(str, parts)) for parts in (OLDEST_PYTHON, version[:3]))
    return (
        f"Triad needs Python {needed} or newer and this is {found}: "
        f"start it with a newer one, for example python{needed} launch.py."
    )


def parse_serve(arguments: list[str]) -> argparse.Namespace:
    """The options of `launch.py` and `launch.py serve`."""
    from app.command_line import serve_parser

    commands = {word: command.about for word, command in COMMANDS.items()}
    return serve_parser(VERSION, commands).parse_args(arguments)


def parse_chat(arguments: list[str]) -> argparse.Namespace:
    """The chat command's options; the text may stand anywhere between them."""
    from app.command_line import chat_parser

    return chat_parser().parse_intermixed_args(arguments)


def check_test(arguments: list[str]) -> None:
    """Answer `launch.py test --help`; everything else is pytest's."""
    from app.command_line import answer_test_help

    answer_test_help(arguments)


def accept_all(arguments: list[str]) -> None:
    """The check of commands that read their own options."""


def run_serve(arguments: list[str]) -> int:
    """Serve the chat app until Ctrl-C."""
    options = parse_serve(arguments)
    quieten_libraries(options.model)
    from app.address import has_screen, require_free_port
    from app.options import ServerOptions
    from app.security import require_loopback
    from app.uploads import private_uploads

    open_browser = has_screen() and not options.no_browser
    server = ServerOptions(options.host, options.port, open_browser=open_browser)
    # Both before the model loads, which takes long.
    require_loopback(server.host)
    require_free_port(server)
    # Told to end by the system, we clean up behind us as after Ctrl-C.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with private_uploads():
            serve_until_stopped(options, server)
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def serve_until_stopped(options: argparse.Namespace, server: ServerOptions) -> None:
    """Load the model and serve it until Ctrl-C; the folder for uploads is set by now."""
    from app.address import announce_when_ready

    with without_garbage_collection():
        from app.server import serve

    assistant = load(options)
    try:
        announce_when_ready(server, print_now)
        serve(assistant, server)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
    finally:
        assistant.close()


def print_now(text: str) -> None:
    """Print on stdout even where that is a file or a pipe that somebody watches."""
    print(text, flush=True)


def run_chat(arguments: list[str]) -> int:
    """Answer one message in the terminal."""
    options = parse_chat(arguments)
    quieten_libraries(options.model)
    from app.terminal import chat, chat_request, refuse
    from core.errors import BadOptionError

    try:
        request = chat_request(options)
    except BadOptionError as error:
        return refuse(error, options.json)
    return chat(request, lambda: load(options))


def load(options: argparse.Namespace) -> Assistant:
    """Load the model, with a line on the terminal while it takes."""
    from app.status_line import StatusLine

    status = StatusLine(sys.stderr)

    def progress(num_done: int, num_all: int) -> None:
        if sys.stderr.isatty():
            status.show(f"Loading the model: {100 * num_done // max(num_all, 1)} %")

    progress(0, 1)
    try:
        with without_garbage_collection():
            from core.assistant import open_assistant
            from core.config import ModelOptions

            return open_assistant(
                options.model,
                ModelOptions(options.dtype, options.quantization, options.device, options.kv_cache),
                progress,
            )
    finally:
        status.clear()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """For imports and loading: what they make stays, and searching it again and again is slow."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def parse_model(arguments: list[str]) -> argparse.Namespace:
    """The options of `launch.py model`."""
    from app.command_line import parse_model_options

    return parse_model_options(arguments)


def run_model(arguments: list[str]) -> int:
    """List, describe, fetch, pack or remove models."""
    options = parse_model(arguments)
    quieten_libraries(options.model if options.what in ("pull", "prepare") else None)
    from app.models import run

    return run(options)


def run_test(arguments: list[str]) -> int:
    """Check and test everything."""
    from app.checks import run_checks

    return run_checks(ROOT, arguments)


def run_train(arguments: list[str]) -> int:
    """Train the model that comes with Triad."""
    quieten_libraries(None)
    from core.training.recipe import main as train

    return run_training(arguments, train)


def run_ablation(arguments: list[str]) -> int:
    """Show what each adapter is for."""
    quieten_libraries(None)
    from core.training.ablation import main as ablate

    return run_training(arguments, ablate)


def run_training(arguments: list[str], main: Callable[[list[str]], int]) -> int:
    """What learns needs voices and fonts first, unless it is only asked for its help."""
    from app.checks import missing_for_training, provide
    from core.training.packages import missing_sentence

    missing = () if {"-h", "--help"} & set(arguments) else provide(missing_for_training)
    if missing:
        print(missing_sentence(missing), file=sys.stderr)
        return EXIT_BAD_INPUT
    return main(arguments)


def run_eval(arguments: list[str]) -> int:
    """Measure the model that comes with Triad."""
    quieten_libraries(None)
    from app.checks import provide
    from core.training.evaluate import main as evaluate

    return evaluate(arguments, provide)


def run_world(arguments: list[str]) -> int:
    """Write held-out questions of the small world to files."""
    quieten_libraries(None)
    from app.checks import provide
    from core.training.write_world import main as write

    return write(arguments, provide)


def run_bench(arguments: list[str]) -> int:
    """Measure how fast models load and answer, in a process that nothing else has touched."""
    quieten_libraries(None)
    from app.checks import run_benchmark

    return run_benchmark(ROOT, arguments)


RECIPE = ("run-time", "training")  # what commands install
TESTS = (*RECIPE, "test")
COMMANDS = {
    "serve": Command(
        "the chat app in your browser; what happens without a command",
        run_serve,
        parse_serve,
    ),
    "chat": Command("one message and its reply in the terminal", run_chat, parse_chat),
    "model": Command(
        "models on this computer: list, info, pull, prepare, remove", run_model, parse_model
    ),
    "test": Command("every check and test", run_test, check_test, TESTS),
    "train": Command("train the model that comes with Triad", run_train, accept_all, RECIPE),
    "eval": Command("measure the model that comes with Triad", run_eval, accept_all, RECIPE),
    "bench": Command("how fast models load and answer here", run_bench, accept_all, TESTS),
    "ablation": Command(
        "show what each adapter is for, and what fine-tuning would have cost",
        run_ablation,
        accept_all,
        RECIPE,
    ),
    "world": Command(
        "write held-out questions with pictures, clips and answers, to test any model with",
        run_world,
        accept_all,
        RECIPE,
    ),
}


def split_command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command's word and what follows it; options alone mean `serve`.

    Raises:
        UnknownCommandError: says which commands there are.
    """
    if not arguments or arguments[0].startswith("-"):
        return "serve", list(arguments)
    word = arguments[0]
    if word in COMMANDS:
        return word, list(arguments[1:])
    close = difflib.get_close_matches(word, COMMANDS, n=1)
    known = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}."
    raise UnknownCommandError(f"There is no command {word!r}: {known}")


def quieten_libraries(model: str | None) -> None:
    """Keep libraries' remarks off the terminal, and off the network unless a model needs it."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if model is None or Path(model).is_dir():
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    warnings.simplefilter("ignore")
    for name in ("transformers", "bitsandbytes", "huggingface_hub", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)


def prepare(layers: Sequence[str], environment: Environment, arguments: Sequence[str]) -> None:
    """Install what is missing, and go on inside .venv; returns only when already there."""
    from app.environment import Layer, continue_inside, set_up
    from app.pip_builder import PipBuilder
    from app.status_line import StatusLine

    files = {
        "run-time": "requirements.txt",
        "training": "core/training/requirements.txt",
        "test": "tests/requirements.txt",
    }
    status = StatusLine(sys.stderr)
    wanted = [Layer(name, ROOT / files[name]) for name in layers]
    set_up(environment, wanted, PipBuilder(status), status.keep)
    if not environment.is_running:
        continue_inside(environment, ROOT / "launch.py", arguments)


def run_guarded(command: Command, arguments: list[str]) -> int:
    """Run a command; whatever goes wrong becomes one sentence and an exit code."""
    from core.errors import BadInputError, TriadError

    try:
        return command.run(arguments)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except TriadError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT if isinstance(error, BadInputError) else EXIT_OUR_FAILURE
    except Exception as error:
        if os.environ.get("TRIAD_DEBUG"):
            traceback.print_exc()
        name = type(error).__name__
        print(
            f"Triad failed ({name}: {error}): set TRIAD_DEBUG=1 to see where, and report it.",
            file=sys.stderr,
        )
        return EXIT_OUR_FAILURE


def main(arguments: Sequence[str]) -> int:
    """Set up what the command needs and run it; returns the exit code."""
    problem = python_problem(sys.version_info[:3])
    if problem:
        print(problem, file=sys.stderr)
        return EXIT_BAD_INPUT
    from app.environment import Environment, SetupError

    try:
        word, rest = split_command(arguments)
        command = COMMANDS[word]
        command.check(rest)
        prepare(command.layers, Environment(ROOT / ".venv"), arguments)
    except UnknownCommandError as error:
        print(error, file=sys.stderr)
        return EXIT_BAD_INPUT
    except SetupError as error:
        print(error, file=sys.stderr)
        return EXIT_OUR_FAILURE
    except KeyboardInterrupt:
        print("Interrupted: the next start takes the set-up up again.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return run_guarded(command, rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
