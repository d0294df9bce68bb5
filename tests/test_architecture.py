"""The house's rules, read from the source with ast: who may import whom, and how big things get."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
# From the top of the house down; each may import itself and what stands here.
MAY_IMPORT: Final = {
    "launch": {"app", "core"},
    "app": {"app", "core", "audio", "vision"},
    "core": {"core", "audio", "vision"},
    "audio": {"audio"},
    "vision": {"vision"},
}
WEB: Final = {"gradio", "fastapi", "starlette", "uvicorn"}
UNSAFE: Final = {
    *("pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"),
    *("eval", "exec", "torch.load"),
}
# Modules that a system Python imports before any package is installed.
BEFORE_SETUP: Final = (
    "launch.py",
    "app/environment.py",
    "app/exit_codes.py",
    "app/pip_builder.py",
    "app/status_line.py",
)
MAX_FILE_LINES: Final = 400
MAX_FUNCTION_LINES: Final = 60

PRODUCT: Final = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "launch.py",
        *(file for name in MAY_IMPORT for file in (ROOT / name).rglob("*.py")),
    )
)


def parsed(file: str) -> ast.Module:
    """A product file's syntax tree."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def layer(file: str) -> str:
    """The part of the house a file belongs to: "app" for app/server.py."""
    return file.split("/")[0].removesuffix(".py")


def modules(node: ast.AST) -> Iterator[str]:
    """The dotted names that an import statement imports from."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield "." * node.level + (node.module or "")


def imported_packages(file: str) -> set[str]:
    """The first words of everything a file imports, inside functions too."""
    return {
        name.split(".")[0] if not name.startswith(".") else name
        for node in ast.walk(parsed(file))
        for name in modules(node)
    }


def called_names(file: str) -> set[str]:
    """What a file calls, as it is written: "torch.load"."""
    return {ast.unparse(node.func) for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)}


def imported_at_module_level(tree: ast.Module) -> set[str]:
    """What importing a file imports; blocks for type checkers alone are left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting.extend(node.orelse)
            continue
        found.update(modules(node))
        waiting.extend(ast.iter_child_nodes(node))
    return found


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many lines a function has without its docstring."""
    last_line = function.end_lineno
    assert last_line is not None, "ast.parse notes where nodes end"
    docstring = function.body[0] if ast.get_docstring(function) is not None else None
    num_doc_lines = 0
    if docstring is not None and docstring.end_lineno is not None:
        num_doc_lines = docstring.end_lineno - docstring.lineno + 1
    return last_line - function.lineno + 1 - num_doc_lines


def test_the_product_has_files_in_every_part_of_the_house() -> None:
    assert {layer(file) for file in PRODUCT} == set(MAY_IMPORT)


def test_imports_point_down() -> None:
    wrong = {
        file: upward
        for file in PRODUCT
        if (upward := imported_packages(file) & set(MAY_IMPORT) - MAY_IMPORT[layer(file)])
    }
    assert wrong == {}


def test_imports_are_absolute_and_tests_stay_out_of_the_product() -> None:
    wrong = {
        (file, name)
        for file in PRODUCT
        for name in imported_packages(file)
        if name.startswith(".") or name == "tests"
    }
    assert wrong == set()


def test_the_web_lives_in_app_only() -> None:
    users = {layer(file) for file in PRODUCT if imported_packages(file) & WEB}
    assert users == {"app"}


def test_torch_stays_out_of_app_and_audio() -> None:
    users = {layer(file) for file in PRODUCT if "torch" in imported_packages(file)}
    assert users <= {"core", "vision"}


@pytest.mark.parametrize("file", BEFORE_SETUP)
def test_what_sets_up_needs_nothing_that_is_set_up(file: str) -> None:
    before_setup = {name.removesuffix(".py").replace("/", ".") for name in BEFORE_SETUP}
    foreign = {
        name
        for name in imported_at_module_level(parsed(file))
        if name.split(".")[0] not in sys.stdlib_module_names and name not in before_setup
    }
    assert foreign == set()


def test_importing_app_imports_nothing() -> None:
    assert imported_packages("app/__init__.py") == set()


def test_nothing_is_unpickled_or_evaluated() -> None:
    wrong = {
        (file, name)
        for file in PRODUCT
        for name in imported_packages(file) | called_names(file)
        if name in UNSAFE
    }
    assert wrong == set()


def test_no_remote_code_is_trusted() -> None:
    wrong = {
        file
        for file in PRODUCT
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.keyword)
        and node.arg == "trust_remote_code"
        and ast.unparse(node.value) != "False"
    }
    assert wrong == set()


def test_every_module_says_what_it_does() -> None:
    assert [file for file in PRODUCT if not ast.get_docstring(parsed(file))] == []


def test_files_stay_readable() -> None:
    lines = {file: (ROOT / file).read_text(encoding="utf-8").count("\n") for file in PRODUCT}
    assert {file: num for file, num in lines.items() if num > MAX_FILE_LINES} == {}


def test_functions_stay_readable() -> None:
    wrong = {
        (file, node.name, num_lines)
        for file in PRODUCT
        for node in ast.walk(parsed(file))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (num_lines := code_lines(node)) > MAX_FUNCTION_LINES
    }
    assert wrong == set()
