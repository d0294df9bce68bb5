"""The whole recipe in miniature: every stage for two steps, and a model folder at its end."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.config import ModelOptions
from core.hub import BUNDLED_FOLDER
from core.inputs import ModelInputs
from core.loader import load_model
from core.router import ROUTES, InputMode
from core.tokenizer import Tokenizer
from core.training import architecture, course, recipe, speech_stages, vision_stages, vocabulary
from core.training.export import base_tensors, export, stored
from core.training.materials import Materials, clip_at
from core.training.nf4_base import nf4_of
from core.training.parts import PARTS, PROJECTORS
from core.training.recipe import NEEDS, main
from core.training.record import write_record
from core.training.stages import STAGES
from core.training.start_from import start_from
from tests.training import with_few_layers, without_compiler

NUM_HELD_OUT = 48  # clips of every kind are among them
BARE = ["--scale", "0", "--materials", "0", "--device", "cpu", "--threads", "1"]


@dataclass(frozen=True)
class Run:
    """Where a run worked, and what it wrote."""

    work: Path
    out: Path


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Fewer sentences, layers and held-out media than the recipe's, and no compiling."""
    num_threads = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        without_compiler(patch)
        with_few_layers(patch)
        patch.setattr(vocabulary, "NUM_DIALOGUES", 400)
        patch.setattr(recipe, "NUM_HELD_OUT", NUM_HELD_OUT)
        for module in (course, speech_stages, vision_stages):
            patch.setattr(module, "NUM_VALIDATION", 8)
        yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def run(small: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The recipe from nothing to a model folder."""
    folder = tmp_path_factory.mktemp("recipe")
    made = Run(folder / "work", folder / "out")
    assert main(["all", "--work", str(made.work), "--out", str(made.out), *BARE]) == 0
    return made


def recorded(folder: Path) -> list[str]:
    """The stages whose figures lie beside a model or parts of one."""
    return [record["name"] for record in json.loads((folder / "training.json").read_text())]


@pytest.mark.espeak
def test_every_stage_ends_with_its_figures_and_a_checkpoint(run: Run) -> None:
    for name in STAGES:
        record = json.loads((run.work / f"{name}.json").read_text())
        assert record["num_steps"] == 2
        for figure, value in record["figures"].items():
            # What is heard where nothing is said is wrong too: that has no upper bound.
            assert 0 <= value <= (math.inf if figure.endswith("_error_rate") else 1)
        assert all(loss > 0 for _, loss in record["loss"])
        assert (run.work / f"{name}.safetensors").exists()


@pytest.mark.espeak
def test_the_record_beside_the_model_and_that_of_the_parts_list_what_made_them(run: Run) -> None:
    assert recorded(run.out) == list(STAGES)
    assert recorded(run.work / "parts") == [name for name in STAGES if name in PARTS]


@pytest.mark.espeak
def test_what_the_recipe_writes_is_a_model_that_answers(run: Run) -> None:
    model = load_model(run.out, ModelOptions(device="cpu"))
    tokenizer = Tokenizer.from_folder(run.out)
    assert set(model.adapters) == {"vision", "speech"}
    ids = torch.tensor(tokenizer.encode_text("Hello."))
    inputs = ModelInputs(ids, ROUTES[InputMode.LANGUAGE])
    cache = model.new_kv_cache(1, inputs.num_tokens)
    logits = model.forward(model.embed(inputs)[None], cache, [0], [None])
    assert logits.shape == (1, model.config.vocab_size)
    assert logits.isfinite().all()


@pytest.mark.espeak
def test_a_finished_run_started_again_writes_the_same_model(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = (run.out / "model.safetensors").read_bytes()
    monkeypatch.setattr("core.training.materials.make_chunks", None)  # nothing is drawn again
    again = run.out.with_name("again")
    assert main(["all", "--work", str(run.work), "--out", str(again), *BARE]) == 0
    assert (again / "model.safetensors").read_bytes() == first
    for adapter in ("vision-lora", "speech-lora"):
        name = f"{adapter}/adapter_model.safetensors"
        assert (again / name).read_bytes() == (run.out / name).read_bytes()


@pytest.mark.espeak
def test_materials_are_what_their_indices_say(run: Run) -> None:
    folder = run.work / "materials"
    materials = Materials(folder, 64, 64, NUM_HELD_OUT, lambda *_: pytest.fail("made anew"))
    assert len(materials.pictures("train")) == 64
    clips = materials.clips("held_out")
    assert len(clips) == NUM_HELD_OUT
    for index in range(NUM_HELD_OUT):
        clip = clip_at("held_out", index, range(NUM_HELD_OUT))
        assert clips.about[index] == clip
        num_words = len(clip.spoken.split())
        assert 10 * num_words < clips.num_frames(index) < 100 * num_words + 100
        assert clips.log_mel(index).shape == (clips.num_frames(index), 80)


@pytest.mark.espeak
def test_a_vision_encoder_that_has_learned_is_asked_anew(run: Run) -> None:
    options = recipe._parser().parse_args(["--work", str(run.work), *BARE])
    course = recipe._course(options, Tokenizer(vocabulary.train_tokenizer().to_str()))
    before = course.picture_encodings("held_out", (0,))[0][0].clone()
    stage = vision_stages.vision_joint(course)
    with torch.no_grad():
        for name, parameter in stage.parameters.items():
            if ".img_processor." in name:
                parameter.add_(0.1)
    assert not torch.equal(course.picture_encodings("held_out", (0,))[0][0], before)


@pytest.mark.espeak
def test_a_finished_model_goes_on_from_where_it_is(run: Run) -> None:
    out, work = run.out.with_name("refined"), run.work.with_name("refining")
    shutil.copytree(run.work / "materials", work / "materials")
    command = ["vision_speech", "--start-from", str(run.out), "--minutes", "9"]
    assert main([*command, "--work", str(work), "--out", str(out), *BARE]) == 0
    assert [path.stem for path in work.glob("from-*/*.json")] == ["vision_speech"]
    first, refined = (load_file(folder / "model.safetensors") for folder in (run.out, out))
    moved = {name for name in first if not torch.equal(first[name], refined[name])}
    assert recorded(out) == [*STAGES, "vision_speech"]
    assert moved
    assert all("vision_speech" in name or ".image_embed." in name for name in moved)


@pytest.mark.espeak
@pytest.mark.parametrize(
    ("projector", "adapter", "behind"),
    [
        ("speech_projector", "speech", ["speech", "vision_speech"]),
        (
            "vision_projector",
            "vision",
            ["vision_joint", "vision", "vision_pairs", "vision_speech"],
        ),
    ],
)
def test_what_knows_a_projector_is_begun_anew_with_it(
    run: Run, projector: str, adapter: str, behind: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, work = run.out.with_name(f"new-{adapter}"), run.work.with_name(f"renewing-{adapter}")
    shutil.copytree(run.work / "materials", work / "materials")
    command = [projector, "--start-from", str(run.out), "--work", str(work), "--out", str(out)]
    assert main([*command, *BARE]) == 0
    told = capsys.readouterr().out
    assert f"Now train {' and '.join(behind)}: they do not know the new projector yet." in told
    old, new = (load_file(folder / "model.safetensors") for folder in (run.out, out))
    key = next(k for k in sorted(old) if k.startswith(PROJECTORS[adapter][0]) and old[k].ndim == 2)
    likeness = torch.cosine_similarity(old[key].float().flatten(), new[key].float().flatten(), 0)
    assert abs(likeness) < 0.5  # two steps alone would hardly have moved it
    for name in ("vision", "speech"):
        file = f"{name}-lora/adapter_model.safetensors"
        first, renewed = load_file(run.out / file), load_file(out / file)
        assert any(tensor.any() for key, tensor in first.items() if "lora_B" in key)
        if name == adapter:
            assert not any(tensor.any() for key, tensor in renewed.items() if "lora_B" in key)
        else:
            assert all(torch.equal(first[key], renewed[key]) for key in first)


@pytest.mark.espeak
@pytest.mark.parametrize("name", ["speech_projector", "vision_projector"])
def test_a_projector_that_says_words_already_goes_on(
    run: Run, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_stages, "WORDS_ERROR_RATE", math.inf)  # any projector does
    monkeypatch.setattr(vision_stages, "WORDS_SHARE", -math.inf)
    options = recipe._parser().parse_args(
        ["--start-from", str(run.out), "--work", str(run.work), *BARE]
    )
    course = recipe._course(options, Tokenizer(vocabulary.train_tokenizer().to_str()))
    start_from(course.learner, run.out)
    course.goes_on = frozenset(STAGES)
    before = {key: each.clone() for key, each in course.learner.named_parameters()}
    STAGES[name](course)
    assert course.goes_on == frozenset(STAGES)
    after = dict(course.learner.named_parameters())
    assert all(torch.equal(each, after[key]) for key, each in before.items())


@pytest.mark.espeak
@pytest.mark.parametrize("name", ["vision_encoder", "speech_encoder"])
def test_a_finished_encoder_stays_until_its_new_head_has_learned(run: Run, name: str) -> None:
    options = recipe._parser().parse_args(["--work", str(run.work), *BARE])
    course = recipe._course(options, Tokenizer(vocabulary.train_tokenizer().to_str()))
    course.goes_on = frozenset(STAGES)
    stage = STAGES[name](course)
    heads = {key for key in stage.parameters if key.startswith("head.")}
    assert heads
    for step, learns in ((0, heads), (2, set(stage.parameters))):  # 2 of them at this scale
        stage.loss(step).backward()
        learned = {key for key, each in stage.parameters.items() if each.grad is not None}
        assert heads <= learned <= learns
    assert learned > heads


@pytest.mark.espeak
def test_a_finished_base_keeps_the_embeddings_that_projectors_point_at(run: Run) -> None:
    options = recipe._parser().parse_args(["--work", str(run.work), *BARE])
    course = recipe._course(options, Tokenizer(vocabulary.train_tokenizer().to_str()))
    embeddings = {"model.embed_tokens.weight"}
    new = set(STAGES["text"](course).parameters)
    course.goes_on = frozenset(STAGES)
    assert new - set(STAGES["text"](course).parameters) == embeddings


@pytest.mark.espeak
def test_parts_of_an_earlier_run_are_built_upon_and_not_trained_again(run: Run) -> None:
    out, work = run.out.with_name("built"), run.work.with_name("building")
    shutil.copytree(run.work / "materials", work / "materials")
    command = ["--parts-from", str(run.work / "parts"), "--work", str(work), "--out", str(out)]
    assert main([*command, *BARE]) == 0
    trained = {path.stem for path in work.glob("from-*/*.json")} - {"tokenizer"}
    assert trained == set(STAGES) - set(PARTS)
    assert recorded(out) == [*PARTS, *(name for name in STAGES if name not in PARTS)]
    parts, built = (load_file(at / "model.safetensors") for at in (run.work / "parts", out))
    heard = [name for name in parts if ".audio_embed.encoder." in name]
    written = [name for name in parts if "embed_tokens_extend" not in name]
    assert len(heard) > 8 * architecture.NUM_AUDIO_BLOCKS
    assert len(written) > 5 * architecture.NUM_DECODER_LAYERS
    assert all(torch.equal(parts[name], built[name]) for name in heard)
    # The base is kept as it learned, and is rounded where it is built upon.
    for name in written:
        kept = parts[name].float()
        is_rounded = ".layers." in name and kept.ndim == 2
        assert torch.equal(stored(nf4_of(kept)) if is_rounded else parts[name], built[name]), name


@pytest.mark.espeak
def test_parts_of_two_runs_are_put_together(run: Run) -> None:
    """The second folder's encoder comes in place of the first one's, with what made it."""
    others, work = run.out.with_name("others"), run.work.with_name("joining")
    shutil.copytree(run.work / "parts", others)
    weights = load_file(others / "model.safetensors")
    seen = {name: kept + 1 for name, kept in weights.items() if ".img_processor." in name}
    save_file(seen, others / "model.safetensors", {"format": "pt"})
    options = recipe._parser().parse_args(
        ["--parts-from", str(run.work / "parts"), "--parts-from", str(others), "--work", str(work)]
    )
    course = recipe._course(options, Tokenizer(recipe._vocabulary(options).to_str()))
    earlier = recipe._load_earlier(course.learner, options)
    assert {name: folder.name for name, folder in earlier.items()} == {
        "text": "parts",
        "vision_encoder": "others",
        "speech_encoder": "parts",
    }
    own = base_tensors(course.learner)
    for name, kept in (weights | seen).items():
        assert torch.allclose(own[name], kept.float(), atol=1e-2), name
    alone = recipe._parser().parse_args([*("--parts-from", str(others)), "--work", str(work)])
    assert recipe._checkpoint_folder(options) != recipe._checkpoint_folder(alone)
    out = run.out.with_name("joined")
    out.mkdir()
    write_record(run.work, [], out, earlier)
    assert sorted(recorded(out)) == sorted(PARTS)


@pytest.mark.espeak
def test_what_differs_from_a_finished_model_is_kept_apart_and_found_again(run: Run) -> None:
    """An encoder from elsewhere and an adapter that learned on, in place of the model's own."""
    other, out, work = (run.out.with_name(name) for name in ("other", "further", "furthering"))
    shutil.copytree(run.work / "materials", work / "materials")
    other.mkdir()
    shutil.copy(run.work / "parts" / "tokenizer.json", other)
    weights = load_file(run.work / "parts" / "model.safetensors")
    seen = {name: kept + 1 for name, kept in weights.items() if ".img_processor." in name}
    save_file(seen, other / "model.safetensors", {"format": "pt"})
    command = ["--start-from", str(run.out), "--work", str(work)]
    further = ["speech", "--parts-from", str(other), "--out", str(out), *BARE]
    assert main([*command, *further]) == 0
    (kept,) = work.glob("from-*/parts")
    assert {path.name for path in kept.glob("*-lora")} == {"speech-lora"}
    parts, built = (load_file(at / "model.safetensors") for at in (kept, out))
    projector = {name for name in built if "_proj_for_speech." in name}
    assert set(parts) == {*seen, *projector}
    assert recorded(kept) == ["speech_projector", "speech", "speech"]
    has_record = [name for name in STAGES if name != "vision_encoder"]
    assert recorded(out) == [*has_record, "speech"]

    alone, with_parts = (
        recipe._parser().parse_args([*command, *also]) for also in ([], ["--parts-from", str(kept)])
    )
    assert recipe._checkpoint_folder(alone) != recipe._checkpoint_folder(with_parts)
    course = recipe._course(with_parts, Tokenizer(recipe._vocabulary(with_parts).to_str()))
    earlier = recipe._load_earlier(course.learner, with_parts)
    replaced = dict.fromkeys(("vision_encoder", "speech_projector", "speech"), kept)
    assert earlier == dict.fromkeys(STAGES, run.out) | replaced
    again = run.out.with_name("again-further")
    export(course.learner, recipe._vocabulary(with_parts), again)
    for name in ("model.safetensors", "speech-lora/adapter_model.safetensors"):
        assert (again / name).read_bytes() == (out / name).read_bytes()


@pytest.mark.espeak
def test_an_encoder_that_learned_with_its_projector_is_kept_too(run: Run) -> None:
    options = recipe._parser().parse_args(["--start-from", str(run.out), "--work", str(run.work)])
    raw = recipe._vocabulary(options)
    course = recipe._course(options, Tokenizer(raw.to_str()))
    earlier = recipe._load_earlier(course.learner, options)
    out = run.work / "kept"
    recipe._keep_parts(course, raw, ["vision_joint"], out, earlier, run.out)
    seen = {name for name in load_file(out / "model.safetensors") if ".img_processor." in name}
    assert len(seen) > 5 * architecture.NUM_VISION_LAYERS
    assert "vision_encoder" in recorded(out)


@pytest.mark.espeak
def test_parts_of_another_vocabulary_are_refused(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = ["--parts-from", str(run.work / "parts"), "--parts-from", str(BUNDLED_FOLDER)]
    assert main([*parts, "--work", str(tmp_path / "work"), *BARE]) == 2
    assert f"{BUNDLED_FOLDER} has another vocabulary than" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--start-from", "--parts-from"])
def test_a_folder_that_is_no_model_cannot_be_started_from(
    small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    missing = tmp_path / "missing"
    command = ["vision", option, str(missing), "--work", str(tmp_path / "work"), *BARE]
    assert main(command) == 2
    assert str(missing) in capsys.readouterr().err


def test_an_unknown_stage_is_a_sentence_that_lists_the_stages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["visoin"])
    assert "'visoin' is no stage: choose from text, vision_encoder" in capsys.readouterr().err


def test_stages_run_in_order_with_what_they_need() -> None:
    def to_run(*arguments: str, ready: Iterable[str] = ()) -> list[str]:
        options = recipe._parser().parse_args(arguments)
        return recipe._stages_to_run(options, frozenset(ready))

    assert to_run() == to_run("all") == list(STAGES)
    before = ["text", "vision_encoder", "vision_projector", "vision_joint"]
    assert to_run("vision") == [*before, "vision"]
    finished = ["--start-from", "folder"]
    assert to_run("speech", "vision", *finished, ready=STAGES) == ["vision", "speech"]
    assert to_run(*finished, ready=STAGES) == list(STAGES)
    parts = ["--parts-from", "folder"]
    assert to_run(*parts, ready=PARTS) == [name for name in STAGES if name not in PARTS]
    assert to_run("vision_joint", *parts, ready=["text"]) == before[1:]
    assert to_run("text", *parts, ready=PARTS) == ["text"]


def test_time_is_shared_by_what_stages_took(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(recipe.MINUTES) == set(STAGES)
    monkeypatch.setattr(recipe, "MINUTES", {"text": 20.0, "vision": 60.0})
    assert recipe._time_for(["text", "vision"], 400.0) == 100.0
    assert recipe._time_for(["vision"], 300.0) == 300.0


def test_a_stage_needs_all_that_it_builds_on() -> None:
    assert set(NEEDS) == set(STAGES)
    order = list(STAGES)
    for name, needed in NEEDS.items():
        assert list(needed) == [each for each in order if each in needed]
        assert all(order.index(each) < order.index(name) for each in needed)
        assert all(set(NEEDS[each]) <= set(needed) for each in needed)


def test_without_voices_training_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(recipe, "missing_packages", lambda *_: ("espeak-ng", "fonts-lato"))
    assert main(["--work", str(tmp_path / "work")]) == 2
    assert "apt-get install espeak-ng fonts-lato" in capsys.readouterr().err
    assert not (tmp_path / "work").exists()
