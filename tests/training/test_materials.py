"""Media on disk: what a seed decides, what makes them anew, and what their files hold."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.training import chunks, materials
from core.training.draw import draw
from core.training.exchange import Split, is_held_out
from core.training.fonts import HELD_OUT_FACES, TRAINED_FACES
from core.training.materials import (
    CLIP_SHARES,
    DRAWN_BY,
    MORE_WORDS_SHARE,
    SPOKEN_BY,
    WORD_PICTURES_SHARE,
    Materials,
    clip_at,
    clip_waveform,
    make_clip,
)
from core.training.media import Clip, ClipKind
from core.training.scene_list import scene_at
from core.training.scenes import Scene
from tests.training import needs_voices

SCENES = range(50)
SPLITS: tuple[Split, ...] = ("train", "held_out")
MakeSpan = Callable[[range], range]


def clips_of(split: Split, num: int = 600) -> list[Clip]:
    return [clip_at(split, index, SCENES) for index in range(num)]


# What is said


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_index_says_the_same_and_another_another(split: Split) -> None:
    first, again = clips_of(split, 100), clips_of(split, 100)
    assert first == again
    assert len({clip.spoken for clip in first}) > 80


def test_words_that_come_nowhere_else_are_listened_to_more_often_than_they_are_asked() -> None:
    """The world has some hundred names and things that it knows nothing of."""
    unknown, spelling = [], []
    for split in SPLITS:
        skills = Counter(clip.skill for clip in clips_of(split, 3000) if clip.kind == "world")
        unknown.append(skills["unknown"] / skills.total())
        spelling.append(skills["spelling"] / skills.total())
    assert unknown[0] > 1.7 * unknown[1] > 0
    assert spelling[0] > 1.2 * spelling[1] > 0


def test_the_splits_say_different_things() -> None:
    trained = {clip.spoken for clip in clips_of("train") if clip.kind in ("world", "translation")}
    unseen = {clip.spoken for clip in clips_of("held_out") if clip.kind in ("world", "translation")}
    assert unseen
    assert {clip.skill for clip in clips_of("held_out")} >= {"arithmetic", "translation"}
    assert not (trained & unseen)
    assert all(is_held_out(spoken) for spoken in unseen)
    assert scene_at("train", 0) != scene_at("held_out", 0)


@pytest.mark.parametrize("split", SPLITS)
def test_kinds_of_clip_come_in_their_shares(split: Split) -> None:
    kinds = Counter(clip.kind for clip in clips_of(split, 2000))
    assert sum(CLIP_SHARES.values()) == pytest.approx(1.0)
    asked = 1.0 if split == "train" else 1.0 - CLIP_SHARES["drill"]
    assert (kinds["drill"] > 0) == (split == "train")
    for kind in kinds:
        assert kinds[kind] / 2000 == pytest.approx(CLIP_SHARES[kind] / asked, abs=0.035)


@pytest.mark.parametrize("kind", CLIP_SHARES)
def test_a_clip_is_what_its_kind_says(kind: ClipKind) -> None:
    for seed in range(60):
        clip = make_clip(random.Random(seed), "train", kind, SCENES)
        assert clip.kind == kind
        assert clip.spoken
        assert not any(letter.isdigit() for letter in clip.spoken)
        assert len(clip.scenes) == {"picture": 1, "pair": 2}.get(kind, 0)
        assert all(scene in SCENES for scene in clip.scenes)
        assert bool(clip.translations) == (kind == "translation")
        assert bool(clip.answer) == (kind not in ("translation", "drill"))
        assert clip.skill != "invented"


# Files. Media are stood for by small ones: a tone for a voice, its seed's grey for a picture.


def stand_in_voice(group: str, key: str, spoken: str) -> np.ndarray:
    times_s = np.arange(800 * len(spoken.split())) / 16_000
    return np.sin(2 * np.pi * (200 + len(group)) * times_s).astype(np.float32)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Media are made at once and without voices; lists what was made of them."""
    made: list[str] = []
    make_chunks = chunks.make_chunks

    def make(*arguments: Any) -> list[Path]:
        made.append(f"{arguments[4]} of {arguments[2]}")
        return make_chunks(*arguments)

    monkeypatch.setattr(materials, "make_chunks", make)
    monkeypatch.setattr(chunks, "CHUNK", 7)
    monkeypatch.setattr(chunks, "_in_pool", map)
    monkeypatch.setattr(materials, "clip_waveform", stand_in_voice)
    return made


def made_in(folder: Path, num_clips: int = 20, num_pictures: int = 9) -> Materials:
    return Materials(folder, num_pictures, num_clips, 5, lambda *_: None)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("split", SPLITS)
