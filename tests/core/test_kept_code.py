"""Machine code that is kept: the same the next time, and none that is not whole."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from llvmlite import binding

from core import kept_code, row_loops
from core.cache_folder import cache_folder
from core.instructions import can_run_loops
from core.vector_code import Compiled


@pytest.fixture
def kept_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_folder(kept_code.KIND)


def test_what_is_kept_is_found_again(kept_in: Path) -> None:
    name = kept_code.key("loop", "cpu")
    assert kept_code.find(name) is None
    kept_code.keep(name, b"code")
    assert kept_code.find(name) == b"code"
    kept_code.keep(name, b"other")
    assert kept_code.find(name) == b"other"
    assert [path.name for path in kept_in.iterdir()] == [name]


def test_another_cpu_or_loop_has_another_name() -> None:
    names = {
        kept_code.key(*parts) for parts in (("a", "b"), ("a", "c"), ("ab", ""), ("a", "b", ""))
    }
    assert len(names) == 4


@pytest.mark.parametrize("damaged", [b"", b"short", 32 * b"x" + b"code"])
def test_what_is_damaged_is_not_run(damaged: bytes, kept_in: Path) -> None:
    kept_in.mkdir(parents=True)
    (kept_in / "name").write_bytes(damaged)
    assert kept_code.find("name") is None


def test_without_room_it_is_done_without(kept_in: Path) -> None:
    kept_in.parent.mkdir(parents=True)
    kept_in.write_text("a file where the folder should be")
    kept_code.keep("name", b"code")
    assert kept_code.find("name") is None


def test_what_is_used_no_more_makes_room(kept_in: Path) -> None:
    long_ago = time.time() - 1.1 * kept_code.UNUSED_S
    for name in ("used", "unused"):
        kept_code.keep(name, b"code")
    for path in kept_in.iterdir():
        os.utime(path, (long_ago, long_ago))
    assert kept_code.find("used") == b"code"
    kept_code.keep("new", b"code")
    assert {path.name for path in kept_in.iterdir()} == {"used", "new"}


@pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")
def test_the_next_start_compiles_nothing(kept_in: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Compiled(row_loops.module())
    (kept,) = kept_in.iterdir()

    def refuse(*_: object) -> None:
        raise AssertionError("it was compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(binding, "create_pass_builder", refuse)
        second = Compiled(row_loops.module())
        assert second.address("norm") not in (0, first.address("norm"))
        kept.write_bytes(kept.read_bytes()[:-1])
        with pytest.raises(AssertionError, match="compiled again"):
            Compiled(row_loops.module())
    assert Compiled(row_loops.module()).address("norm")
    assert kept_code.find(kept.name) is not None
