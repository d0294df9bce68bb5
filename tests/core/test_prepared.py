"""Packed models kept on disk: the same model at the next start, whatever happened in between."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch
from transformers import Phi4MultimodalConfig

from core import loader, prepared, recorder, sources
from core.config import ModelOptions, Quantization
from core.encoders import AudioEncoder, TensorReader, WeightReader
from core.loader import load_model
from core.model import Model
from core.nf4_weight import Nf4Weight
from core.prepared import prepared_folder, prepared_home
from core.quantize import restored
from core.router import InputMode
from tests.core.reference import prompt

OPTIONS = ModelOptions("float32", "nf4", "cpu")
Damage = Callable[[Path], object]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and every model is large."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(loader, "SMALL_MODEL", 0)
    monkeypatch.setattr(loader, "LARGE_VOCABULARY", 0)
    monkeypatch.setattr(recorder, "FILE_BYTES", 50_000)  # so that there are several files
    return tmp_path / "cache"


@pytest.fixture
def never_packs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Packing fails the test."""
    with monkeypatch.context() as patch:
        patch.setattr(sources, "quantize", lambda *_: pytest.fail("packed again"))
        yield


def logits(model: Model, mode: InputMode = InputMode.VISION_SPEECH) -> torch.Tensor:
    inputs = prompt(mode)
    cache, embeddings = model.new_kv_cache(1, 64), model.embed(inputs)[None]
    return model.forward(embeddings, cache, [0], [inputs.route.adapter])


