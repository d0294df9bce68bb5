"""The model under training against transformers' own forward pass, and what may learn when."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import Phi4MultimodalForCausalLM

from audio.log_mel import log_mel
from core.training.course import picture_tokens
from core.training.draw import ASPECTS, draw
from core.training.examples import IGNORED, Batch
from core.training.fonts import HELD_OUT_FACES
from core.training.learner import (
    Learner,
    picture_encodings,
    picture_tensors,
    sound_encodings,
)
from core.training.materials import VIEW, _draw_chunk
from core.training.media import Clip, Clips, Pictures
from core.training.patch_labels import PATCH_PX
from core.training.pointed import Pointed, pointed_places
from core.training.scene_list import scene_at
from tests.media import picture_file
from tests.training import random_learner, small_tokenizer, without_compiler
from vision.load import load_picture
from vision.tiles import num_picture_tokens, tile_picture

EXACT = 1e-5
NUM_IDS = 1600  # fewer than any vocabulary of the recipe has
NOTHING_SAID = Clip("world", "", "", "", "")
BFLOAT16 = 0.02  # of the largest value: a few roundings to 8 bits


@pytest.fixture(scope="module")
def learner() -> Learner:
    """One learner for the tests that do not change it."""
    return random_learner()


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Four held-out drawings, of every shape at least one."""
    drawn = Pictures(**_draw_chunk(0, "held_out", 0, 40))
    by_shape = {(int(m[:, 0].sum()), int(m[0].sum())): i for i, m in enumerate(drawn.masks)}
    assert set(by_shape) == {(10, 10), (8, 10), (10, 8)}
    indices = [by_shape[shape] for shape in sorted(by_shape, reverse=True)]
    indices.append(min(set(range(40)) - set(indices)))
    arrays = (drawn.views, drawn.masks, drawn.labels, drawn.characters)
    return Pictures(*(array[indices] for array in arrays))


@pytest.fixture(scope="module")
def clips() -> Clips:
    """Two noises of unlike length."""
    noise = np.random.default_rng(0)
    mels = [log_mel(noise.normal(0, 0.1, num).astype(np.float32)) for num in (9_000, 16_500)]
    frames = np.concatenate(mels).astype(np.float16)
    return Clips(frames, np.cumsum([0, *map(len, mels)]), (NOTHING_SAID,) * len(mels))


def text_batch() -> Batch:
    """Random text of which everything is learned."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, NUM_IDS, (3, 17), generator=generator)
    return Batch(ids[:, :-1], ids[:, 1:], (), ())


def media_batch(
    learner: Learner,
    num_image: int,
    num_audio: int,
    pictures: tuple[int, ...] = (),
    sounds: tuple[int, ...] = (),
) -> Batch:
    """One row of placeholders between text."""
    image = learner.config.vision_config.image_token_id
    audio = learner.config.audio_config.audio_token_id
    ids = torch.tensor([[5, 6, *[image] * num_image, 7, *[audio] * num_audio, 8]])
    return Batch(ids, torch.full_like(ids, IGNORED), pictures, sounds)


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference as a share of the largest value."""
    assert ours.shape == theirs.shape
    return float((ours.float() - theirs.float()).abs().max() / theirs.abs().max())


# Pictures


@pytest.mark.parametrize("size", [*ASPECTS, (640, 480), (1280, 720), (60, 45), (100, 900)])
def test_picture_tokens_are_what_the_model_in_use_counts(size: tuple[int, int]) -> None:
    tiles = tile_picture(Image.new("RGB", size), VIEW)
    assert picture_tokens(tiles.patch_mask[1].numpy()) == num_picture_tokens(*size, VIEW)


@pytest.mark.parametrize("index", range(12))
def test_a_picture_is_kept_as_the_model_in_use_sees_it(index: int) -> None:
    kept = Pictures(**_draw_chunk(0, "held_out", index, index + 1))
    (crop,), (mask,) = picture_tensors(kept, (0,))
    picture = Image.fromarray(draw(scene_at("held_out", index), HELD_OUT_FACES).picture)
    tiles = tile_picture(load_picture(picture_file(picture)), VIEW)
    assert torch.equal(mask, tiles.patch_mask[1])
    assert torch.allclose(crop, tiles.pixel_values[1], atol=1e-3)
    assert torch.allclose(crop, tiles.pixel_values[0], atol=1e-3)  # the global view is no other
    assert tiles.patch_mask[0].all()
    assert tiles.num_tokens == picture_tokens(mask.numpy())
    assert not kept.labels[0][:, ~mask.numpy()].any()
    assert not kept.characters[0][~mask.numpy().repeat(2, axis=1)].any()


