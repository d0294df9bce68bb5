"""Ours against transformers and peft, in float32 and unquantised: the same logits."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from core import config
from core.config import ModelOptions
from core.errors import BadModelError, OutOfMemoryError
from core.inputs import ModelInputs
from core.loader import load_model
from core.model import Model
from core.router import ROUTES, AdapterName, InputMode
from tests.core.conftest import EXACT
from tests.core.reference import Reference, picture, prompt, sound
from tests.tiny_checkpoint import IMAGE_TOKEN_ID, ROPE_SWITCH, write_tiny_checkpoint

TOLERANCE = 1e-4
MODES = list(InputMode)


def last_logits(model: Model, inputs: ModelInputs, chunk: int | None = None) -> torch.Tensor:
    """Logits of a prompt's last position, prefilled at once or in chunks: (vocab,)."""
    embeddings = model.embed(inputs)[None]
    cache = model.new_kv_cache(1, inputs.num_tokens)
    cache.clear(0, model.rope_regime(inputs.num_tokens))
    logits = torch.empty(0)
    for part in embeddings.split(chunk or inputs.num_tokens, dim=1):
        logits = model.forward(part, cache, [0], [inputs.route.adapter])
    return logits[0]


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference between two rows of logits."""
    assert theirs.std() > 1.0, "logits this flat would hide a mistake"
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", ["native", "main"])
@pytest.mark.parametrize("sharded", [False, True])
def test_every_mode_gives_the_logits_of_transformers_in_every_layout(
    mode: InputMode,
    layout: Literal["native", "main"],
    sharded: bool,
    reference: Reference,
    tmp_path: Path,
) -> None:
    ours = load_model(write_tiny_checkpoint(tmp_path, layout, sharded), EXACT)
    inputs = prompt(mode)
    assert difference(last_logits(ours, inputs), reference.logits(inputs)[-1]) < TOLERANCE


@pytest.mark.parametrize("mode", MODES)
def test_routes_differ_so_that_parity_means_something(mode: InputMode, model: Model) -> None:
    inputs = prompt(mode)
    right = last_logits(model, inputs)
    adapters: tuple[AdapterName | None, ...] = (None, "vision", "speech")
    for adapter in adapters:
        if adapter == inputs.route.adapter:
            continue
        wrong = replace(inputs, route=replace(inputs.route, adapter=adapter))
        assert difference(last_logits(model, wrong), right) > 0.5


def test_sound_with_a_picture_goes_through_the_vision_projector(model: Model) -> None:
    inputs = prompt(InputMode.VISION_SPEECH)
    wrong = replace(inputs, route=replace(inputs.route, audio_projector="speech"))
    assert difference(last_logits(model, wrong), last_logits(model, inputs)) > 0.5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk", [1, 7, 16])
def test_prefill_in_chunks_equals_prefill_at_once(
    mode: InputMode, chunk: int, model: Model
) -> None:
    inputs = prompt(mode)
    assert difference(last_logits(model, inputs, chunk), last_logits(model, inputs)) < TOLERANCE


def test_decoding_step_by_step_gives_every_logit_of_one_pass(
    model: Model, reference: Reference
) -> None:
    inputs = prompt(InputMode.SPEECH, num_text_tokens=30)
    embeddings, expected = model.embed(inputs)[None], reference.logits(inputs)
    cache = model.new_kv_cache(1, inputs.num_tokens)
    start = inputs.num_tokens - 12
    logits = model.forward(embeddings[:, :start], cache, [0], ["speech"])
    for position in range(start, inputs.num_tokens):
        assert difference(logits[0], expected[position - 1]) < TOLERANCE
        token = embeddings[:, position : position + 1]
        logits = model.forward(token, cache, [0], ["speech"])


def test_rows_of_any_length_and_adapter_share_a_call(model: Model) -> None:
    modes = [InputMode.SPEECH, InputMode.LANGUAGE, InputMode.VISION, InputMode.SPEECH]
    prompts = [prompt(mode, 9 + 4 * i, seed=i) for i, mode in enumerate(modes)]
    cache = model.new_kv_cache(5, ROPE_SWITCH)
    rows = [3, 0, 4, 1]
    for row, inputs in zip(rows, prompts, strict=True):
        head = model.embed(inputs)[None, :-1]
        model.forward(head, cache, [row], [inputs.route.adapter])
    tokens = torch.stack([model.embed(inputs)[-1:] for inputs in prompts])
    adapters: list[AdapterName | None] = [inputs.route.adapter for inputs in prompts]
    logits = model.forward(tokens, cache, rows, adapters)
    for i, inputs in enumerate(prompts):
        assert difference(logits[i], last_logits(model, inputs)) < TOLERANCE
    assert [cache.length(row) for row in rows] == [inputs.num_tokens for inputs in prompts]


@pytest.mark.parametrize("num_tokens", range(ROPE_SWITCH - 1, ROPE_SWITCH + 3))
def test_positions_around_the_rope_switch_equal_a_fresh_run(
    num_tokens: int, model: Model, reference: Reference
) -> None:
    inputs = prompt(InputMode.LANGUAGE, num_tokens)
    for chunk in (None, 20):
        ours = last_logits(model, inputs, chunk)
        assert difference(ours, reference.logits(inputs)[-1]) < TOLERANCE


@pytest.fixture(scope="module")
def real_switch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint whose short regime is as long as the real model's."""
    folder = write_tiny_checkpoint(tmp_path_factory.mktemp("real-switch"))
    path = folder / "config.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    real = {"original_max_position_embeddings": 4096}
    written |= real | {"max_position_embeddings": 131_072}
    written["rope_parameters"] |= real | {"factor": 32.0}
    path.write_text(json.dumps(written), encoding="utf-8")
    return folder