def test_the_same_seed_makes_the_same_files(split: Split, tmp_path: Path, calls: list[str]) -> None:
    for name in ("first", "again"):
        made_in(tmp_path / name).clips(split)
        made_in(tmp_path / name).pictures(split)
    assert len(calls) == 4
    for medium in (f"clips-{split}", f"pictures-{split}"):
        first, again = (bytes_of(tmp_path / name / medium) for name in ("first", "again"))
        assert first == again
        assert "done.json" in first


def test_media_are_opened_again_without_being_made(tmp_path: Path, calls: list[str]) -> None:
    first = made_in(tmp_path)
    sound, view = first.clips("train").log_mel(3), first.pictures("train").views[2].copy()
    assert calls == ["clips of train", "pictures of train"]
    again = made_in(tmp_path)
    assert np.array_equal(again.clips("train").log_mel(3), sound)
    assert np.array_equal(again.pictures("train").views[2], view)
    assert len(calls) == 2


def test_a_run_that_begins_at_other_numbers_draws_and_speaks_anew(
    tmp_path: Path, calls: list[str]
) -> None:
    numbers, views = [], []
    for first in (0, 500):
        made = Materials(tmp_path, 9, 20, 5, lambda *_: None, first)
        made.practice_sheets()
        made.clips("train")
        numbers.append(made._word_numbers[0])
        views.append(made.shown("train", numbers[-1:]).views[0])
        drawn = materials._draw_scenes("train", numbers[-1:])["views"][0]
        assert np.array_equal(views[-1], drawn)
    assert numbers[0] < 500 < numbers[1]
    assert not np.array_equal(*views)
    assert sorted(calls) == sorted(
        [f"{medium} of train" for medium in ("words", "practice sheets", "clips")] * 2
    )


def test_a_run_that_begins_at_other_numbers_shows_other_scenes(
    tmp_path: Path, calls: list[str]
) -> None:
    made = Materials(tmp_path, 9, 20, 5, lambda *_: None, first=500)
    assert made.scenes("train") == range(500, 509)
    assert made.scenes("held_out") == range(5)
    drawn = materials._draw_scenes("train", made.scenes("train"))["views"]
    assert np.array_equal(made.pictures("train").views, drawn)
    assert np.array_equal(made.shown("train", (503, 501)).views, drawn[[3, 1]])
    asked = {scene for clip in made.clips("train").about for scene in clip.scenes}
    assert asked
    assert asked <= set(made.scenes("train"))


def test_a_clip_lies_where_its_start_says(tmp_path: Path, calls: list[str]) -> None:
    clips = made_in(tmp_path).clips("train")
    assert len(clips) == 20
    assert clips.starts[0] == 0
    assert clips.starts[-1] == len(clips.frames)
    for index, clip in enumerate(clips.about):
        assert clip == clip_at("train", index, range(9))
        num_samples = 800 * len(clip.spoken.split())
        assert (
            clips.num_frames(index) == len(clips.log_mel(index)) == (num_samples - 400) // 160 + 1
        )
        assert clips.log_mel(index).shape[1] == 80


def test_pictures_hold_what_was_drawn(tmp_path: Path, calls: list[str]) -> None:
    drawn = draw(scene_at("train", 8), TRAINED_FACES)
    pictures = made_in(tmp_path).pictures("train")
    assert len(pictures) == 9
    assert np.array_equal(pictures.labels[8], drawn.patch_labels)
    assert np.array_equal(pictures.characters[8], drawn.char_labels)
    assert pictures.views.dtype == np.uint8
    assert not pictures.labels[:][:, 0][~pictures.masks[:]].any()


def test_words_for_training_are_scenes_behind_the_others(tmp_path: Path, calls: list[str]) -> None:
    made = made_in(tmp_path)
    rng = random.Random(0)
    picked = Counter(made.pick(rng, "train") for _ in range(2000))
    words = {number for number in picked if number >= 9}
    assert len(words) == round(9 * WORD_PICTURES_SHARE)
    assert all(scene_at("train", number).word for number in words)
    share = sum(picked[number] for number in words) / 2000
    assert share == pytest.approx(MORE_WORDS_SHARE, abs=0.05)
    assert set(picked) - words == set(range(9))
    assert max(made.pick(rng, "held_out") for _ in range(100)) == 4, "held-out ones are as they are"
    assert not calls, "nothing is drawn for that"


