"""What can be typed after launch.py: the options of each command, and their help.

Standard library only: options are checked before any package is installed.
Leaves out: what the commands do (launch.py), and limits that depend on the model (core/).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from app.exit_codes import EXIT_BAD_INPUT

EXAMPLES: Final = """\
examples:
  python3 launch.py                                  the chat app on http://127.0.0.1:7860
  python3 launch.py --model ~/phi-4-multimodal       the same with a model of yours
  python3 launch.py chat "What do you know?"         one reply in the terminal
  python3 launch.py chat --image scene.png "What is red?"
  python3 launch.py chat --audio question.wav        a spoken question
  python3 launch.py test                             every check and test
"""


class Parser(argparse.ArgumentParser):
    """argparse, with a wrong option answered by one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and exit."""
        self.exit(EXIT_BAD_INPUT, f"{message}: {self.prog} --help shows what can be given.\n")


def port_number(text: str) -> int:
    """A TCP port from the command line."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a port lies between 1 and 65535, not {text!r}")
    return int(text)


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that loads a model."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        metavar="M",
        help="a folder with a Phi-4-multimodal checkpoint, or a hub name such as "
        "microsoft/Phi-4-multimodal-instruct, which is downloaded "
        "(default: the small model that comes with Triad)",
    )
    group.add_argument(
        "--dtype",
        choices=("auto", "bfloat16", "float32"),
        default="auto",
        help="what it computes in (default: auto, as the device does best)",
    )
    group.add_argument(
        "--quantization",
        choices=("auto", "nf4", "int4", "int8", "none"),
        default="auto",
        help="how its decoder's weights are packed: in 4 bits (nf4, or int4 for CPUs), in 8 bits, "
        "or not (default: auto, the 4 bits that are quick here)",
    )
    group.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where it runs (default: auto, a GPU where there is one)",
    )
    group.add_argument(
        "--kv-cache",
        choices=("auto", "int8"),
        default="auto",
        help="what it remembers conversations in: int8 takes half the memory, for long ones "
        "(default: auto, as --dtype)",
    )


def serve_parser(version: str, commands: Mapping[str, str]) -> Parser:
    """Options of `launch.py` and `launch.py serve`; its help lists every command."""
    width = max(map(len, commands)) + 2
    table = "\n".join(f"  {word:<{width}}{about}" for word, about in commands.items())
    parser = Parser(
        prog="launch.py",
        usage="python3 launch.py [COMMAND] [options]",
        description="Triad: one local assistant that reads, sees and hears.",
        epilog=f"commands (launch.py COMMAND --help tells more):\n{table}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"Triad {version}")
    group = parser.add_argument_group("serve")
    group.add_argument(
        "--host",
        metavar="H",
        default="127.0.0.1",
        help="loopback address to serve on (default: 127.0.0.1)",
    )
    group.add_argument(
        "--port", metavar="P", type=port_number, default=7860, help="its port (default: 7860)"
    )
    group.add_argument(
        "--no-browser", action="store_true", help="do not open the page in your browser"
    )
    add_model_options(parser)
    return parser


def chat_parser() -> Parser:
    """Options of `launch.py chat`."""
    parser = Parser(
        prog="launch.py chat",
        description="One message, one reply. The reply streams to stdout; which adapter answered "
        "and how fast goes to stderr. Exit code: 0 answered, 1 our failure, 2 bad input, "
        "130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("text", nargs="*", help="what you say; - reads standard input")
    parser.add_argument(
        "--image",
        metavar="F",
        type=Path,
        action="append",
        default=[],
        help="attach a picture (PNG, JPEG, WEBP, GIF); may be repeated",
    )
    parser.add_argument(
        "--audio",
        metavar="F",
        type=Path,
        action="append",
        default=[],
        help="attach a sound (WAV, FLAC, OGG, MP3); may be repeated; without text, "
        "it is taken as a spoken question",
    )
    parser.add_argument(
        "--record",
        metavar="SECONDS",
        type=float,
        help="record a spoken question from this computer's microphone",
    )
    parser.add_argument("--system", metavar="TEXT", help="system message (default: none)")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object a line, one for each event"
    )
    add_sampling_options(parser)
    add_model_options(parser)
    return parser


def parse_model_options(arguments: list[str]) -> argparse.Namespace:
    """The options of `launch.py model`, a model's name in `model` however it was given."""
    parser = _model_parser()
    options = parser.parse_args(arguments)
    if folder := getattr(options, "folder", None):
        if options.model not in (None, folder):
            parser.error(f"{folder} and --model {options.model}: give one of them")
        options.model = folder
    return options


def _model_parser() -> Parser:
    parser = Parser(
        prog="launch.py model",
        description="Models on this computer: which there are, and what they take.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="what", metavar="COMMAND", required=True)
    commands.add_parser("list", help="every model that is here, with its size")
    info = commands.add_parser("info", help="what a model is, and how it would be loaded here")
    prepare = commands.add_parser("prepare", help="pack a model now instead of at its first start")
    for command in (info, prepare):
        command.add_argument(
            "folder", nargs="?", metavar="MODEL", help="the same as --model, without the word"
        )
        add_model_options(command)
    pull = commands.add_parser("pull", help="fetch a model from the hub; goes on where it stopped")
    pull.add_argument(
        "model", metavar="NAME", help="such as microsoft/Phi-4-multimodal-instruct (about 13 GB)"
    )
    remove = commands.add_parser("remove", help="remove a fetched model and what is packed of it")
    remove.add_argument(
        "model",
        metavar="NAME",
        help="its hub name; or your model's folder, or 'packed', to remove what is packed",
    )
    remove.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """How the reply is sampled; the limits are SamplingOptions' own."""
    group = parser.add_argument_group("sampling")
    group.add_argument(
        "--max-tokens",
        metavar="N",
        type=int,
        default=512,
        help="end the reply after so many tokens (default: 512)",
    )
    group.add_argument(
        "--temperature",
        metavar="T",
        type=float,
        default=0.0,
        help="0 takes the likeliest token, more is more varied, up to 2 (default: 0)",
    )
    group.add_argument(
        "--seed", metavar="S", type=int, help="repeat a varied reply (default: a fresh one)"
    )


def answer_test_help(arguments: list[str]) -> None:
    """Answer `launch.py test --help`; everything else is pytest's."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(
            "usage: launch.py test [pytest arguments]\n\n"
            "Runs ruff check, ruff format --check, mypy and pytest, and sums them up. What is\n"
            "given goes to pytest: launch.py test -k terminal -x"
        )
        sys.exit(0)
