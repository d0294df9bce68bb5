"""What `launch.py test` runs: ruff, mypy and pytest, one after another, and their sum.

Installs the programs that the tests drive where it may; else it says how, and the tests that
need them are skipped by name. Leaves out: Python packages (environment.py).
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.exit_codes import EXIT_INTERRUPTED

# Systems call it differently; people may also name one in TRIAD_CHROMIUM.
CHROMIUM_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


def chromium_path() -> str | None:
    """The browser that the tests drive; None where there is none."""
    names = (os.environ.get("TRIAD_CHROMIUM"), *CHROMIUM_NAMES)
    return next((path for name in names if name and (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Program:
    """Something from the system that tests need.

    Args:
        package: its name in Debian.
        is_there: whether it is installed.
    """

    package: str
    is_there: Callable[[], bool]


PROGRAMS: Final = (
    Program("chromium", lambda: chromium_path() is not None),
    Program("espeak-ng", lambda: bool(shutil.which("espeak-ng"))),
    Program("libportaudio2", lambda: bool(ctypes.util.find_library("portaudio"))),
)


@dataclass(frozen=True)
class Check:
    """One tool's run: what it is called, and the arguments of the Python that runs it."""

    name: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """How a check ended: its exit code and its duration in seconds."""

    name: str
    exit_code: int
    took_s: float

    def __str__(self) -> str:
        verdict = "passed" if self.exit_code == 0 else f"FAILED (exit code {self.exit_code})"
        return f"{self.name:<20} {verdict}  {self.took_s:.1f} s"


def checks(pytest_arguments: Sequence[str]) -> tuple[Check, ...]:
    """Everything to run, quickest first."""
    # Skipped tests are listed one by one, with their names.
    pytest = ("-m", "pytest", "-ra", "--no-fold-skipped", *pytest_arguments)
    return (
        Check("ruff check", ("-m", "ruff", "check", ".")),
        Check("ruff format --check", ("-m", "ruff", "format", "--check", ".")),
        Check("mypy", ("-m", "mypy")),
        Check("pytest", pytest),
    )


def run_checks(root: Path, pytest_arguments: Sequence[str]) -> int:
    """Run everything in the checkout, also after a failure; returns the exit code."""
    print(provide_programs(PROGRAMS), end="", flush=True)
    outcomes: list[Outcome] = []
    for check in checks(pytest_arguments):
        outcome = run_check(check, root)
        outcomes.append(outcome)
        if outcome.exit_code == EXIT_INTERRUPTED:
            break
    print("\n" + "\n".join(map(str, outcomes)), flush=True)
    if outcomes[-1].exit_code == EXIT_INTERRUPTED:
        return EXIT_INTERRUPTED
    return int(any(outcome.exit_code != 0 for outcome in outcomes))


def run_check(check: Check, root: Path) -> Outcome:
    """Run one check with its output passed through; Ctrl-C ends it with its own exit code."""
    print(f"\n== {check.name}", flush=True)
    began_s = time.monotonic()
    # Tests stay off the network, and report nothing to anybody.
    offline = {"HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [sys.executable, *check.arguments]
    try:
        done = subprocess.run(command, cwd=root, env={**os.environ, **offline}, check=False)
        exit_code = done.returncode
    except KeyboardInterrupt:
        exit_code = EXIT_INTERRUPTED
    return Outcome(check.name, exit_code, time.monotonic() - began_s)


def provide_programs(programs: Sequence[Program]) -> str:
    """Install the programs that are missing, where we may.

    Returns:
        What to tell the person about those that are still missing; "" when none is.
    """
    missing = missing_packages(programs)
    if missing and may_install():
        print(f"Installing {', '.join(missing)} with apt-get ...", flush=True)
        apt_install(missing)
        missing = missing_packages(programs)
    if not missing:
        return ""
    return (
        f"Missing: {', '.join(missing)}; the tests that need them are skipped. "
        f"Install them with: sudo apt-get install {' '.join(missing)}\n"
    )


def missing_packages(programs: Sequence[Program]) -> tuple[str, ...]:
    """The Debian packages of the programs that are not there."""
    return tuple(program.package for program in programs if not program.is_there())


def may_install() -> bool:
    """Whether this is a Debian-like system and we are its root."""
    is_debian = Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None
    return is_debian and sys.platform == "linux" and os.geteuid() == 0


def apt_install(packages: Sequence[str]) -> None:
    """Refresh the package lists and install; shows apt-get's words only when it fails."""
    # One call a package: one that does not exist here must not keep the others away.
    install = ("apt-get", "install", "--yes", "--no-install-recommends")
    for command in (("apt-get", "update"), *((*install, package) for package in packages)):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=False,
        )
        if done.returncode != 0:
            print(f"{' '.join(command)} failed:\n{done.stdout}", flush=True)
