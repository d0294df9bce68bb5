"""The media of the recipe, drawn and spoken once: pictures and clips as flat files on disk.

Everything follows from the seed. A folder is complete when its `done.json` is there, so that a
killed run is made again. Leaves out: what is learned from them (examples.py, stages.py).
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import ModuleType
from typing import Final, Literal, TypeVar

import numpy as np
from PIL import Image

import core.training.draw
import core.training.scenes
import core.training.speech
from audio.log_mel import log_mel
from core.training.draw import HELD_OUT_FONTS, PATCH_PX, TRAINED_FONTS, VIEW_PX, draw
from core.training.scenes import Scene, ask_about, sample_scene
from core.training.speech import (
    HELD_OUT_VARIANTS,
    TRAINED_VARIANTS,
    record,
    sample_voice,
    synthesize,
)
from core.training.world import Split, sample_exchange
from vision.tiles import TileOptions, tile_picture

Progress = Callable[[str, int, int], None]  # what is made, how many are done, of how many
Made = TypeVar("Made")
NUM_PATCHES: Final = VIEW_PX // PATCH_PX
VIEW: Final = TileOptions(crop_px=VIEW_PX, patch_px=PATCH_PX, max_crops=1)
CHUNK: Final = 200


@dataclass(frozen=True)
class Clip:
    """One spoken question: what was said, what is asked, and the right reply.

    Args:
        kind: "world", or "picture" for a question about scene `scene`.
        spoken, question, answer: see world.Exchange.
        skill: the exchange's skill.
        scene: index of the picture it asks about, or -1.
    """

    kind: Literal["world", "picture"]
    spoken: str
    question: str
    answer: str
    skill: str
    scene: int


def scene_at(split: Split, index: int) -> Scene:
    """The scene with this index; the two splits share none."""
    return sample_scene(random.Random(f"scene-{split}-{index}"))


@dataclass(frozen=True)
class Pictures:
    """Drawn scenes.

    Args:
        views: float16 in [-1, 1], shape (num, 3, 112, 112): the one crop, as vision/tiles.py cuts
            it; the global view is the same picture.
        masks: bool, shape (num, 8, 8): False where a patch of the crop lies in the padding.
        labels: uint8, shape (num, 3, 8, 8): shape, colour and character of each patch.
    """

    views: np.ndarray
    masks: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.views)


@dataclass(frozen=True)
class Clips:
    """Spoken clips.

    Args:
        frames: float16 log-mel frames of all clips, one after the other, shape (total, 80).
        starts: int64, shape (num + 1,): clip i is frames[starts[i]:starts[i + 1]].
        about: what each clip is.
    """

    frames: np.ndarray
    starts: np.ndarray
    about: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.about)

    def log_mel(self, index: int) -> np.ndarray:
        """Log-mel frames of one clip, float16, shape (num_frames, 80)."""
        return self.frames[self.starts[index] : self.starts[index + 1]]

    def num_frames(self, index: int) -> int:
        """How many frames one clip has."""
        return int(self.starts[index + 1] - self.starts[index])


def make_pictures(folder: Path, split: Split, num: int, progress: Progress) -> Pictures:
    """Draw `num` scenes, or open those drawn before."""
    done = folder / "done.json"
    shapes = {
        "views": ((num, 3, VIEW_PX, VIEW_PX), np.float16),
        "masks": ((num, NUM_PATCHES, NUM_PATCHES), np.bool_),
        "labels": ((num, 3, NUM_PATCHES, NUM_PATCHES), np.uint8),
    }
    wanted = {"num": num, "made_by": _fingerprint(core.training.draw, core.training.scenes)}
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
            for name, (shape, dtype) in shapes.items()
        }
        for start, drawn in _in_pool(_draw_chunk, split, num, "pictures", progress):
            for name, values in drawn.items():
                arrays[name][start : start + len(values)] = values
        for array in arrays.values():
            array.flush()
        done.write_text(json.dumps(wanted))
    return Pictures(**{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in shapes})


def _fingerprint(*modules: ModuleType) -> str:
    """Of the code that makes a medium, so that old media never go with new code."""
    sources = "".join(inspect.getsource(module) for module in modules)
    return hashlib.sha256(sources.encode()).hexdigest()


def _draw_chunk(split: Split, start: int, stop: int) -> dict[str, np.ndarray]:
    fonts = TRAINED_FONTS if split == "train" else HELD_OUT_FONTS
    drawings = [draw(scene_at(split, index), fonts) for index in range(start, stop)]
    tiles = [tile_picture(Image.fromarray(drawing.picture), VIEW) for drawing in drawings]
    return {
        "views": np.stack([tile.pixel_values[1].numpy() for tile in tiles]),
        "masks": np.stack([tile.patch_mask[1].numpy() for tile in tiles]),
        "labels": np.stack(
            [np.stack([d.shape_labels, d.colour_labels, d.char_labels]) for d in drawings]
        ),
    }


def make_clips(folder: Path, split: Split, num: int, num_scenes: int, progress: Progress) -> Clips:
    """Speak `num` questions, two in five about a picture, or open those spoken before."""
    done = folder / "done.json"
    about = tuple(clip_at(split, index, num_scenes) for index in range(num))
    said = hashlib.sha256("\n".join(clip.spoken for clip in about).encode()).hexdigest()
    wanted = {"num": num, "said": said, "made_by": _fingerprint(core.training.speech)}
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        folder.mkdir(parents=True, exist_ok=True)
        mels: list[np.ndarray] = []
        speak = partial(_speak_chunk, num_scenes)
        for _, spoken in _in_pool(speak, split, num, "clips", progress):
            mels.extend(spoken)
        starts = np.cumsum([0, *(len(mel) for mel in mels)])
        np.save(folder / "frames.npy", np.concatenate(mels))
        np.save(folder / "starts.npy", starts)
        done.write_text(json.dumps(wanted))
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    return Clips(frames, np.load(folder / "starts.npy"), about)


def clip_at(split: Split, index: int, num_scenes: int) -> Clip:
    """What the clip with this index says."""
    rng = random.Random(f"clip-{split}-{index}")
    if rng.random() < 0.4:
        kind: Literal["world", "picture"] = "picture"
        scene = rng.randrange(num_scenes)
        exchange = ask_about(rng, scene_at(split, scene))
    else:
        scene, kind = -1, "world"
        exchange = sample_exchange(rng, split)
    return Clip(kind, exchange.spoken, exchange.question, exchange.answer, exchange.skill, scene)


def clip_waveform(split: Split, index: int, spoken: str) -> np.ndarray:
    """The sound of a clip: 16 kHz mono float32, shape (num_samples,)."""
    rng = random.Random(f"voice-{split}-{index}")
    variants = TRAINED_VARIANTS if split == "train" else HELD_OUT_VARIANTS
    return record(synthesize(spoken, sample_voice(rng, variants)), rng)


def _speak_chunk(num_scenes: int, split: Split, start: int, stop: int) -> list[np.ndarray]:
    clips = [clip_at(split, index, num_scenes) for index in range(start, stop)]
    return [
        log_mel(clip_waveform(split, start + offset, clip.spoken)).astype(np.float16)
        for offset, clip in enumerate(clips)
    ]


def _in_pool(
    make: Callable[[Split, int, int], Made], split: Split, num: int, name: str, progress: Progress
) -> Iterator[tuple[int, Made]]:
    starts = range(0, num, CHUNK)
    # Spawned, not forked: a fork of a process with torch's threads can hang.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_end_with_parent) as pool:
        futures = [pool.submit(make, split, start, min(start + CHUNK, num)) for start in starts]
        for start, future in zip(starts, futures, strict=True):
            yield start, future.result()
            progress(f"{name} ({split})", min(start + CHUNK, num), num)


def _end_with_parent() -> None:
    """In a worker: leave when the recipe is killed, instead of drawing on for nobody."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Materials:
    """Pictures and clips of both splits, made when first asked for.

    Args:
        folder: where they are kept.
        num_pictures, num_clips: for training.
        num_held_out: of each kind, for validation.
        progress: is told what is made, how many are done, of how many.
    """

    def __init__(
        self, folder: Path, num_pictures: int, num_clips: int, num_held_out: int, progress: Progress
    ) -> None:
        self._folder = folder
        self._num: dict[Split, tuple[int, int]] = {
            "train": (num_pictures, num_clips),
            "held_out": (num_held_out, num_held_out),
        }
        self._progress = progress
        self._pictures: dict[Split, Pictures] = {}
        self._clips: dict[Split, Clips] = {}

    def num_pictures(self, split: Split) -> int:
        """How many pictures a split has, without making them."""
        return self._num[split][0]

    def pictures(self, split: Split) -> Pictures:
        """The pictures of a split."""
        if split not in self._pictures:
            folder, num = self._folder / f"pictures-{split}", self._num[split][0]
            self._pictures[split] = make_pictures(folder, split, num, self._progress)
        return self._pictures[split]

    def clips(self, split: Split) -> Clips:
        """The clips of a split."""
        if split not in self._clips:
            folder, (num_scenes, num) = self._folder / f"clips-{split}", self._num[split]
            self._clips[split] = make_clips(folder, split, num, num_scenes, self._progress)
        return self._clips[split]