@torch.no_grad()
def test_patches_are_encoded_as_transformers_encodes_them(
    learner: Learner, pictures: Pictures
) -> None:
    crops, masks = picture_tensors(pictures, (0, 1, 2, 3))
    vision = learner.media.image_embed.img_processor
    for seen in (masks, torch.ones_like(masks)):
        theirs = vision(crops, patch_attention_mask=seen, output_hidden_states=True)
        ours = learner.encode_patches(crops, seen)
        assert relative(ours[seen.flatten(1)], theirs.hidden_states[-2][seen.flatten(1)]) < EXACT


@torch.no_grad()
def test_every_patch_of_a_picture_sees_every_other(learner: Learner, pictures: Pictures) -> None:
    crops, masks = picture_tensors(pictures, (0,))
    whole = torch.ones_like(masks)
    before = learner.encode_patches(crops, whole)[0]
    crops[..., -PATCH_PX:, -PATCH_PX:] *= -1.0
    changed = (learner.encode_patches(crops, whole)[0] - before).abs().amax(-1)
    assert (changed > 0).all()


@torch.no_grad()
def test_padding_changes_no_patch_of_the_picture(learner: Learner, pictures: Pictures) -> None:
    crops, masks = picture_tensors(pictures, (1,))
    padding = ~masks.repeat_interleave(PATCH_PX, 1).repeat_interleave(PATCH_PX, 2)
    assert padding.any()
    before = learner.encode_patches(crops, masks)[masks.flatten(1)]
    crops[padding[:, None].expand_as(crops)] = -1.0
    after = learner.encode_patches(crops, masks)[masks.flatten(1)]
    assert relative(after, before) < EXACT


def transformers_embeddings(
    learner: Learner, batch: Batch, crop: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Transformers' own embeddings of a row with one picture of one crop, in float32."""
    views = torch.stack([torch.ones_like(mask), mask])
    embedded: torch.Tensor = learner.media.image_embed(
        batch.ids,
        learner.decoder.embed_tokens(batch.ids),
        image_pixel_values=torch.stack([crop, crop])[None],
        image_sizes=torch.tensor([list(crop.shape[1:])]),
        image_attention_mask=views[None],
    )
    return embedded


@torch.no_grad()
@pytest.mark.parametrize("index", range(4))
def test_a_picture_is_arranged_as_transformers_arranges_it(
    index: int, learner: Learner, pictures: Pictures
) -> None:
    (crop,), (mask,) = picture_tensors(pictures, (index,))
    size = int(mask[:, 0].sum()) // 2, int(mask[0].sum()) // 2
    num_tokens = picture_tokens(mask.numpy())
    batch = media_batch(learner, num_tokens, 0, pictures=(index,))
    views = torch.stack([torch.ones_like(mask), mask])
    features = learner.media.image_embed.get_img_features(torch.stack([crop, crop]), views)
    encodings = {index: (features, size)}
    ours = learner.embed(batch, encodings, None, "speech")
    theirs = transformers_embeddings(learner, batch, crop, mask)
    assert relative(ours, theirs) < EXACT


@torch.no_grad()
def test_kept_encodings_are_transformers_features_rounded(
    learner: Learner, pictures: Pictures
) -> None:
    encodings = dict(enumerate(picture_encodings(learner, pictures)))
    assert list(encodings) == [0, 1, 2, 3]
    crops, masks = picture_tensors(pictures, (0, 1, 2, 3))
    embed = learner.media.image_embed
    for index, (features, size) in encodings.items():
        assert features.shape == (2, 25, learner.config.vision_config.hidden_size)
        assert size == (int(masks[index, ::2, 0].sum()), int(masks[index, 0, ::2].sum()))
        views = torch.stack([torch.ones_like(masks[index]), masks[index]])
        pixels = torch.stack([crops[index]] * 2)
        theirs = embed.get_img_features(pixels, attention_mask=views)
        seen = F.avg_pool2d(views.float(), 2).flatten(1) == 1
        assert relative(features[seen], theirs[seen]) < BFLOAT16


# Sounds


@torch.no_grad()
@pytest.mark.parametrize("projector", ["speech", "vision"])
def test_sound_goes_through_its_projector_as_in_transformers(
    projector: str, learner: Learner, clips: Clips
) -> None:
    sounds = sound_encodings(learner, clips)
    for index in range(2):
        num_tokens = -(-clips.num_frames(index) // 8)
        assert sounds[index].shape[0] == num_tokens
        batch = media_batch(learner, 0, num_tokens, sounds=(index,))
        mel = torch.from_numpy(clips.log_mel(index).astype(np.float32))
        theirs = learner.media.audio_embed(
            batch.ids,
            learner.decoder.embed_tokens(batch.ids),
            audio_input_features=mel[None],
            audio_embed_sizes=torch.tensor([num_tokens]),
            audio_projection_mode=projector,
        )
        assert relative(learner.embed(batch, None, sounds, projector), theirs) < BFLOAT16


def test_clips_to_learn_from_are_varied_and_always_alike(learner: Learner, clips: Clips) -> None:
    plain = sound_encodings(learner, clips)
    varied, again, other = (
        sound_encodings(learner, clips, random.Random(seed)) for seed in (1, 1, 2)
    )
    assert all(varied[i].shape == plain[i].shape for i in plain)
    assert all(torch.equal(varied[i], again[i]) for i in plain)
    assert not all(torch.equal(varied[i], plain[i]) for i in plain)
    assert not all(torch.equal(varied[i], other[i]) for i in plain)


def test_sounds_stand_in_prompt_order_and_text_stays_as_it_is(learner: Learner) -> None:
    hidden = learner.config.audio_config.hidden_size
    sounds = {3: torch.full((2, hidden), 0.5), 1: torch.full((4, hidden), -0.5)}
    batch = media_batch(learner, 0, 6, sounds=(3, 1))
    embedded = learner.embed(batch, None, sounds, "speech")[0]
    is_text = batch.ids[0] != learner.config.audio_config.audio_token_id
    assert torch.equal(embedded[is_text], learner.decoder.embed_tokens(batch.ids[0][is_text]))
    first, second = embedded[~is_text].split([2, 4])
    # Close, not equal: a matrix product may sum its last rows in another order.
    torch.testing.assert_close(first[0], first[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(second[0], second[3], rtol=1e-5, atol=1e-6)
    assert float((first[0] - second[0]).abs().max()) > 1e-3


def batch_pointing(learner: Learner, pointed: list[Pointed]) -> Batch:
    """One row whose middle places point at words, a typed token before and behind."""
    nothing = learner.config.audio_config.audio_token_id
    row = torch.tensor([[5, *[nothing] * len(pointed), 6]])
    places = pointed_places([list(enumerate(pointed, 1))])
    return Batch(row, torch.full_like(row, IGNORED), (), (), pointed=places)


def test_a_clear_place_is_what_its_words_add_to_the_middle(learner: Learner) -> None:
    said = [Pointed((), 1, 0), Pointed((7,), 1, 0), Pointed((7,), 0.5, 0), Pointed((7, 9), 1, 0)]
    (embedded,) = learner.embed(batch_pointing(learner, said), None, None, "speech")
    table = learner.decoder.embed_tokens.weight
    middle = table.mean(0)
    half, both = (middle + table[7]) / 2, table[7] + table[9] - middle
    for found, wanted in zip(
        embedded, (table[5], middle, table[7], half, both, table[6]), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_places_are_as_far_from_their_words_as_is_asked_for(learner: Learner) -> None:
    num, table = 300, learner.decoder.embed_tokens.weight
    said = [Pointed((), 1, 0.5)] * num + [Pointed((8,), 1, 0.5)] * num
    batch = batch_pointing(learner, said)
    (embedded,) = learner.embed(batch, None, None, "speech")
    assert torch.equal(embedded, learner.embed(batch, None, None, "speech")[0])
    assert torch.equal(embedded[[0, -1]], table[[5, 6]])
    frames = embedded[1:-1].split(num)
    for part, wanted in zip(frames, (table.mean(0), table[8]), strict=True):
        away = (part - wanted) / (table - table.mean(0)).norm(dim=1).mean()
        assert abs(float(away.norm(dim=1).mean()) - 0.5) < 0.05
        assert float(away.mean(0).norm()) < 0.1  # to all sides


# What learns, and which adapter is active


def learns(learner: Learner) -> set[str]:
    return {name for name, parameter in learner.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("adapter", [None, "vision", "speech"])
@pytest.mark.parametrize("prefix", ["lora.vision.", "lora.speech.", "model.layers.", "model.norm."])
def test_what_learns_stays_so_inside_and_after_any_adapter(
    prefix: str, adapter: str | None, learner: Learner
) -> None:
    chosen = learner.parameters(prefix)
    learner.freeze_all_but(chosen)
    assert learns(learner) == set(chosen)
    with learner.adapter(adapter):
        assert learns(learner) == set(chosen)
    assert learns(learner) == set(chosen)


def test_parameters_are_named_apart_by_what_they_belong_to(learner: Learner) -> None:
    text = learner.parameters("model.embed_tokens.", "model.layers.", "model.norm.")
    vision, speech = learner.parameters("lora.vision."), learner.parameters("lora.speech.")
    media = learner.parameters("model.embed_tokens_extend.")
    groups = [text, vision, speech, media]
    names = [name for group in groups for name in group]
    assert len(names) == len(set(names)) == len(dict(learner.named_parameters()))
    num_layers = learner.config.num_hidden_layers
    assert len(vision) == len(speech) == num_layers * 4 * 2
    assert len({id(p) for group in groups for p in group.values()}) == len(names)


def output(learner: Learner, batch: Batch, adapter: str | None) -> torch.Tensor:
    embeddings = learner.embed(batch, None, None, "speech")
    with torch.no_grad(), learner.adapter(adapter):
        hidden = learner.decoder(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        logits: torch.Tensor = learner.causal_lm.lm_head(hidden)
    return logits


def bare_copy(learner: Learner) -> Phi4MultimodalForCausalLM:
    """The base model alone, as if no adapter had ever been attached."""
    bare = Phi4MultimodalForCausalLM(learner.config)
    state = {
        name.replace(".base_layer", ""): tensor
        for name, tensor in learner.causal_lm.state_dict().items()
        if ".lora_" not in name
    }
    bare.load_state_dict(state)
    bare.set_attn_implementation("eager")
    return bare.eval()


def test_text_is_bit_identical_to_the_base_model_without_adapters(learner: Learner) -> None:
    batch = text_batch()
    with torch.no_grad():
        bare = bare_copy(learner)(input_ids=batch.ids, use_cache=False).logits
    assert torch.equal(output(learner, batch, None), bare)


def test_each_adapter_changes_the_logits_in_its_own_way(learner: Learner) -> None:
    batch = text_batch()
    outputs = [output(learner, batch, adapter) for adapter in (None, "vision", "speech")]
    for i, first in enumerate(outputs):
        for second in outputs[i + 1 :]:
            assert relative(first, second) > 0.05
    assert torch.equal(output(learner, batch, None), outputs[0])


@pytest.mark.parametrize("adapter", ["vision", "speech"])
def test_only_the_active_adapter_gets_gradients(adapter: str) -> None:
    learner = random_learner()
    learner.freeze_all_but(
        {**learner.parameters("lora.vision."), **learner.parameters("lora.speech.")}
    )
    batch = text_batch()
    with learner.autocast():
        embeddings = learner.embed(batch, None, None, "speech")
        learner.loss_and_hits(batch, embeddings, adapter)[0].backward()
    moved = {name for name, p in learner.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved == set(learner.parameters(f"lora.{adapter}."))


# The loss


@pytest.fixture(scope="module")
def decided() -> Iterator[Learner]:
    """A learner whose likeliest token leads by far, so that rounding decides nothing."""
    learner = random_learner()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        embeddings = learner.decoder.embed_tokens.weight
        embeddings *= 0.1 + 4 * torch.rand(len(embeddings), 1, generator=generator) ** 8
    yield learner


def greedy(learner: Learner, prompt: list[int], num_tokens: int) -> list[int]:
    """A reply token by token, the likeliest each time."""
    ids = list(prompt)
    with torch.no_grad(), learner.autocast():
        for _ in range(num_tokens):
            batch = Batch(torch.tensor([ids]), torch.empty(0), (), ())
            embeddings = learner.embed(batch, None, None, "speech").to(learner.dtype)
            with learner.adapter("speech"):
                hidden = learner.decoder(inputs_embeds=embeddings, use_cache=False)
            logits = learner.causal_lm.lm_head(hidden.last_hidden_state[0, -1])
            ids.append(int(logits.argmax()))
    return ids[len(prompt) :]


def reply_batch(prompt: list[int], replies: list[list[int]]) -> Batch:
    """Rows of a prompt and a reply, of which the reply is learned; padded by four."""
    ids = torch.tensor([[*prompt, *reply[:-1], 0, 0, 0, 0] for reply in replies])
    ignored = [IGNORED] * (len(prompt) - 1)
    labels = torch.tensor([[*ignored, *reply, *[IGNORED] * 4] for reply in replies])
    return Batch(ids, labels, (), ())


def test_a_row_hits_when_greedy_decoding_says_just_its_reply(decided: Learner) -> None:
    prompt = [11, 402, 77, 900]
    right = greedy(decided, prompt, 5)
    wrongs = [[*right[:i], (right[i] + 1) % NUM_IDS, *right[i + 1 :]] for i in range(5)]
    batch = reply_batch(prompt, [right, *wrongs])
    with torch.no_grad(), decided.autocast():
        embeddings = decided.embed(batch, None, None, "speech")
        _, hits = decided.loss_and_hits(batch, embeddings, "speech")
    assert hits.all(-1).tolist() == [True] + [False] * 5
    for place, row in enumerate(hits[1:]):  # wrong where the reply was changed, right before it
        assert int(row.int().argmin()) == len(prompt) - 1 + place


def test_the_loss_is_the_mean_over_replies_whatever_the_padding_holds(learner: Learner) -> None:
    batch = reply_batch([11, 402, 77], [[5, 6, 7], [8, 9, 10]])
    other = replace(batch, ids=batch.ids.clone())
    other.ids[:, -4:] = 33
    losses = []
    with torch.no_grad(), learner.autocast():
        for each in (batch, other):
            embeddings = learner.embed(each, None, None, "speech")
            losses.append(float(learner.loss_and_hits(each, embeddings, None)[0]))
    logits = output(learner, batch, None)
    expected = F.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), ignore_index=IGNORED)
    assert losses[0] == losses[1]
    assert losses[0] == pytest.approx(float(expected), rel=0.03)


def test_a_label_of_more_weight_counts_for_more(learner: Learner) -> None:
    batch = reply_batch([11, 402, 77], [[5, 6, 7]])
    alone = replace(batch, labels=batch.labels.clone())
    alone.labels[0, 2:4] = IGNORED  # only the last of the reply is left
    weights = torch.ones(batch.labels.shape)
    weights[0, 4] = 1e6
    losses = []
    with torch.no_grad(), learner.autocast():
        for each in (batch, replace(batch, weights=weights), alone):
            embeddings = learner.embed(each, None, None, "speech")
            losses.append(float(learner.loss_and_hits(each, embeddings, None)[0]))
    assert losses[1] == pytest.approx(losses[2], rel=1e-3)
    assert losses[0] != pytest.approx(losses[2], rel=1e-3)


def test_the_first_weights_follow_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    without_compiler(monkeypatch)
    first, again, other = (Learner(small_tokenizer().full, seed, "cpu") for seed in (0, 0, 1))
    weights = [dict(each.named_parameters()) for each in (first, again, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    name = "model.layers.0.self_attn.qkv_proj.weight"
    assert not torch.equal(weights[0][name], weights[2][name])
    assert first.causal_lm.lm_head.weight is first.decoder.embed_tokens.weight


def test_new_adapters_change_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    without_compiler(monkeypatch)
    fresh = Learner(small_tokenizer().full, 0, "cpu")
    batch = text_batch()
    for adapter in ("vision", "speech"):
        assert torch.equal(output(fresh, batch, adapter), output(fresh, batch, None))