@pytest.mark.parametrize("kind", ["nf4", "int4", "int8"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("which", ["native_folder", "main_folder"])
def test_the_second_start_packs_nothing_and_computes_the_same(
    kind: Quantization,
    dtype: Literal["float32", "bfloat16"],
    which: str,
    request: pytest.FixtureRequest,
) -> None:
    folder, options = request.getfixturevalue(which), ModelOptions(dtype, kind, "cpu")
    wanted = {mode: logits(load_model(folder, options), mode) for mode in InputMode}
    kept_in = prepared_folder(folder, options)
    assert len(list(kept_in.glob("*.safetensors"))) > 2
    request.getfixturevalue("never_packs")
    again = load_model(folder, options)
    assert all(torch.equal(logits(again, mode), wanted[mode]) for mode in InputMode)


def files_mapped_at(address: int) -> list[str]:
    """Files that lie in this process' memory at an address."""
    found = []
    for line in Path("/proc/self/maps").read_text("utf-8").splitlines():
        span, *_, name = line.split()
        first, end = (int(number, 16) for number in span.split("-"))
        if first <= address < end and "/" in name:
            found.append(name)
    return found


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells")
@pytest.mark.parametrize("start", ["first", "next"])
def test_pieces_lie_in_the_files_from_the_first_start_on(native_folder: Path, start: str) -> None:
    options = ModelOptions("bfloat16", "nf4", "cpu")
    if start == "next":
        load_model(native_folder, options)
    model = load_model(native_folder, options)
    linears = [layer.down_proj for layer in model._decoder.layers]
    weights = [linear.base for linear in linears]
    weights += [lora.up for linear in linears for lora in linear.loras.values()]
    assert weights
    for tensor in (part for weight in weights for part in weight.stored()[1].values()):
        (file,) = files_mapped_at(tensor.data_ptr())
        assert "pieces-" in file


def test_the_progress_ends_at_the_same_number(native_folder: Path) -> None:
    told: list[tuple[int, int]] = []
    load_model(native_folder, OPTIONS, lambda *done: told.append(done))
    packed = told.copy()
    load_model(native_folder, OPTIONS, lambda *done: told.append(done))
    assert packed[-1][0] == packed[-1][1]
    assert told[len(packed) :] == packed


def test_a_small_or_unpacked_model_is_not_kept(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(native_folder, ModelOptions("float32", "none", "cpu"))
    monkeypatch.setattr(loader, "SMALL_MODEL", 10**6)
    load_model(native_folder, OPTIONS)
    assert not prepared_home().exists()


def test_other_options_and_changed_files_are_another_model(
    native_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(native_folder, tmp_path / "model"))
    first = prepared_folder(folder, OPTIONS)
    assert first == prepared_folder(folder, OPTIONS)
    assert first != prepared_folder(folder, ModelOptions("bfloat16", "nf4", "cpu"))
    assert first != prepared_folder(folder, ModelOptions("float32", "int8", "cpu"))
    os.utime(folder / "speech-lora" / "adapter_model.safetensors")
    assert first != prepared_folder(folder, OPTIONS)


def test_models_of_one_kind_and_time_are_told_apart(native_folder: Path, tmp_path: Path) -> None:
    folders = [Path(shutil.copytree(native_folder, tmp_path / at / "model")) for at in "ab"]
    weights = folders[1] / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    for folder in folders:
        for path in folder.rglob("*"):
            os.utime(path, (0, 0))
    first, second = (prepared_folder(folder, OPTIONS) for folder in folders)
    assert first != second


@pytest.mark.parametrize(
    "error", [BrokenPipeError("the terminal is gone"), OSError(errno.EIO, "the terminal is gone")]
)
def test_progress_that_nobody_can_see_spoils_nothing(error: Exception, native_folder: Path) -> None:
    load_model(native_folder, OPTIONS)
    index = prepared_folder(native_folder, OPTIONS) / "index.json"
    written = index.stat().st_mtime_ns

    def progress(*_: int) -> None:
        raise error

    load_model(native_folder, OPTIONS, progress)
    assert index.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        OSError(errno.EMFILE, "Too many open files"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes"),
        RuntimeError("unable to mmap 9 bytes from file <f>: Cannot allocate memory (12)"),
    ],
)
def test_a_machine_that_lacks_something_does_not_lose_what_was_prepared(
    error: Exception, native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(native_folder, OPTIONS)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(prepared, "restored", fail)
        with pytest.raises(type(error)):
            load_model(native_folder, OPTIONS)
    assert (prepared_folder(native_folder, OPTIONS) / "index.json").is_file()


def flip_a_byte(folder: Path) -> None:
    path = sorted(folder.glob("*.safetensors"))[1]
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


def cut_a_file(folder: Path) -> None:
    path = sorted(folder.glob("*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-100])


def change_index(folder: Path, old: str, new: str) -> None:
    index = folder / "index.json"
    content = index.read_text("utf-8")
    assert old in content
    index.write_text(content.replace(old, new), "utf-8")


def lose_a_file(folder: Path) -> None:
    sorted(folder.glob("*.safetensors"))[0].unlink()


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        cut_a_file,
        lose_a_file,
        lambda folder: (folder / "index.json").write_text("{"),
        lambda folder: (folder / "index.json").write_text("[]"),
        lambda folder: (folder / "index.json").write_text('{"files": {}}'),
        lambda folder: change_index(folder, '"nf4"', '"nf5"'),
        lambda folder: change_index(folder, '"model.norm.weight"', '"model.norn.weight"'),
        lambda folder: change_index(folder, '"absmax": [', '"largest": ['),
        lambda folder: change_index(folder, '"absmax": ["float32"', '"absmax": ["float64"'),
        lambda folder: change_index(folder, '"absmax": ["float32"', '"absmax": ["float33"'),
    ],
)
def test_what_was_damaged_is_found_and_made_anew(
    damage: Damage, native_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = logits(load_model(native_folder, OPTIONS))
    kept_in = prepared_folder(native_folder, OPTIONS)
    damage(kept_in)
    assert torch.equal(logits(load_model(native_folder, OPTIONS)), wanted)
    assert "is damaged" in caplog.text
    assert prepared.open_prepared(kept_in, torch.float32) is not None


def test_an_interrupted_start_leaves_nothing_that_counts(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_in = prepared_folder(native_folder, OPTIONS)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loader, "AudioEncoder", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_model(native_folder, OPTIONS)
    assert not list(prepared_home().iterdir())
    wanted = logits(load_model(native_folder, OPTIONS))
    assert list(prepared_home().iterdir()) == [kept_in]
    assert torch.equal(logits(load_model(native_folder, OPTIONS)), wanted)


def test_what_a_killed_start_left_goes_when_it_is_old(native_folder: Path) -> None:
    kept_in = prepared_folder(native_folder, OPTIONS)
    old, new = (kept_in.with_name(f"{kept_in.name}.{pid}.part") for pid in (1, 2))
    for path in (old, new):
        path.mkdir(parents=True)
    os.utime(old, (0, 0))
    load_model(native_folder, OPTIONS)
    assert sorted(prepared_home().iterdir()) == sorted([kept_in, new])


def test_two_starts_at_once_do_not_disturb_each_other(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept_in = prepared_folder(native_folder, OPTIONS)

    def meanwhile(
        config: Phi4MultimodalConfig, read: TensorReader, read_linear: WeightReader
    ) -> AudioEncoder:
        with monkeypatch.context() as patch:
            patch.setattr(loader, "AudioEncoder", AudioEncoder)
            load_model(native_folder, OPTIONS)
        return AudioEncoder(config, read, read_linear)

    with monkeypatch.context() as patch:
        patch.setattr(loader, "AudioEncoder", meanwhile)
        wanted = logits(load_model(native_folder, OPTIONS))
    assert list(prepared_home().iterdir()) == [kept_in]
    assert "could not be kept" not in caplog.text
    assert torch.equal(logits(load_model(native_folder, OPTIONS)), wanted)


def test_without_room_the_model_loads_all_the_same(
    native_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "save_aligned", fail)
        ours = logits(load_model(native_folder, OPTIONS))
    assert "Make room there, or set XDG_CACHE_HOME" in caplog.text
    assert list(prepared_home().iterdir()) == []
    assert torch.equal(ours, logits(load_model(native_folder, OPTIONS)))


def test_a_cache_that_nobody_may_write_to_is_a_warning(
    native_folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the folder should be")
    load_model(native_folder, OPTIONS)
    assert "could not be kept" in caplog.text


def test_the_fused_kernels_layout_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.nf4_weight.has_fused_kernel", lambda: True)
    weight = Nf4Weight(torch.randn(64, 128), torch.bfloat16)
    kind, tensors = weight.stored()
    again = restored(kind, tensors, torch.bfloat16)
    assert isinstance(again, Nf4Weight)
    assert again.shape == weight.shape == (64, 128)
    for name in ("packing_format_for_cpu", "nested", "dtype", "blocksize", "quant_type", "shape"):
        assert getattr(again._state, name) == getattr(weight._state, name)
    assert torch.equal(again._state.absmax, weight._state.absmax)
    assert torch.equal(again._codes, weight._codes)


def test_an_unknown_kind_is_no_weight() -> None:
    with pytest.raises(ValueError, match="'q9' is no kind of weight"):
        restored("q9", {}, torch.float32)
