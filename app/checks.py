"""What `launch.py test` runs: ruff, mypy and pytest, one after another, and their sum; and `bench`.

Installs the programs, voices and typefaces that the tests need where it may; else it says how, and
the tests that need them are skipped by name. `train`, `eval` and `world` have theirs installed here
too. Leaves out: Python packages (environment.py).
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
from core.training.fonts import HELD_OUT_FACES, TRAINED_FACES
from core.training.packages import Missing, missing_packages
from core.training.voices import GROUPS

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
    if missing := provide(missing_for_tests):
        print(
            f"Missing: {', '.join(missing)}; the tests that need them are skipped. "
            f"Install them with: sudo apt-get install {' '.join(missing)}",
            flush=True,
        )
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


def missing_for_tests() -> tuple[str, ...]:
    """The Debian packages that the tests need and that are not installed."""
    programs = tuple(program.package for program in PROGRAMS if not program.is_there())
    return (*programs, *missing_packages(GROUPS, TRAINED_FACES + HELD_OUT_FACES))


def missing_for_training() -> tuple[str, ...]:
    """The same for the recipe, which leaves one synthesizer to the evaluation."""
    return missing_packages(("trained", "unseen voice"), TRAINED_FACES + HELD_OUT_FACES)


def provide(missing: Missing) -> tuple[str, ...]:
    """Install the packages that are missing, where we may.

    Args:
        missing: looks which ones are.
    Returns:
        Those that are still missing.
    """
    packages = missing()
    if packages and may_install():
        print(f"Installing {', '.join(packages)} with apt-get ...", file=sys.stderr, flush=True)
        apt_install(packages)
        packages = missing()
    return packages


def may_install() -> bool:
    """Whether this is a Debian-like system and we are its root."""
    is_debian = Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None
    return is_debian and sys.platform == "linux" and os.geteuid() == 0


def apt_install(packages: Sequence[str]) -> None:
    """Refresh the package lists and install; shows apt-get's words only when it fails."""
    apt_get("update")
    if apt_get("install", *packages) and len(packages) > 1:
        # One that does not exist here must not keep the others away.
        for package in packages:
            apt_get("install", package)


def apt_get(command: str, *packages: str) -> int:
    """Run apt-get without questions; returns its exit code."""
    arguments = ["apt-get", command, "--yes"]
    if packages:
        arguments += ["--no-install-recommends", *packages]
    done = subprocess.run(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    if done.returncode != 0:
        print(f"{' '.join(arguments)} failed:\n{done.stdout}", file=sys.stderr, flush=True)
    return done.returncode


def run_benchmark(root: Path, arguments: Sequence[str]) -> int:
    """Measure how fast models load and answer here; returns the exit code.

    Args:
        root: the project's folder.
        arguments: the benchmark's own.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.bench", *arguments]
    return subprocess.call(command, cwd=root)