def test_pictures_of_scenes_are_found_wherever_they_are(tmp_path: Path, calls: list[str]) -> None:
    made = made_in(tmp_path)
    rng = random.Random(0)
    word = next(number for _ in range(99) if (number := made.pick(rng, "train")) >= 9)
    shown = made.shown("train", (word, 3, word))
    assert calls == ["words of train", "pictures of train"]
    for place, number in enumerate((word, 3, word)):
        drawn = draw(scene_at("train", number), TRAINED_FACES)
        assert np.array_equal(shown.characters[place], drawn.char_labels)
        assert np.array_equal(shown.labels[place], drawn.patch_labels)
    assert np.array_equal(shown.views[1], made.pictures("train").views[3])
    assert np.array_equal(shown.masks[1], made.pictures("train").masks[3])
    for mask, number in zip(shown.masks, (word, 3, word), strict=True):
        assert np.array_equal(mask, made.mask("train", number))


def test_a_split_is_drawn_in_its_own_faces(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faces_used = set[tuple[str, ...]]()

    def noted(scene: Scene, faces: tuple[str, ...]) -> object:
        faces_used.add(faces)
        return draw(scene, faces)

    monkeypatch.setattr(materials, "draw", noted)
    made_in(tmp_path).pictures("train")
    assert faces_used == {TRAINED_FACES}
    made_in(tmp_path).pictures("held_out")
    assert faces_used == {TRAINED_FACES, HELD_OUT_FACES}


def test_a_split_is_spoken_by_its_own_voices(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[str] = []

    def voice(group: str, key: str, spoken: str) -> np.ndarray:
        groups.append(group)
        return stand_in_voice(group, key, spoken)

    monkeypatch.setattr(materials, "clip_waveform", voice)
    made_in(tmp_path).clips("train")
    assert set(groups) == {"trained"}
    made_in(tmp_path).clips("held_out")
    assert groups[-5:] == ["unseen voice"] * 5


@pytest.mark.parametrize(
    ("medium", "change"),
    [
        ("clips", "source"),
        ("pictures", "source"),
        ("clips", "number"),
        ("pictures", "number"),
        ("clips", "words"),
    ],
)
def test_what_changes_media_makes_them_anew(
    medium: str, change: str, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    getattr(made_in(tmp_path), medium)("train")
    more = (20, 9)
    if change == "source":
        monkeypatch.setattr(materials, "fingerprint", lambda names: "another")
    elif change == "words":
        monkeypatch.setattr(materials, "clip_at", lambda *_: clip_at("train", 99, range(9)))
    else:
        more = (21, 10)
    getattr(made_in(tmp_path, *more), medium)("train")
    assert calls == [f"{medium} of train"] * 2


def test_media_half_made_are_made_anew(tmp_path: Path, calls: list[str]) -> None:
    made_in(tmp_path).clips("train")
    (tmp_path / "clips-train" / "done.json").unlink()
    made_in(tmp_path).clips("train")
    assert calls == ["clips of train"] * 2
    assert json.loads((tmp_path / "clips-train" / "done.json").read_text())["num"] == 20


def test_media_that_a_killed_run_began_to_change_are_not_taken_for_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    made_in(tmp_path).clips("train")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(chunks, "_in_pool", killed)
        materials.make_clips(tmp_path / "clips-train", "train", 4, range(12), lambda *_: None)
    assert not (tmp_path / "clips-train" / "done.json").exists()


@pytest.mark.parametrize("medium", ["clips", "pictures"])
def test_a_killed_run_is_gone_on_with_at_the_chunk_where_it_was(
    medium: str, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed_at_the_third(make: MakeSpan, spans: Sequence[range]) -> Iterator[range]:
        yield from map(make, spans[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(chunks, "_in_pool", killed_at_the_third)
        getattr(made_in(tmp_path / "killed", 20, 20), medium)("train")
    begun: list[range] = []

    def counted(make: MakeSpan, spans: Sequence[range]) -> Iterator[range]:
        begun.extend(spans)
        return map(make, spans)

    monkeypatch.setattr(chunks, "_in_pool", counted)
    getattr(made_in(tmp_path / "killed", 20, 20), medium)("train")
    assert begun == [range(14, 20)]
    getattr(made_in(tmp_path / "whole", 20, 20), medium)("train")
    gone_on, whole = (tmp_path / run / f"{medium}-train" for run in ("killed", "whole"))
    assert bytes_of(gone_on) == bytes_of(whole)  # and no chunks are left


@pytest.mark.parametrize("medium", ["clips", "pictures"])
def test_chunks_that_a_run_left_behind_its_last_step_go(
    medium: str, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / f"{medium}-train"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("core.training.materials.shutil.rmtree", killed)
        getattr(made_in(tmp_path), medium)("train")
    assert list(folder.glob("chunks-*"))
    getattr(made_in(tmp_path), medium)("train")
    assert not list(folder.glob("chunks-*"))
    assert calls == [f"{medium} of train"]


def test_chunks_of_other_media_are_not_taken(
    tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(make: MakeSpan, spans: Sequence[range]) -> Iterator[range]:
        yield make(spans[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(chunks, "_in_pool", killed)
        patch.setattr(materials, "fingerprint", lambda names: "another")
        made_in(tmp_path / "changed").clips("train")
    (kept,) = (tmp_path / "changed" / "clips-train").glob("chunks-*")
    np.savez(kept / "0.npz", frames=np.zeros((1, 80), np.float16), lengths=np.array([1]))
    made_in(tmp_path / "changed").clips("train")
    made_in(tmp_path / "whole").clips("train")
    changed, whole = (tmp_path / run / "clips-train" for run in ("changed", "whole"))
    assert bytes_of(changed) == bytes_of(whole)


def test_a_chunk_that_was_half_written_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "0.half.npz").write_bytes(b"half")
    monkeypatch.setattr(chunks, "_in_pool", map)
    (path,) = chunks.make_chunks(tmp_path, numbers, "train", 3, "numbers", lambda *_: None)
    assert chunks.read_chunk(path)["all"].tolist() == [0, 1, 2]


def numbers(split: Split, start: int, stop: int) -> chunks.Arrays:
    """A chunk of numbers."""
    return {"all": np.arange(start, stop)}


def test_all_cores_make_chunks_and_say_how_many_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 2)
    told: list[tuple[str, int, int]] = []
    paths = chunks.make_chunks(
        tmp_path, numbers, "train", 5, "numbers", lambda *it: told.append(it)
    )
    made = [chunks.read_chunk(path)["all"].tolist() for path in paths]
    assert [number for chunk in made for number in chunk] == [0, 1, 2, 3, 4]
    assert told == [("numbers (train)", done, 5) for done in (2, 4, 5)]


# Imported by what draws and speaks, and without a say in what comes out of it: how questions are
# asked and answered, and what is common to all of them.
NO_SAY = {"comparisons", "counting", "exchange", "world", "knowledge", "numbers", "small_talk"}


@pytest.mark.parametrize(
    ("begun_from", "names"),
    [(("draw", "scene_list"), DRAWN_BY), (("speech",), SPOKEN_BY)],
)
def test_everything_that_draws_or_speaks_is_in_the_fingerprint(
    begun_from: tuple[str, ...], names: tuple[str, ...]
) -> None:
    waiting, needed = list(begun_from), set[str]()
    while waiting:
        module = waiting.pop()
        if module in needed | NO_SAY:
            continue
        needed.add(module)
        source = (materials.ROOT / f"core/training/{module}.py").read_text("utf-8")
        waiting += re.findall(r"^from core\.training\.(\w+) import", source, re.MULTILINE)
    assert {f"core/training/{module}.py" for module in needed} <= set(names)


@pytest.mark.parametrize("names", [DRAWN_BY, SPOKEN_BY])
def test_the_fingerprint_changes_with_every_source_and_with_no_other_file(
    names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "core/training/knowledge.py"
    for name in (*names, other):
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text((materials.ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(materials, "ROOT", tmp_path)
    found = {materials.fingerprint(names)}
    (tmp_path / other).write_text("# changed")
    assert materials.fingerprint(names) in found
    for name in names:
        path = tmp_path / name
        path.write_text(path.read_text("utf-8") + "# changed\n", "utf-8")
        found.add(materials.fingerprint(names))
    assert len(found) == 1 + len(names)


@pytest.mark.espeak
def test_a_clip_is_spoken_alike_by_the_same_key_and_otherwise_by_another() -> None:
    needs_voices("trained")
    spoken = "The cat sleeps."
    first, again, other = (clip_waveform("trained", key, spoken) for key in ("1", "1", "2"))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)
    assert first.dtype == np.float32
    assert 0.4 < len(first) / 16_000 < 4


@pytest.mark.espeak
def test_worker_processes_make_what_this_process_makes(tmp_path: Path) -> None:
    needs_voices("unseen voice")
    done: list[tuple[str, int, int]] = []
    kept = Materials(tmp_path, 2, 2, 2, lambda *made: done.append(made)).clips("held_out")
    assert done == [("clips (held_out)", 2, 2)]
    made = materials._speak_chunk(range(2), 0, "held_out", 0, 2)
    assert np.array_equal(kept.frames, made["frames"])
    assert [kept.num_frames(index) for index in range(2)] == made["lengths"].tolist()
