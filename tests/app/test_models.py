"""`launch.py model`: what people are told about the models on their computer, and what goes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import launch
from app import models
from core import hub, loader, sources
from core.config import ModelOptions, Quantization
from core.errors import BadModelError
from core.loader import load_model
from core.prepared import prepared_home, prepared_models
from tests.tiny_checkpoint import write_tiny_checkpoint

NAME = "someone/phi"
OPTIONS = ModelOptions("float32", "nf4", "cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("tiny"), "main")


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, and every model is large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.utils._cache_manager.HF_HUB_CACHE", tmp_path / "hub")
    monkeypatch.setattr(loader, "SMALL_MODEL", 0)
    return tmp_path / "hub"


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "mine"))


@pytest.fixture
def fetched(made: Path, caches: Path) -> Path:
    """The model as the hub's client keeps it."""
    return as_fetched(caches, NAME, made)


def as_fetched(cache: Path, name: str, source: Path) -> Path:
    repo = cache / f"models--{name.replace('/', '--')}"
    snapshot = repo / "snapshots" / ("a" * 40)
    (repo / "refs").mkdir(parents=True)
    (repo / "blobs").mkdir()
    (repo / "refs" / "main").write_text("a" * 40)
    return Path(shutil.copytree(source, snapshot))


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out


def test_the_list_has_every_model_and_what_is_packed_of_it(
    folder: Path, fetched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    as_fetched(tmp_path / "hub", "someone/llama", other)
    for each in (folder, fetched):
        load_model(each, OPTIONS)
    models.list_models()
    lines = told(capsys).splitlines()
    assert [line.split("  ")[0] for line in lines if not line.startswith(" ")] == [
        "Triad bundled model",
        NAME,
        str(folder),
    ]
    assert len([line for line in lines if "packed" in line and "nf4 for float32, in" in line]) == 2
    assert "llama" not in "".join(lines)


def test_a_folder_that_is_gone_is_listed_for_what_is_left_of_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_model(folder, OPTIONS)
    shutil.rmtree(folder)
    models.list_models()
    assert "a folder that is gone" in told(capsys)


@pytest.mark.parametrize("is_fetched", [False, True])
def test_what_a_model_is(
    is_fetched: bool, folder: Path, fetched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models.describe_model(NAME if is_fetched else str(folder), OPTIONS)
    lines = told(capsys)
    assert "main layout" in lines
    assert "speech (rank 8)" in lines
    assert "2 layers of 128, vocabulary 320" in lines
    assert "nf4, float32, on cpu" in lines
    assert "nothing is kept" in lines
    load_model(fetched if is_fetched else folder, OPTIONS)
    models.describe_model(NAME if is_fetched else str(folder), OPTIONS)
    assert "nf4 for float32 (" in told(capsys)


def test_what_is_not_here_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "_fetched", lambda name: pytest.fail("the hub was asked"))
    with pytest.raises(BadModelError, match="model pull someone/phi"):
        models.describe_model(NAME, OPTIONS)


def test_preparing_packs_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    models.prepare_model(str(folder), OPTIONS)
    (packed,) = prepared_models()
    assert told(capsys).startswith("nf4 for float32: ")
    assert packed.num_bytes > 100_000
    monkeypatch.setattr(sources, "quantize", lambda *_: pytest.fail("packed again"))
    models.prepare_model(str(folder), OPTIONS)
    assert prepared_models() == [packed]


def test_preparing_without_room_fails(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(models.NotPreparedError, match="could not be kept"):
        models.prepare_model(str(folder), OPTIONS)


def test_a_small_model_needs_no_preparing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(loader, "SMALL_MODEL", 10**6)
    models.prepare_model(str(folder), OPTIONS)
    assert "nothing to prepare" in told(capsys)
    assert prepared_models() == []


def test_pulling_fetches_and_checks(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hub, "_fetched", lambda name: made)
    models.pull_model(NAME)
    assert f"{NAME} is in {made}" in told(capsys)
    with pytest.raises(BadModelError, match="is no hub name"):
        models.pull_model("phi")


def test_removing_a_fetched_model_takes_its_packed_pieces_along(
    folder: Path, fetched: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in (folder, fetched):
        load_model(each, OPTIONS)
    asked: list[str] = []

    def refuse(question: str) -> bool:
        asked.append(question)
        return False

    models.remove_model(NAME, refuse)
    assert NAME in asked[0]
    assert told(capsys) == "Nothing was removed.\n"
    assert fetched.is_dir()
    models.remove_model(NAME, lambda question: True)
    assert not fetched.exists()
    assert hub.hub_models() == []
    assert [one.model_folder for one in prepared_models()] == [folder.resolve()]


def test_another_repository_with_the_same_commit_stays(
    made: Path, caches: Path, fetched: Path
) -> None:
    copy = as_fetched(caches, "other/copy", made)
    models.remove_model(NAME, lambda question: True)
    assert copy.is_dir()
    assert not fetched.exists()


def test_a_name_means_its_main_version(made: Path, caches: Path, fetched: Path) -> None:
    older = fetched.with_name("b" * 40)
    shutil.copytree(made, older)
    (model,) = hub.hub_models()
    assert model.folders == (older, fetched)


@pytest.mark.parametrize("name", ["~nobody-at-all/phi", "x" * 300, "~nobody-at-all"])
def test_a_name_that_no_folder_can_have_is_a_sentence(name: str) -> None:
    with pytest.raises(BadModelError):
        models.describe_model(name, OPTIONS)
    with pytest.raises(BadModelError, match="to remove"):
        models.remove_model(name, lambda question: True)


def test_no_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", end)
    assert not models.agrees("Remove it?")


def test_a_folder_of_yours_stays(folder: Path) -> None:
    load_model(folder, OPTIONS)
    models.remove_model(str(folder), lambda question: True)
    assert folder.is_dir()
    assert prepared_models() == []
    with pytest.raises(BadModelError, match=r"nothing of '.*' to remove"):
        models.remove_model(str(folder), lambda question: True)


def test_all_that_is_packed_goes_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kinds: tuple[Quantization, ...] = ("nf4", "int8")
    for kind in kinds:
        load_model(folder, ModelOptions("float32", kind, "cpu"))
    assert len(prepared_models()) == 2
    half = prepared_home() / "phi-0123.77.part"
    half.mkdir()
    (half / "pieces-001.safetensors").write_bytes(b"half")
    models.list_models()
    assert "left over" in told(capsys)
    models.remove_model("packed", lambda question: True)
    assert list(prepared_home().iterdir()) == []


@pytest.mark.parametrize(
    ("num_bytes", "text"), [(12, "12 B"), (25_800_000, "25.8 MB"), (5_512_345_678, "5.5 GB")]
)
def test_sizes_are_told_as_people_read_them(num_bytes: int, text: str) -> None:
    assert models.size_text(num_bytes) == text


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["list"], 0, "Triad bundled model"),
        (["info"], 0, "vocabulary"),
        (["prepare"], 0, "nothing to prepare"),
    ],
)
def test_the_command_reaches_each_of_them(
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(loader, "SMALL_MODEL", 10**6)
    assert launch.run_model(arguments) == code
    assert said in told(capsys)


def test_where_nobody_can_be_asked_nothing_goes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load_model(folder, OPTIONS)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    launch.run_model(["remove", str(folder)])
    assert "give --yes" in capsys.readouterr().err
    assert len(prepared_models()) == 1
    launch.run_model(["remove", str(folder), "--yes"])
    assert prepared_models() == []
