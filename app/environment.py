"""Set Triad up in its own virtual environment, once, and notice when that has to be done again.

The environment is `.venv` in the checkout. What is installed is recorded in stamps, one for each
layer (a requirements file). A marker stands while packages are being written: a start that finds
it builds the environment anew, because nobody knows what an interrupted pip left behind. A lock
keeps two first starts apart; pip holds it too, so that it outlives a starter that was killed.

Standard library only, also in what it imports. How packages get installed is in `pip_builder.py`.
Leaves out: the lock on Windows, where two first starts at once are on their own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import IO, Final, Protocol

Say = Callable[[str], None]

ONCE: Final = "this happens once and takes a minute or more."
INTERRUPTED: Final = "The last set-up was interrupted; starting it over."


class SetupError(Exception):
    """Setting up is not possible; `str(error)` is one sentence that says what to do."""


@dataclass(frozen=True)
class Layer:
    """Packages that are installed together.

    Args:
        name: names the stamp and is shown to people: "run-time", "test".
        requirements: pip's requirements file.
    """

    name: str
    requirements: Path


class State(Enum):
    """What a start finds."""

    READY = "everything is installed"
    INCOMPLETE = "packages are missing or have changed"
    BROKEN = "there is no usable environment"


class Builder(Protocol):
    """What makes environments; tests have one that installs nothing."""

    def create(self, environment: Environment, lock: IO[str]) -> None:
        """Make an empty environment; the child process inherits the lock."""

    def install(self, environment: Environment, layer: Layer, lock: IO[str]) -> None:
        """Install a layer, with the marker standing while packages are being written."""

    def python_version(self, environment: Environment) -> str | None:
        """The version of the environment's Python, "3.11", or None where it does not run."""


@dataclass(frozen=True)
class Environment:
    """Where things lie.

    Args:
        venv: the virtual environment's folder.
    """

    venv: Path

    @property
    def python(self) -> Path:
        """The environment's Python."""
        parts = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
        return self.venv.joinpath(*parts)

    @property
    def records(self) -> Path:
        """Our own files inside the environment; they survive when it is emptied."""
        return self.venv / "triad"

    @property
    def log(self) -> Path:
        """What pip said."""
        return self.records / "setup.log"

    @property
    def lock(self) -> Path:
        """Held by whoever is setting up."""
        return self.records / "setup.lock"

    @property
    def marker(self) -> Path:
        """Stands while packages are being written."""
        return self.records / "unfinished"

    def stamp(self, layer: Layer) -> Path:
        """Where a layer's stamp lies."""
        return self.records / f"{layer.name}.stamp"

    @property
    def is_running(self) -> bool:
        """Whether this very process runs inside the environment."""
        return Path(sys.prefix).resolve() == self.venv.resolve()


def running_python() -> str:
    """The version of the Python that runs this, as stamps have it: "3.11"."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def stamp_text(layer: Layer, python: str) -> str:
    """What a layer's stamp must say for the layer to count as installed.

    Raises:
        SetupError: the requirements file is missing.
    """
    try:
        digest = hashlib.sha256(layer.requirements.read_bytes()).hexdigest()
    except OSError as error:
        raise SetupError(
            f"{layer.requirements} cannot be read: restore it from the repository and start again."
        ) from error
    return f"{digest} python {python}\n"


def read_text(path: Path) -> str | None:
    """A small file's text, or None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return None


def missing_layers(
    environment: Environment, layers: Sequence[Layer], python: str
) -> tuple[Layer, ...]:
    """The layers that are not installed, or not as their requirements file has them now."""
    return tuple(
        layer
        for layer in layers
        if read_text(environment.stamp(layer)) != stamp_text(layer, python)
    )


def state(environment: Environment, layers: Sequence[Layer], builder: Builder) -> State:
    """What has to be done; a few file reads where nothing has."""
    if environment.marker.exists() or not environment.python.exists():
        return State.BROKEN
    if not missing_layers(environment, layers, running_python()):
        return State.READY
    # Either a requirements file changed, or another Python than the environment's started us.
    python = builder.python_version(environment)
    if python is None:
        return State.BROKEN
    if missing_layers(environment, layers, python):
        return State.INCOMPLETE
    return State.READY


def set_up(environment: Environment, layers: Sequence[Layer], builder: Builder, say: Say) -> None:
    """Bring the environment to READY; returns at once where it is.

    Raises:
        SetupError: with what to do about it.
    """
    if state(environment, layers, builder) is State.READY:
        return
    try:
        environment.records.mkdir(parents=True, exist_ok=True)
        with held(environment.lock, say) as lock:
            set_up_locked(environment, layers, builder, say, lock)
    except OSError as error:
        raise SetupError(
            f"{environment.venv} cannot be written ({error.strerror}): "
            "make room or give yourself the right to write there, and start again."
        ) from error


def set_up_locked(
    environment: Environment,
    layers: Sequence[Layer],
    builder: Builder,
    say: Say,
    lock: IO[str],
) -> None:
    """What `set_up` does once nobody else is setting up."""
    # Asked again: whoever held the lock before us may have done the work.
    if state(environment, layers, builder) is State.BROKEN:
        interrupted = environment.marker.exists()
        say(INTERRUPTED if interrupted else f"Setting Triad up in {environment.venv}; {ONCE}")
        environment.marker.touch()
        empty(environment)
        builder.create(environment, lock)
        environment.marker.unlink()
    python = builder.python_version(environment)
    if python is None:
        raise SetupError(
            f"The Python in {environment.venv} does not start: delete that folder and start again."
        )
    for layer in missing_layers(environment, layers, python):
        builder.install(environment, layer, lock)
        environment.stamp(layer).write_text(stamp_text(layer, python), encoding="utf-8")
        environment.marker.unlink(missing_ok=True)


def empty(environment: Environment) -> None:
    """Remove everything from the environment's folder but the lock, the marker and the log."""
    for path in environment.venv.iterdir():
        if path == environment.records:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for stamp in environment.records.glob("*.stamp"):
        stamp.unlink()


@contextmanager
def held(lock: Path, say: Say) -> Iterator[IO[str]]:
    """Hold the lock file; waits, and says so, while another start holds it."""
    with lock.open("w", encoding="utf-8") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Another start is setting Triad up; waiting for it (Ctrl-C gives up).")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def continue_inside(environment: Environment, script: Path, arguments: Sequence[str]) -> None:
    """Run the script again with the environment's Python, in place of this process."""
    command = [str(environment.python), str(script), *arguments]
    if sys.platform == "win32":
        # There, exec returns to the shell at once and leaves two processes on one console.
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)
