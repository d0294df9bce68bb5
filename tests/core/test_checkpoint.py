"""Opening model folders: both layouts, and every way a folder can be broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.checkpoint import Checkpoint, open_checkpoint
from core.config import AdapterConfig
from core.errors import BadModelError
from core.key_map import LoraKey, main_name
from core.loader import load_model
from core.router import AdapterName
from tests.core.conftest import EXACT
from tests.core.reference import picture
from tests.tiny_checkpoint import RANKS, ROPE_SWITCH, write_tiny_checkpoint

Layout = Literal["native", "main"]
Tensors = dict[str, torch.Tensor]
SIGLIP = "model.embed_tokens_extend.image_embed.img_processor"
UNUSED = (f"{SIGLIP}.head.", f"{SIGLIP}.post_layernorm.", f"{SIGLIP}.encoder.layers.2.")
NORM = "model.layers.1.input_layernorm.weight"


@pytest.fixture
def folder(native_folder: Path, tmp_path: Path) -> Path:
    """A copy of the native folder, to be broken."""
    return Path(shutil.copytree(native_folder, tmp_path / "model"))


def lora(
    checkpoint: Checkpoint, adapter: AdapterName, linear: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both factors of a LoRA on one linear."""
    return (
        checkpoint.lora_factor(LoraKey(adapter, linear, "A")),
        checkpoint.lora_factor(LoraKey(adapter, linear, "B")),
    )


def edit_tensors(path: Path, edit: Callable[[Tensors], Any]) -> None:
    """Change a safetensors file's tensors."""
    tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})


def edit_json(path: Path, **changes: object) -> None:
    """Change a JSON file's fields; None removes one."""
    content = {**json.loads(path.read_text(encoding="utf-8")), **changes}
    kept = {name: value for name, value in content.items() if value is not None}
    path.write_text(json.dumps(kept), encoding="utf-8")


def without(tensors: Tensors, *prefixes: str) -> None:
    """Drop every tensor whose name begins so."""
    for name in [name for name in tensors if name.startswith(prefixes)]:
        del tensors[name]


@pytest.mark.parametrize("layout", ["native", "main"])
@pytest.mark.parametrize("sharded", [False, True])
def test_both_layouts_hold_the_same_tensors_by_native_name(
    layout: Layout, sharded: bool, native_folder: Path, tmp_path: Path
) -> None:
    checkpoint = open_checkpoint(write_tiny_checkpoint(tmp_path, layout, sharded))
    expected = load_file(native_folder / "model.safetensors")
    assert checkpoint.layout == layout
    assert set(checkpoint.base_tensors) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(checkpoint.tensor(name), tensor), name


@pytest.mark.parametrize("which", ["native_folder", "main_folder"])
def test_both_layouts_have_both_adapters(
    which: str, native_folder: Path, request: pytest.FixtureRequest
) -> None:
    checkpoint = open_checkpoint(request.getfixturevalue(which))
    assert checkpoint.adapters == {
        name: AdapterConfig(name, rank, 2.0 * rank) for name, rank in RANKS.items()
    }
    linear = "model.layers.1.mlp.gate_up_proj"
    for name, rank in RANKS.items():
        stored = load_file(native_folder / f"{name}-lora" / "adapter_model.safetensors")
        down, up = lora(checkpoint, name, linear)
        assert (down.shape, up.shape) == ((rank, 128), (384, rank))
        assert torch.equal(down, stored[f"base_model.model.{linear}.lora_A.weight"])
        assert torch.equal(up, stored[f"base_model.model.{linear}.lora_B.weight"])


@pytest.mark.parametrize("which", ["native_folder", "main_folder"])
def test_both_layouts_describe_one_architecture(which: str, request: pytest.FixtureRequest) -> None:
    config = open_checkpoint(request.getfixturevalue(which)).config
    assert (config.hidden_size, config.num_attention_heads, config.num_key_value_heads) == (
        128,
        4,
        2,
    )
    assert config.rope_parameters["original_max_position_embeddings"] == ROPE_SWITCH
    assert config.rope_parameters["partial_rotary_factor"] == 0.75
    vision, audio = config.vision_config, config.audio_config
    assert (vision.hidden_size, vision.intermediate_size, vision.num_hidden_layers) == (64, 96, 3)
    assert (vision.num_attention_heads, vision.image_size, vision.patch_size) == (16, 56, 14)
    assert (vision.image_token_id, audio.audio_token_id) == (310, 311)
    assert (audio.hidden_size, audio.intermediate_size, audio.num_blocks) == (32, 48, 2)
    assert (audio.bias_max_distance, audio.nemo_conv_channels, audio.chunk_size) == (500, 8, -1)


