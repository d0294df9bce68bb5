"""From a model's name to its folder, and one sentence where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from core import hub
from core.errors import BadModelError
from core.hub import BUNDLED_FOLDER, model_folder

HUB_NAME = "microsoft/Phi-4-multimodal-instruct"


@pytest.fixture(autouse=True)
def never_online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a test that says so lets the hub be asked."""

    def refuse(*_args: object, **_options: object) -> NoReturn:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)


def has_config(folder: Path, monkeypatch: pytest.MonkeyPatch, model_type: str) -> None:
    """Let the hub have this kind of model under every name."""

    def download(name: str, path: str) -> str:
        (folder / path).write_text(json.dumps({"model_type": model_type}))
        return str(folder / path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert model_folder(str(tmp_path)) == tmp_path


def test_the_home_folder_may_be_written_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "phi").mkdir()
    assert model_folder("~/phi") == tmp_path / "phi"


def test_a_folder_that_looks_like_a_hub_name_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / HUB_NAME).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert model_folder(HUB_NAME) == Path(HUB_NAME)


def test_no_name_is_the_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BUNDLED_FOLDER.parts[-2:] == ("assets", "bundled")
    monkeypatch.setattr(hub, "BUNDLED_FOLDER", tmp_path)
    assert model_folder(None) == tmp_path


def test_a_missing_bundled_model_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "BUNDLED_FOLDER", tmp_path / "gone")
    assert sentence_for(None).startswith("The bundled model is missing from assets/bundled: ")


@pytest.mark.parametrize(
    "name",
    [
        *("./gone", "/gone/away", "gone", "a/b/c", "../x", "a b/c", "~nobody-of-this-name/phi"),
        pytest.param("x" * 5000, id="too long for any folder"),
    ],
)
def test_a_folder_that_is_not_there_is_one_sentence_and_the_hub_is_not_asked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert sentence_for(name).startswith(f"There is no model folder '{name}': give a folder")


def test_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert sentence_for(str(tmp_path / "model.safetensors")).endswith(
        "is a file: give the folder that holds config.json and the weights."
    )


def test_a_hub_name_is_fetched_without_anything_that_could_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    def download(name: str, **options: Any) -> str:
        asked.append((name, options))
        return str(tmp_path)

    has_config(tmp_path, monkeypatch, "phi4_multimodal")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert model_folder(HUB_NAME) == tmp_path
    assert asked == [(HUB_NAME, {"allow_patterns": ["*.json", "*.safetensors"]})]


def test_of_another_kind_of_model_no_weights_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_config(tmp_path, monkeypatch, "llama")
    assert sentence_for("someone/llama").startswith("someone/llama holds a model of type 'llama'")


@pytest.mark.parametrize("verb", ["hf_hub_download", "snapshot_download"])
@pytest.mark.parametrize(
    "error",
    [
        LocalEntryNotFoundError("offline"),
        ConnectionError("no network"),
        PermissionError("disk"),
        ValueError("a name of another kind"),
        RuntimeError("of the HTTP library"),
    ],
)
def test_a_hub_that_does_not_answer_is_one_sentence(
    error: Exception, verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_args: object, **_options: object) -> NoReturn:
        raise error

    has_config(tmp_path, monkeypatch, "phi4_multimodal")
    monkeypatch.setattr(huggingface_hub, verb, download)
    assert sentence_for("nobody/nothing") == (
        "The model 'nobody/nothing' could not be fetched: check the name and the network, "
        "or give the folder of a model that is on this computer."
    )


def sentence_for(name: str | None) -> str:
    """The error's sentence: one line that ends like a sentence."""
    with pytest.raises(BadModelError) as caught:
        model_folder(name)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence
