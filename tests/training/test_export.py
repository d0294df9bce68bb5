"""The exported folder, read by ours and by transformers with peft: the learner's own logits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from audio.log_mel import log_mel
from core.checkpoint import open_checkpoint
from core.config import ModelOptions
from core.errors import BadModelError
from core.inputs import ModelInputs, Sound
from core.loader import load_model
from core.messages import ImagePart
from core.model import Model
from core.processor import Processor
from core.router import ROUTES, AdapterName, InputMode
from core.tokenizer import Tokenizer
from core.training.architecture import ADAPTER_RANKS
from core.training.course import picture_tokens
from core.training.dialogues import Dialogue, PictureRef, SoundRef, Turn, UserPart
from core.training.draw import Drawing, draw
from core.training.examples import IGNORED, Batch, MediaTokens, RowEncoder
from core.training.export import export
from core.training.items import Item, Scene
from core.training.learner import Learner, picture_encodings, sound_encodings
from core.training.materials import VIEW
from core.training.media import Clip, Clips, Pictures
from core.training.patch_labels import VIEW_PX
from core.training.start_from import start_from
from tests.core.reference import Reference
from tests.media import picture_file
from tests.tiny_checkpoint import write_tiny_checkpoint
from tests.training import random_learner, small_raw_tokenizer, small_tokenizer
from vision.tiles import Tiles, tile_picture

EXACT = ModelOptions(dtype="float32", quantization="none", device="cpu")
IN_USE = ModelOptions(dtype="bfloat16", quantization="none", device="cpu")
NOTHING_SAID = Clip("world", "", "", "", "")


@dataclass(frozen=True)
class Exported:
    """A learner, where it was written, and one picture and one clip to try it with."""

    learner: Learner
    folder: Path
    drawing: Drawing
    mel: np.ndarray

    @property
    def pictures(self) -> Pictures:
        d, tiles = self.drawing, self.tiles
        views = np.round((tiles.pixel_values[1:].numpy() + 1) * 127.5).astype(np.uint8)
        masks = tiles.patch_mask[1:].numpy()
        return Pictures(views, masks, d.patch_labels[None], d.char_labels[None])

    @property
    def clips(self) -> Clips:
        return Clips(self.mel, np.array([0, len(self.mel)]), (NOTHING_SAID,))

    @property
    def tiles(self) -> Tiles:
        return tile_picture(Image.fromarray(self.drawing.picture), VIEW)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A learner with random weights, exported; a picture that is padded."""
    learner, folder = random_learner(), tmp_path_factory.mktemp("exported")
    export(learner, small_raw_tokenizer(), folder)
    scene = Scene((Item("star", "red", "large", 4),), "", seed=0)
    seed = next(s for s in range(99) if draw(Scene(scene.items, "", s)).picture.shape[0] == 210)
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    mel = log_mel(noise).astype(np.float16)
    return Exported(learner, folder, draw(Scene(scene.items, "", seed)), mel)


@pytest.fixture(scope="module")
def ours(exported: Exported) -> Model:
    """The exported folder in float32."""
    return load_model(exported.folder, EXACT)


@pytest.fixture(scope="module")
def reference(exported: Exported) -> Reference:
    """The exported folder as transformers and peft read it."""
    return Reference(exported.folder)


def training_batch(mode: InputMode, exported: Exported) -> Batch:
    """One question of a mode, put together by the recipe."""
    user: list[UserPart] = ["What is 3 plus 4?"]
    if mode in (InputMode.SPEECH, InputMode.VISION_SPEECH):
        user.insert(0, SoundRef(0))
    if mode in (InputMode.VISION, InputMode.VISION_SPEECH):
        user.insert(0, PictureRef(0))
    tokenizer = small_tokenizer()
    media = MediaTokens(
        tokenizer.control_id("<|image|>"),
        tokenizer.control_id("<|audio|>"),
        lambda i: picture_tokens(exported.pictures.masks[i]),
        lambda i: -(-exported.clips.num_frames(i) // 8),
    )
    row = RowEncoder(tokenizer, media).encode(Dialogue((Turn(tuple(user), "7"),)))
    num_prompt = row.labels.index(next(label for label in row.labels if label != IGNORED)) + 1
    ids = torch.tensor([row.ids[:num_prompt]])
    return Batch(ids, torch.full_like(ids, IGNORED), row.pictures, row.sounds)


@torch.no_grad()
def learner_logits(mode: InputMode, exported: Exported, exact: bool) -> torch.Tensor:
    """The learner's logits at a prompt's end, in float32 throughout or as it trains."""
    learner, batch, route = exported.learner, training_batch(mode, exported), ROUTES[mode]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learner, "dtype", torch.float32 if exact else torch.bfloat16)
        if exact:  # what the recipe keeps is rounded to bfloat16
            patch.setattr(torch.Tensor, "bfloat16", lambda tensor: tensor)
        pictures = dict(enumerate(picture_encodings(learner, exported.pictures)))
        sounds = sound_encodings(learner, exported.clips)
        projector = route.audio_projector or "speech"
        with learner.autocast(), learner.adapter(route.adapter):
            embeddings = learner.embed(batch, pictures, sounds, projector).to(learner.dtype)
            hidden = learner.decoder(inputs_embeds=embeddings, use_cache=False).last_hidden_state
            logits: torch.Tensor = learner.causal_lm.lm_head(hidden[0, -1])
    return logits.float()