def test_adapter_files_without_pefts_prefix_are_read(folder: Path) -> None:
    path = folder / "speech-lora" / "adapter_model.safetensors"
    before = lora(open_checkpoint(folder), "speech", "model.layers.0.self_attn.o_proj")
    stored = load_file(path)
    save_file({name.removeprefix("base_model.model."): t for name, t in stored.items()}, path)
    after = lora(open_checkpoint(folder), "speech", "model.layers.0.self_attn.o_proj")
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_folder_without_adapters_is_a_model_without_adapters(folder: Path) -> None:
    for name in RANKS:
        shutil.rmtree(folder / f"{name}-lora")
    assert open_checkpoint(folder).adapters == {}


@pytest.mark.parametrize("layout", ["native", "main"])
def test_what_siglip_never_uses_may_be_absent(layout: Layout, tmp_path: Path) -> None:
    whole = write_tiny_checkpoint(tmp_path / "whole", layout)
    trimmed = Path(shutil.copytree(whole, tmp_path / "trimmed"))
    edit_tensors(trimmed / "model.safetensors", lambda tensors: without(tensors, *UNUSED))
    checkpoint = open_checkpoint(trimmed)
    assert not any(name.startswith(UNUSED) for name in checkpoint.base_tensors)
    assert checkpoint.config.vision_config.num_hidden_layers == 3
    shown = [load_model(each, EXACT).encode_picture(picture()) for each in (whole, trimmed)]
    assert torch.equal(shown[0], shown[1])


@pytest.mark.parametrize(
    "name",
    [
        "lm_head.weight",
        "model.rotary_emb.inv_freq",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        f"{SIGLIP}.embeddings.position_ids",
    ],
)
def test_known_surplus_tensors_are_left_aside(name: str, folder: Path) -> None:
    edit_tensors(
        folder / "model.safetensors", lambda tensors: tensors.update({name: torch.ones(2)})
    )
    assert name in open_checkpoint(folder).base_tensors


def test_an_untied_head_is_read_and_used(folder: Path) -> None:
    edit_json(folder / "config.json", tie_word_embeddings=False)
    assert "lacks: lm_head.weight" in complaint(folder)
    tied = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    edit_tensors(folder / "model.safetensors", lambda ts: ts.update({"lm_head.weight": -2 * tied}))
    untied = load_model(folder, EXACT)
    edit_json(folder / "config.json", tie_word_embeddings=True)
    ids = torch.arange(9)
    logits = [
        each.forward(each.embed_token_ids(ids)[None], each.new_kv_cache(1, 9), [0], [None])
        for each in (untied, load_model(folder, EXACT))
    ]
    torch.testing.assert_close(logits[0], -2 * logits[1])


# ------------------------------------------------------------------------- broken folders


def complaint(folder: Path) -> str:
    """What opening says; always one sentence that ends in what to do."""
    with pytest.raises(BadModelError) as caught:
        open_checkpoint(folder)
    message = str(caught.value)
    assert ": " in message
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "There is no folder" in complaint(tmp_path / "nowhere")
    assert "nowhere" in complaint(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [None, "", "{", "[]", '"text"'])
def test_a_missing_or_damaged_config_is_named(content: str | None, folder: Path) -> None:
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content, encoding="utf-8")
    assert "config.json" in complaint(folder)


@pytest.mark.parametrize("model_type", ["llama", "", None])
def test_another_kind_of_model_is_refused_by_its_type(model_type: str | None, folder: Path) -> None:
    edit_json(folder / "config.json", model_type=model_type)
    assert repr(model_type) in complaint(folder)
    assert "phi4_multimodal" in complaint(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_act": "gelu"}, "gelu"),
        ({"sliding_window": 32}, "sliding_window 32"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"rope_parameters": {"rope_type": "longrope", "short_factor": "x"}}, "config.json"),
    ],
)
def test_a_config_that_makes_no_sense_here_is_refused(
    changes: dict[str, object], named: str, folder: Path
) -> None:
    edit_json(folder / "config.json", **changes)
    assert named in complaint(folder)


@pytest.mark.parametrize("field", ["rope_scaling", "audio_processor", "embd_layer"])
def test_a_field_missing_from_mains_config_is_named(field: str, tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, "main")
    edit_json(folder / "config.json", **{field: None})
    assert f"{field} is missing" in complaint(folder)


