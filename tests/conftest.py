"""What many tests share: the bundled model, and the skipping of tests that lack a program.

Leaves out: fakes and media; those are made in code beside the tests that use them.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.checks import chromium_path

if TYPE_CHECKING:
    from core.assistant import Assistant
    from core.config import Device

BUNDLED = Path(__file__).resolve().parent.parent / "assets" / "bundled"


def missing(mark: str) -> str | None:
    """What a test with this mark lacks on this machine, and how to get it; None if nothing."""
    if mark == "browser" and importlib.util.find_spec("playwright") is None:
        return "needs Playwright: run the tests with python3 launch.py test"
    if mark == "browser" and chromium_path() is None:
        return "needs Chromium: apt-get install chromium, or name one in TRIAD_CHROMIUM"
    if mark == "espeak" and shutil.which("espeak-ng") is None:
        return "needs espeak-ng: apt-get install espeak-ng"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests of the bundled model and of recorded steps run on a GPU."""
    parser.addoption(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where the models of tests run"
    )


@pytest.fixture(scope="session")
def device(pytestconfig: pytest.Config) -> Device:
    """Where the models of tests run: the CPU, or what --device says."""
    chosen: Device = pytestconfig.getoption("--device")
    return chosen


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note in reports which tests need what, so that a skip can be told from another skip."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()} & {"browser", "espeak"}
        item.user_properties.extend(("needs", name) for name in sorted(marks))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose program is missing, by name and with what to install."""
    for mark in item.iter_markers():
        if reason := missing(mark.name):
            pytest.skip(reason)


@pytest.fixture(scope="session")
def bundled_folder() -> Path:
    """The folder of the model that comes with Triad."""
    if not (BUNDLED / "config.json").is_file():
        pytest.skip(f"{BUNDLED} holds no model: python3 launch.py train makes one")
    return BUNDLED


@pytest.fixture(scope="session")
def bundled_assistant(bundled_folder: Path, device: Device) -> Iterator[Assistant]:
    """The model that comes with Triad, loaded once as a person gets it by default."""
    from core.assistant import open_assistant
    from core.config import ModelOptions

    assistant = open_assistant(None, ModelOptions(device=device))
    yield assistant
    assistant.close()