def test_positions_around_4096_equal_a_fresh_run_of_transformers(real_switch: Path) -> None:
    model, reference = load_model(real_switch, EXACT), Reference(real_switch)
    assert [model.rope_regime(num) for num in (4096, 4097)] == ["short", "long"]
    for num_tokens in range(4095, 4099):
        inputs = prompt(InputMode.LANGUAGE, num_tokens)
        ours = last_logits(model, inputs, chunk=512)
        assert difference(ours, reference.logits(inputs)[-1]) < TOLERANCE


def test_a_row_is_not_decoded_past_the_rope_switch(model: Model) -> None:
    inputs = prompt(InputMode.LANGUAGE, ROPE_SWITCH)
    cache = model.new_kv_cache(1, 2 * ROPE_SWITCH)
    model.forward(model.embed(inputs)[None], cache, [0], [None])
    with pytest.raises(AssertionError, match="clear it under the long regime"):
        model.forward(model.embed(inputs)[None, -1:], cache, [0], [None])


def test_rows_of_both_rope_regimes_share_a_call(model: Model, reference: Reference) -> None:
    prompts = [prompt(InputMode.LANGUAGE, n, seed=n) for n in (30, ROPE_SWITCH + 9)]
    cache = model.new_kv_cache(2, 2 * ROPE_SWITCH)
    for row, inputs in enumerate(prompts):
        cache.clear(row, model.rope_regime(inputs.num_tokens))
        model.forward(model.embed(inputs)[None, :-1], cache, [row], [None])
    tokens = torch.stack([model.embed(inputs)[-1:] for inputs in prompts])
    logits = model.forward(tokens, cache, [0, 1], [None, None])
    for row, inputs in enumerate(prompts):
        assert difference(logits[row], reference.logits(inputs)[-1]) < TOLERANCE


@pytest.mark.parametrize("num_frames", [1, 8, 9, 100, 4000, 4001, 8000, 9003])
def test_sound_of_any_length_is_encoded_as_transformers_encodes_it(
    num_frames: int, model: Model, reference: Reference
) -> None:
    clip = sound(num_frames)
    for projector in ("speech", "vision"):
        theirs = reference.sound_embeddings(clip, projector)
        ours = model.encode_sound(clip, projector)
        assert ours.shape == (clip.num_tokens, model.config.hidden_size)
        assert float((ours - theirs).abs().max()) < TOLERANCE * float(theirs.abs().max())


@pytest.mark.parametrize(("down", "across", "padded"), [(1, 1, 0), (2, 3, 2), (3, 1, 0), (1, 2, 1)])
def test_pictures_of_any_grid_give_the_logits_of_transformers(
    down: int, across: int, padded: int, model: Model, reference: Reference
) -> None:
    shown = picture(5, down, across, padded)
    ids = torch.tensor([1, 2] + [IMAGE_TOKEN_ID] * shown.num_tokens + [3, 4])
    inputs = ModelInputs(ids, ROUTES[InputMode.VISION], (shown,))
    assert difference(last_logits(model, inputs), reference.logits(inputs)[-1]) < TOLERANCE


