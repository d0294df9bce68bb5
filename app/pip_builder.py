"""Make the virtual environment and fill it with pip, so that a person can follow it.

pip's own words go into a log file; what is shown is one line: which step, what it is at, and
how long it has taken. Standard library only.
Leaves out: when to do this (environment.py).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from app.environment import Environment, Layer, SetupError
from app.status_line import StatusLine

NUM_SHOWN_LOG_LINES: Final = 15
TICK_S: Final = 1.0
WRITING: Final = "Installing collected packages:"

NO_VENV: Final = (
    "This Python cannot make virtual environments: install the missing part "
    "(on Debian and Ubuntu: apt-get install python3-venv) and start again."
)
# What pip says, and what to tell people instead of the last lines of the log.
KNOWN_FAILURES: Final = (
    (
        r"No space left on device",
        "The disk is full: make room (several gigabytes) and start again.",
    ),
    (
        r"NewConnectionError|ConnectTimeoutError|ReadTimeoutError|NameResolutionError|ProxyError"
        r"|Failed to establish a new connection|Temporary failure in name resolution"
        r"|Connection refused|Connection broken|Network is unreachable",
        "The packages could not be downloaded: connect this machine to the internet for the "
        "first start, and start again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "The package index could not be trusted: put your network's certificate into pip's "
        "configuration (pip config set global.cert FILE) and start again.",
    ),
    (
        r"No matching distribution found for (?P<package>[^\s;]+)",
        "The package index has no {package} for {python} on this machine ({platform}): start Triad "
        "with another Python, 3.11 or newer and in 64 bits, or on a machine that it is built for.",
    ),
)


@dataclass(frozen=True)
class Step:
    """One thing that takes long: what it is called, and when it began (monotonic seconds)."""

    name: str
    began_s: float

    def line(self, doing: str) -> str:
        """What people see."""
        elapsed_s = round(time.monotonic() - self.began_s)
        return f"{self.name}: {doing} ({elapsed_s} s)" if doing else f"{self.name} ({elapsed_s} s)"


class PipBuilder:
    """Makes environments with `python -m venv` and `pip install`."""

    def __init__(self, status: StatusLine) -> None:
        self._status = status

    def create(self, environment: Environment, lock: IO[str]) -> None:
        """Make an empty environment around the Python that runs this.

        Raises:
            SetupError: this Python lacks venv or ensurepip, or making it failed.
        """
        if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
            raise SetupError(NO_VENV)
        # The environment may be the one we run in: it is made anew around its base.
        base: str = getattr(sys, "_base_executable", "") or sys.executable
        command = [base, "-m", "venv", str(environment.venv)]
        self._run(environment, "Making the virtual environment", command, lock)

    def install(self, environment: Environment, layer: Layer, lock: IO[str]) -> None:
        """Install a layer's packages.

        Raises:
            SetupError: pip failed; says why where the reason is a common one.
        """
        # fmt: off
        command = [
            str(environment.python), "-m", "pip", "install", "--disable-pip-version-check",
            "--no-input", "--progress-bar", "off", "-r", str(layer.requirements),
        ]
        # fmt: on
        self._run(environment, f"Installing the {layer.name} packages", command, lock)

    def python_version(self, environment: Environment) -> str | None:
        """The version of the environment's Python, if it runs and has pip."""
        code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
        try:
            answer = subprocess.run(
                [str(environment.python), "-c", code],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None

    def _run(
        self, environment: Environment, name: str, command: Sequence[str], lock: IO[str]
    ) -> None:
        step = Step(name, time.monotonic())
        with (
            environment.log.open("a", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                pass_fds=inherited(lock),
            ) as process,
        ):
            try:
                lines = self._follow(process, step, environment, log)
            except BaseException:
                process.kill()
                self._status.clear()
                raise
        if process.returncode != 0:
            self._status.clear()
            raise SetupError(failure(name, lines, environment))
        self._status.keep(step.line("done"))

    def _follow(
        self, process: subprocess.Popen[str], step: Step, environment: Environment, log: IO[str]
    ) -> list[str]:
        """Show what the process is at until it ends; returns its output's lines."""
        assert process.stdout is not None, "the process was started with a pipe"
        lines: list[str] = []
        doing = ""
        self._status.show(step.line(doing))
        for line in ticking_lines(process.stdout):
            if line is not None:
                lines.append(line)
                log.write(line)
                doing = describe(line) or doing
            if line is not None and line.startswith(WRITING):
                # From here on a killed pip leaves packages half written.
                environment.marker.touch()
            self._status.show(step.line(doing))
        return lines


def inherited(lock: IO[str]) -> tuple[int, ...]:
    """The file descriptors a child keeps, so that the lock lives as long as the child."""
    return () if sys.platform == "win32" else (lock.fileno(),)


def ticking_lines(stream: Iterable[str]) -> Iterator[str | None]:
    """The stream line by line, and None whenever a second passed without one."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=TICK_S)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line


def describe(line: str) -> str | None:
    """What a line of pip's output says to people; None where it says nothing of interest."""
    line = line.strip()
    if found := re.match(r"Collecting ([\w.\[\]-]+?)(?:[<>=!~;( ].*)?$", line):
        return f"looking up {found[1]}"
    if found := re.match(r"(Downloading|Using cached) (?:\S*/)?(\S+?)-\d\S*(?: \((.+)\))?$", line):
        size = f" ({found[3]})" if found[3] else ""
        verb = "downloading" if found[1] == "Downloading" else "unpacking"
        return f"{verb} {found[2]}{size}"
    if line.startswith(WRITING):
        return f"writing {len(line.removeprefix(WRITING).split(','))} packages"
    return None


def failure(step: str, lines: Sequence[str], environment: Environment) -> str:
    """One sentence for a known reason, else pip's last lines and where the rest is."""
    output = "".join(lines)
    for pattern, sentence in KNOWN_FAILURES:
        if found := re.search(pattern, output):
            python = f"Python {platform.python_version()}"
            return sentence.format(
                python=python, platform=platform.platform(terse=True), **found.groupdict()
            )
    tail = "".join(lines[-NUM_SHOWN_LOG_LINES:])
    return f"{tail}{step} failed: the lines above and {environment.log} say why."
