"""Whatever a command imports, the requirements that it installs name or bring along."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import launch
from app.environment import Environment, Layer

ROOT: Final = Path(launch.__file__).resolve().parent
OURS: Final = {"app", "core", "audio", "vision", "tests", "launch"}
# What a command starts in a process of its own.
STARTED: Final = {"bench": ("tests.benchmarks.bench",)}


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what is imported, inside functions too; some may be no modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def file_of(module: str) -> Path | None:
    """A module of ours, as a file; None for a name inside one."""
    path = ROOT / module.replace(".", "/")
    return next(
        (file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None
    )


def packages_reached(names: Iterator[str] | tuple[str, ...]) -> set[str]:
    """Packages of others that these modules import, or modules of ours that they import."""
    waiting, seen, others = list(names), set[Path](), set[str]()
    while waiting:
        name = waiting.pop()
        if name.split(".")[0] not in OURS:
            others.add(name.split(".")[0])
            continue
        file = file_of(name)
        if file is not None and file not in seen:
            seen.add(file)
            waiting.extend(imported(ast.parse(file.read_text(encoding="utf-8"))))
    return others - set(sys.stdlib_module_names)


def installed_by(word: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """All that a command's requirements install, with what comes along."""
    layers: list[Layer] = []
    monkeypatch.setattr("app.environment.set_up", lambda _, wanted, *rest: layers.extend(wanted))
    monkeypatch.setattr("app.environment.continue_inside", lambda *_: None)
    launch.prepare(launch.COMMANDS[word].layers, Environment(ROOT), [])
    lines = [line for layer in layers for line in layer.requirements.read_text().splitlines()]
    waiting = [Requirement(text) for line in lines if (text := line.partition("#")[0].strip())]
    found: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        found.add(name)
        for each in map(Requirement, requires(name) or ()):
            extras = wanted.extras or {""}
            if not each.marker or any(each.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(each)
    return found


@pytest.mark.parametrize("word", sorted(set(launch.COMMANDS) - {"test"}))
def test_a_command_installs_what_it_imports(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = textwrap.dedent(inspect.getsource(launch.COMMANDS[word].run))
    names = (*imported(ast.parse(source)), *STARTED.get(word, ()))
    installed = installed_by(word, monkeypatch)
    providers = packages_distributions()
    missing = {
        package
        for package in packages_reached(names)
        if installed.isdisjoint(map(canonicalize_name, providers.get(package, ())))
    }
    assert missing == set()