@pytest.mark.parametrize("num_bytes", [0, 7, 200, -1, -100_000])
@pytest.mark.parametrize("file", ["model.safetensors", "vision-lora/adapter_model.safetensors"])
def test_a_half_written_file_is_named(num_bytes: int, file: str, folder: Path) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[:num_bytes])
    assert f"{Path(file).name} is damaged or half-written" in complaint(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "lacks the file model.safetensors" in complaint(folder)


def test_a_missing_shard_is_named(main_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(main_folder, tmp_path / "model"))
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "lacks the file model-00002-of-00003.safetensors" in complaint(folder)


def test_a_shard_without_what_the_index_promises_is_named(
    main_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(main_folder, tmp_path / "model"))
    path = folder / "model-00001-of-00003.safetensors"
    lost = sorted(load_file(path))[5]
    edit_tensors(path, lambda tensors: tensors.pop(lost))
    assert lost in complaint(folder)


@pytest.mark.parametrize("content", ["{}", "{", '{"weight_map": []}'])
def test_a_damaged_index_is_named(content: str, folder: Path) -> None:
    (folder / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    assert "model.safetensors.index.json is damaged" in complaint(folder)


def test_an_index_does_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "model.safetensors", tmp_path / "outside.safetensors")
    index = {"weight_map": {NORM: "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert "lacks the file outside.safetensors" in complaint(folder)


def test_a_missing_tensor_is_named(folder: Path) -> None:
    edit_tensors(folder / "model.safetensors", lambda tensors: tensors.pop(NORM))
    assert f"lacks: {NORM} (1 in all)" in complaint(folder)


def test_of_many_missing_tensors_three_are_named_and_all_counted(folder: Path) -> None:
    prefix = "model.layers.1."
    edit_tensors(folder / "model.safetensors", lambda tensors: without(tensors, prefix))
    message = complaint(folder)
    assert message.count(prefix) == 3
    assert "and 3 more (6 in all)" in message


def test_a_surplus_tensor_is_named(folder: Path) -> None:
    extra = "model.layers.2.input_layernorm.weight"
    edit_tensors(folder / "model.safetensors", lambda ts: ts.update({extra: torch.ones(128)}))
    assert extra in complaint(folder)


def test_a_tensor_of_a_wrong_shape_is_named_with_both_shapes(folder: Path) -> None:
    edit_tensors(folder / "model.safetensors", lambda ts: ts.update({NORM: torch.ones(7)}))
    assert f"{NORM} [7] instead of [128]" in complaint(folder)


def test_a_missing_lora_factor_is_named_in_both_layouts(folder: Path, tmp_path: Path) -> None:
    lost = "model.layers.1.mlp.down_proj.lora_B"
    path = folder / "speech-lora" / "adapter_model.safetensors"
    edit_tensors(path, lambda ts: ts.pop(f"base_model.model.{lost}.weight"))
    assert f"lacks: {lost}.speech" in complaint(folder)
    main = write_tiny_checkpoint(tmp_path / "main", "main")
    edit_tensors(main / "model.safetensors", lambda ts: ts.pop(f"{lost}.vision.weight"))
    assert f"lacks: {lost}.vision" in complaint(main)


def test_a_lora_of_another_rank_than_announced_is_named(folder: Path) -> None:
    edit_json(folder / "speech-lora" / "adapter_config.json", r=16)
    assert "lora_A.speech [8, 128] instead of [16, 128]" in complaint(folder)


@pytest.mark.parametrize("changes", [{"r": None}, {"r": "8"}, {"lora_alpha": None}, {"r": 0}])
def test_an_adapter_config_without_rank_or_alpha_is_named(
    changes: dict[str, object], folder: Path
) -> None:
    edit_json(folder / "vision-lora" / "adapter_config.json", **changes)
    assert "the vision adapter's r and lora_alpha" in complaint(folder)


def test_a_variant_of_lora_is_refused(folder: Path) -> None:
    edit_json(folder / "vision-lora" / "adapter_config.json", use_dora=True)
    assert "describes no plain LoRA" in complaint(folder)


def test_a_stranger_in_an_adapter_file_is_named(folder: Path) -> None:
    path = folder / "vision-lora" / "adapter_model.safetensors"
    edit_tensors(path, lambda ts: ts.update({"classifier.weight": torch.ones(2)}))
    assert "classifier.weight" in complaint(folder)


def test_loras_that_mains_config_does_not_announce_are_named(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, "main")
    edit_json(folder / "config.json", vision_lora=None)
    assert "lora_A.vision" in complaint(folder)


def test_a_mains_shard_missing_a_tensor_names_it_natively(tmp_path: Path) -> None:
    folder = write_tiny_checkpoint(tmp_path, "main")
    native = "model.embed_tokens_extend.audio_embed.up_proj_for_speech.weight"
    edit_tensors(folder / "model.safetensors", lambda ts: ts.pop(main_name(native)))
    assert native in complaint(folder)