@pytest.mark.parametrize(
    ("copies", "num_looked_at"),
    [({1: 0}, 6), ({1: 0, 2: 0, 5: 4}, 4), ({2: 1, 3: 1, 4: 1, 5: 1, 6: 1}, 5), ({6: 3}, 7)],
)
def test_tiles_that_are_alike_are_looked_at_once(
    copies: dict[int, int],
    num_looked_at: int,
    model: Model,
    reference: Reference,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tile 0 is the global view; crop 3 has padding on the right, 4 and 5 below, and 6 both."""
    shown = picture(6, 2, 3, 2)
    for to, source in copies.items():
        shown.pixel_values[to] = shown.pixel_values[source]
    looked_at = 0
    see = model._vision_encoder._crop_features

    def counted(pixels: torch.Tensor, *others: Any) -> torch.Tensor:
        nonlocal looked_at
        looked_at += len(pixels)
        return see(pixels, *others)

    monkeypatch.setattr(model._vision_encoder, "_crop_features", counted)
    ids = torch.tensor([1, 2] + [IMAGE_TOKEN_ID] * shown.num_tokens + [3, 4])
    inputs = ModelInputs(ids, ROUTES[InputMode.VISION], (shown,))
    assert difference(last_logits(model, inputs), reference.logits(inputs)[-1]) < TOLERANCE
    assert looked_at == num_looked_at


@pytest.mark.parametrize("mode", MODES)
def test_the_last_layer_is_asked_for_the_last_token_alone(
    mode: InputMode, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, decoder = prompt(mode), model._decoder
    cache = model.new_kv_cache(1, inputs.num_tokens)
    every = model.score(model.embed(inputs)[None], cache, 0, inputs.route.adapter)
    *before, last = decoder.layers
    fed: list[tuple[int, ...]] = []

    def down(x: torch.Tensor, adapters: Any) -> torch.Tensor:
        fed.append(tuple(x.shape[:2]))
        return last.down_proj(x, adapters)

    watched: Any = down
    monkeypatch.setattr(decoder, "layers", [*before, replace(last, down_proj=watched)])
    torch.testing.assert_close(last_logits(model, inputs), every[-1], atol=1e-5, rtol=1e-5)
    assert fed == [(1, 1)]


def test_several_pictures_and_sounds_stand_in_their_own_places(model: Model) -> None:
    first, second = prompt(InputMode.VISION_SPEECH, seed=1), prompt(InputMode.VISION_SPEECH, seed=2)
    both = ModelInputs(
        torch.cat((first.token_ids, second.token_ids)),
        first.route,
        first.pictures + second.pictures,
        first.sounds + second.sounds,
    )
    expected = torch.cat((model.embed(first), model.embed(second)))
    assert torch.equal(model.embed(both), expected)


def test_placeholders_that_do_not_match_the_media_are_our_mistake(model: Model) -> None:
    inputs = prompt(InputMode.VISION)
    with pytest.raises(AssertionError, match="placeholders"):
        model.embed(replace(inputs, pictures=()))
    with pytest.raises(AssertionError, match="placeholders"):
        model.embed(replace(inputs, token_ids=inputs.token_ids[:-8]))


def test_text_is_bit_identical_with_and_without_adapters(
    model: Model, native_folder: Path, tmp_path: Path
) -> None:
    bare_folder = tmp_path / "bare"
    shutil.copytree(native_folder, bare_folder, ignore=shutil.ignore_patterns("*-lora"))
    bare, inputs = load_model(bare_folder, EXACT), prompt(InputMode.LANGUAGE)
    assert set(model.adapters) == {"speech", "vision"}
    assert not bare.adapters
    assert torch.equal(last_logits(bare, inputs), last_logits(model, inputs))
    cases: list[list[AdapterName | None]] = [[None, "speech"], ["vision", None]]
    for adapters in cases:
        cache = model.new_kv_cache(2, ROPE_SWITCH)
        twice = model.embed(inputs).expand(2, -1, -1)
        alone = bare.forward(twice, bare.new_kv_cache(2, ROPE_SWITCH), [0, 1], [None, None])
        mixed = model.forward(twice, cache, [0, 1], adapters)
        row = adapters.index(None)
        assert torch.equal(mixed[row], alone[row])


def test_an_adapter_the_checkpoint_lacks_is_a_clear_error(
    native_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "deaf"
    shutil.copytree(native_folder, folder, ignore=shutil.ignore_patterns("speech-lora"))
    deaf = load_model(folder, EXACT)
    embeddings = deaf.embed(prompt(InputMode.LANGUAGE))[None]
    with pytest.raises(BadModelError, match="no speech adapter"):
        deaf.forward(embeddings, deaf.new_kv_cache(1, 64), [0], ["speech"])


def test_a_cache_beyond_all_memory_is_a_clear_error(model: Model) -> None:
    with pytest.raises(OutOfMemoryError, match="no memory"):
        model.new_kv_cache(10**6, 10**9)


def test_loading_reports_every_tensor_in_order(native_folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    load_model(native_folder, EXACT, lambda done, total: seen.append((done, total)))
    done = [pair[0] for pair in seen]
    assert done == sorted(done)
    assert seen[-1][0] == seen[-1][1]
    assert {total for _, total in seen} == {seen[-1][1]}


@pytest.mark.parametrize(("is_fast", "dtype"), [(True, "bfloat16"), (False, "float32")])
def test_auto_options_are_decided_when_the_model_is_loaded(
    is_fast: bool,
    dtype: Literal["bfloat16", "float32"],
    native_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(config, "has_fast_bfloat16", lambda device: is_fast)
    loaded = load_model(native_folder, ModelOptions(device="cpu", quantization="none"))
    assert loaded.options == ModelOptions(dtype, "none", "cpu")
    assert loaded.dtype == config.TORCH_DTYPES[dtype]
    inputs = prompt(InputMode.VISION_SPEECH)
    assert loaded.embed(inputs).dtype == loaded.dtype
    assert last_logits(loaded, inputs).dtype == torch.float32