def inputs_in_use(mode: InputMode, exported: Exported) -> ModelInputs:
    """The same prompt as the model takes it in use."""
    batch = training_batch(mode, exported)
    sound = Sound(exported.mel.astype(np.float32), -(-len(exported.mel) // 8))
    return ModelInputs(
        batch.ids[0],
        ROUTES[mode],
        (exported.tiles,) if batch.pictures else (),
        (sound,) if batch.sounds else (),
    )


def last_logits(model: Model, inputs: ModelInputs) -> torch.Tensor:
    cache = model.new_kv_cache(1, inputs.num_tokens)
    return model.forward(model.embed(inputs)[None], cache, [0], [inputs.route.adapter])[0]


@pytest.mark.parametrize("mode", list(InputMode))
def test_the_exported_model_has_the_learners_logits(
    mode: InputMode, exported: Exported, ours: Model
) -> None:
    theirs = learner_logits(mode, exported, exact=True)
    assert theirs.std() > 0.5, "logits this flat would hide a mistake"
    difference = last_logits(ours, inputs_in_use(mode, exported)) - theirs
    assert float(difference.abs().max()) < 1e-3 * float(theirs.abs().max())


def test_a_learner_that_starts_from_the_folder_has_its_weights(exported: Exported) -> None:
    learner = random_learner(seed=1)
    theirs = dict(exported.learner.named_parameters())
    changed = [name for name, p in learner.named_parameters() if not torch.equal(p, theirs[name])]
    assert len(changed) > 0.9 * len(theirs)
    start_from(learner, exported.folder)
    for name, parameter in learner.named_parameters():
        assert torch.equal(parameter, theirs[name]), name


def test_a_model_of_another_shape_is_refused_and_the_learner_stays_as_it_was(
    tmp_path: Path,
) -> None:
    learner = random_learner()
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    folder = write_tiny_checkpoint(tmp_path / "other", "native")
    with pytest.raises(BadModelError, match="other is not a model of this recipe"):
        start_from(learner, folder)
    assert all(torch.equal(p, before[name]) for name, p in learner.named_parameters())


@pytest.mark.parametrize("mode", list(InputMode))
def test_transformers_and_peft_read_the_same_model(
    mode: InputMode, exported: Exported, ours: Model, reference: Reference
) -> None:
    inputs = inputs_in_use(mode, exported)
    theirs = reference.logits(inputs)[-1]
    difference = last_logits(ours, inputs) - theirs
    assert float(difference.abs().max()) < 1e-3 * float(theirs.abs().max())


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first, second]))[0, 1])


@pytest.mark.parametrize("mode", list(InputMode))
def test_in_bfloat16_the_model_in_use_follows_the_learner_and_no_other_route_does(
    mode: InputMode, exported: Exported
) -> None:
    theirs = learner_logits(mode, exported, exact=False)
    model, inputs = load_model(exported.folder, IN_USE), inputs_in_use(mode, exported)
    assert correlation(last_logits(model, inputs), theirs) > 0.99
    others: set[AdapterName | None] = {None, "vision", "speech"}
    for adapter in others - {inputs.route.adapter}:
        wrong = replace(inputs, route=replace(inputs.route, adapter=adapter))
        assert correlation(last_logits(model, wrong), theirs) < 0.97


def test_the_folder_opens_with_both_adapters_and_its_control_tokens(exported: Exported) -> None:
    checkpoint = open_checkpoint(exported.folder)
    assert checkpoint.layout == "native"
    assert {name: a.rank for name, a in checkpoint.adapters.items()} == ADAPTER_RANKS
    assert all(adapter.scale == 2.0 for adapter in checkpoint.adapters.values())
    tokenizer = Tokenizer.from_folder(exported.folder)
    config = checkpoint.config
    assert config.vision_config.image_token_id == tokenizer.control_id("<|image|>")
    assert config.audio_config.audio_token_id == tokenizer.control_id("<|audio|>")
    stops = [tokenizer.control_id(name) for name in ("<|endoftext|>", "<|end|>")]
    assert config.eos_token_id == stops
    assert tokenizer.encode_text("7 plus 5") == small_tokenizer().encode_text("7 plus 5")


@pytest.mark.parametrize("size_px", [(640, 480), (224, 224), (2000, 2000), (60, 45)])
def test_the_exported_processor_spends_one_crop_on_any_picture(
    size_px: tuple[int, int], exported: Exported
) -> None:
    processor = Processor.from_folder(
        exported.folder, small_tokenizer(), open_checkpoint(exported.folder).config
    )
    width_px, height_px = size_px
    pixels = np.random.default_rng(0).integers(0, 255, (height_px, width_px, 3), dtype=np.uint8)
    tiles = processor.picture(ImagePart(picture_file(Image.fromarray(pixels))))
    assert tiles.pixel_values.shape == (2, 3, VIEW_PX, VIEW_PX)


def test_nothing_of_the_folder_is_a_pickle(exported: Exported) -> None:
    names = {path.relative_to(exported.folder).as_posix() for path in exported.folder.rglob("*.*")}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= names
    assert {"vision-lora/adapter_model.safetensors", "speech-lora/adapter_config.json"} <= names
    assert all(name.endswith((".json", ".safetensors", ".md")) for name in names)
