"""The assistant from a folder to an answer, and one sentence where the folder is no model."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest

from core import assistant as assistant_module
from core import hub
from core.assistant import ABOUT_BUNDLED, ABOUT_OTHER, Assistant, ModelInfo, open_assistant
from core.engine import EngineOptions
from core.errors import BadModelError, EngineClosedError, QueueFullError
from core.events import RouteSelected, TurnFinished
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.router import ROUTES, InputMode
from core.sampling_options import SamplingOptions
from tests import media
from tests.core.conftest import EXACT
from tests.tiny_checkpoint import ROPE_MAX
from tests.tiny_tokenizer import write_tiny_tokenizer

ROOT = Path(__file__).resolve().parents[2]
LEFT_OPEN = """
from core.assistant import open_assistant
from core.config import ModelOptions
from core.events import TextDelta
from core.messages import Conversation, Message, Role, TextPart

assistant = open_assistant(None, ModelOptions())
asked = Conversation((Message(Role.USER, (TextPart("Count from 1 to 60."),)),))
list(assistant.submit(asked).events())  # by now the loops are compiled
first, *_ = [assistant.submit(asked) for _ in range(4)]
next(event for event in first.events() if isinstance(event, TextDelta))
"""
SHORT = SamplingOptions(max_new_tokens=3)
PICTURE = ImagePart(media.picture_file(media.picture(40, 30)))
SOUND = AudioPart(media.sound_file(media.tone(0.3)))


def asked(*parts: Part) -> Conversation:
    return Conversation((Message(Role.USER, parts),))


@pytest.fixture
def folder(native_folder: Path, tmp_path: Path) -> Path:
    """A whole tiny model folder, which the test may spoil."""
    copy = tmp_path / "tiny-phi"
    shutil.copytree(native_folder, copy)
    return write_tiny_tokenizer(copy)


@pytest.fixture(scope="module")
def opened(native_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    folder = tmp_path_factory.mktemp("models") / "tiny-phi"
    shutil.copytree(native_folder, folder)
    assistant = open_assistant(str(write_tiny_tokenizer(folder)), EXACT)
    yield assistant
    assistant.close()


@pytest.mark.parametrize(
    ("parts", "mode"),
    [
        ((TextPart("hello"),), InputMode.LANGUAGE),
        ((PICTURE, TextPart("what?")), InputMode.VISION),
        ((SOUND,), InputMode.SPEECH),
        ((PICTURE, SOUND), InputMode.VISION_SPEECH),
    ],
)
def test_a_folder_becomes_an_assistant_that_answers(
    parts: tuple[Part, ...], mode: InputMode, opened: Assistant
) -> None:
    assert opened.is_ready
    events = list(opened.submit(asked(*parts), SHORT).events())
    assert events[0] == RouteSelected(ROUTES[mode])
    last = events[-1]
    assert isinstance(last, TurnFinished)
    assert last.finish_reason == "length"
    assert last.stats.num_reply_tokens == 3


def test_people_are_told_what_is_loaded(opened: Assistant) -> None:
    expected = ("tiny-phi", False, ABOUT_OTHER, "cpu", "float32", "none", ROPE_MAX)
    assert opened.info == ModelInfo(*expected)


def test_the_bundled_model_goes_by_its_own_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (hub, assistant_module):
        monkeypatch.setattr(module, "BUNDLED_FOLDER", folder.resolve())
    for name in (None, str(folder)):
        assistant = open_assistant(name, EXACT)
        assistant.close()
        assert (assistant.info.name, assistant.info.is_bundled) == ("Triad bundled model", True)
        assert assistant.info.about == ABOUT_BUNDLED


def test_a_model_of_the_hub_goes_by_its_hub_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = folder.rename(folder.parent / "0123456789abcdef")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda _, name: str(snapshot / name))
    assistant = open_assistant("microsoft/Phi-4-multimodal-instruct", EXACT)
    assistant.close()
    assert assistant.info.name == "microsoft/Phi-4-multimodal-instruct"


def test_the_folder_one_stands_in_has_a_name_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assistant = open_assistant(".", EXACT)
    assistant.close()
    assert assistant.info.name == "tiny-phi"


def test_an_assistant_reports_its_loading_bounds_its_queue_and_closes(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    options = EngineOptions(max_queue=0)
    assistant = open_assistant(
        str(folder), EXACT, lambda done, total: seen.append((done, total)), options
    )
    assert seen[-1][0] == seen[-1][1] == max(total for _, total in seen)
    with pytest.raises(QueueFullError):  # the engine has the options it was given
        assistant.submit(asked(TextPart("hello")))
    assistant.close()
    assert not assistant.is_ready
    with pytest.raises(EngineClosedError):
        assistant.submit(asked(TextPart("hello")))


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("tokenizer.json", "tokenizer.json"),
        ("config.json", "config.json"),
        ("model.safetensors", "model.safetensors"),
        ("speech-lora/adapter_config.json", "adapter_config.json"),
        ("vision-lora/adapter_model.safetensors", "adapter_model.safetensors"),
    ],
)
@pytest.mark.parametrize("kept_share", [None, 0.0, 0.5])
def test_a_folder_with_a_missing_or_half_written_file_is_one_sentence(
    file: str, named: str, kept_share: float | None, folder: Path
) -> None:
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    if kept_share is not None:
        (folder / file).write_bytes(content[: int(len(content) * kept_share)])
    assert named in sentence_for(str(folder))


def test_a_tokenizer_of_another_model_is_one_sentence(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text(encoding="utf-8")
    (folder / "tokenizer.json").write_text(text.replace("<|end|>", "<|fin|>"), encoding="utf-8")
    assert "no token <|end|>: it is not a Phi-4 tokenizer" in sentence_for(str(folder))


def test_a_broken_preprocessor_file_is_one_sentence(folder: Path) -> None:
    (folder / "preprocessor_config.json").write_text("{", encoding="utf-8")
    assert "preprocessor_config.json" in sentence_for(str(folder))


def test_an_empty_folder_a_file_and_nothing_at_all_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    assert "is a file" in sentence_for(str(tmp_path / "file"))
    assert "'empty'" in sentence_for(str(tmp_path / "empty"))
    assert "There is no model folder" in sentence_for(str(tmp_path / "gone"))


def sentence_for(model: str) -> str:
    """The error's sentence."""
    with pytest.raises(BadModelError) as caught:
        open_assistant(model, EXACT)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def test_a_script_may_end_amid_replies() -> None:
    command = [sys.executable, "-c", LEFT_OPEN]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300)  # or it hangs
    assert ended.returncode == 0, ended.stderr.decode()
