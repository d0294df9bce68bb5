"""The checkpoint factory of the benchmarks: the real model's sizes, folders that load."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from core.checkpoint import open_checkpoint
from core.config import ModelOptions
from core.key_map import LoraKey
from core.loader import load_model
from tests.benchmarks import factory
from tests.benchmarks.factory import Layout, full_config, write_checkpoint
from tests.tiny_checkpoint import RANKS, tiny_config


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "full_config", lambda num_layers: tiny_config())
    monkeypatch.setattr(factory, "RANKS", RANKS)
    monkeypatch.setattr(factory, "SHARD_BYTES", 200_000)


def test_there_are_as_many_numbers_as_in_the_real_model() -> None:
    config = full_config()
    base = {name: math.prod(shape) for name, shape in factory.base_shapes(config).items()}
    loras = {
        adapter: sum(map(math.prod, factory._lora_shapes(config, adapter).values()))
        for adapter in factory.RANKS
    }
    layers = sum(num for name, num in base.items() if name.startswith("model.layers."))
    assert layers == pytest.approx(3.221e9, rel=1e-3)
    assert base["model.embed_tokens.weight"] == pytest.approx(0.615e9, rel=1e-3)
    assert loras == {"speech": pytest.approx(461e6, rel=2e-3), "vision": pytest.approx(369e6, 2e-3)}
    assert sum(base.values()) + sum(loras.values()) == pytest.approx(5.574e9, rel=1e-3)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("layout", ["native", "main"])
def test_what_it_writes_loads(layout: Layout, tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "made", layout)
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    checkpoint = open_checkpoint(folder)
    assert checkpoint.layout == layout
    assert {name: adapter.rank for name, adapter in checkpoint.adapters.items()} == RANKS
    factor = checkpoint.lora_factor(LoraKey("speech", "model.layers.1.mlp.down_proj", "B"))
    assert factor.dtype == torch.bfloat16
    assert float(factor.std()) == pytest.approx(0.02, rel=0.2)
    assert LoraKey("vision", "model.layers.0.self_attn.o_proj", "A") in checkpoint.lora_tensors
    model = load_model(folder, ModelOptions("float32", "nf4", "cpu"))
    assert model.embed_token_ids(torch.tensor([[1, 2]])).shape == (1, 2, 128)


@pytest.mark.usefixtures("tiny")
def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    matrices = [
        open_checkpoint(write_checkpoint(tmp_path / f"{n}", seed=seed)).tensor(
            "model.layers.0.mlp.down_proj.weight"
        )
        for n, seed in enumerate((3, 3, 4))
    ]
    assert torch.equal(matrices[0], matrices[1])
    assert not torch.equal(matrices[0], matrices[2])


@pytest.mark.usefixtures("tiny")
def test_a_folder_that_is_there_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        factory.main([str(tmp_path)])
    assert "name another folder or remove it" in capsys.readouterr().err
    assert factory.main([str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "config.json").is_file()
    assert not (tmp_path / "new.part").exists()
