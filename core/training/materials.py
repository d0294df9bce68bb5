"""The media of the recipe, drawn and spoken once: pictures and clips as flat files on disk.

Everything follows from the seed. A folder is complete when its `done.json` is there; until then
its chunks are kept, so that a killed run is gone on with. Leaves out: how chunks are made by all
cores (chunks.py), and what is learned from media (examples.py, stages.py).
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from audio.log_mel import NUM_MELS, log_mel
from core.training.chunks import Arrays, MakeChunk, Progress, make_chunks, read_chunk
from core.training.draw import Drawing, draw, draw_practice
from core.training.exchange import Exchange, Split
from core.training.fonts import HELD_OUT_FACES, TRAINED_FACES
from core.training.media import Clip, ClipKind, Clips, Pictures
from core.training.patch_labels import NUM_PATCHES, PATCH_PX, VIEW_PX
from core.training.picture_pairs import ask_about_two
from core.training.scene_list import scene_at
from core.training.scenes import ask_about
from core.training.speech import speak
from core.training.translation import sample_translation
from core.training.voices import VoiceGroup
from core.training.word_drills import word_drill
from core.training.world import LISTENED_TO, MAKERS, sample_spoken
from vision.tiles import TileOptions, tile_picture

VIEW: Final = TileOptions(crop_px=VIEW_PX, patch_px=PATCH_PX, max_crops=1)
# Words are learned by heart where each comes in one picture: shapes need fewer.
WORD_PICTURES_SHARE: Final = 1.6  # as many pictures of nothing but words as there are pictures
SHEETS_SHARE: Final = 0.5
MORE_WORDS_SHARE: Final = 0.35  # of what is shown while the decoder learns
CLIP_SHARES: Final[dict[ClipKind, float]] = {  # drills are for training alone
    "world": 0.26,
    "picture": 0.12,
    "pair": 0.03,
    "translation": 0.26,
    "drill": 0.33,
}
_UNASKED: Final = ("held_out", "drill")
# Files whose source decides what a medium is.
ROOT: Final = Path(__file__).resolve().parents[2]
_DRAWING: Final = (
    "camera draw facts fonts items lettering patch_labels scene_list scenes shapes".split()
)
DRAWN_BY: Final = (*(f"core/training/{name}.py" for name in _DRAWING), "vision/tiles.py")
SPOKEN_BY: Final = (
    *(f"core/training/{name}.py" for name in ("room", "speech", "voices")),
    "audio/log_mel.py",
)


def make_pictures(
    folder: Path,
    name: str,
    split: Split,
    num: int,
    make: MakeChunk,
    progress: Progress,
    first: int = 0,
) -> Pictures:
    """Draw `num` pictures, or open those drawn before.

    Args:
        name: what they are, for the progress.
        make: draws those from one number to another of a split: the fields of Pictures.
        first: what `make` begins to count at; drawn from another number on, they are others.
    """
    done = folder / "done.json"
    shapes = {
        "views": ((num, 3, VIEW_PX, VIEW_PX), np.uint8),
        "masks": ((num, NUM_PATCHES, NUM_PATCHES), np.bool_),
        "labels": ((num, 4, NUM_PATCHES, NUM_PATCHES), np.uint8),
        "characters": ((num, NUM_PATCHES, 2 * NUM_PATCHES), np.uint8),
    }
    wanted = {"num": num, "first": first, "made_by": fingerprint(DRAWN_BY)}
    kept = _chunks_folder(folder, wanted)
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        done.unlink(missing_ok=True)  # what is there now is not done any more
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {
            key: np.lib.format.open_memmap(folder / f"{key}.npy", "w+", dtype, shape)
            for key, (shape, dtype) in shapes.items()
        }
        start = 0
        for path in make_chunks(kept, make, split, num, name, progress):
            drawn = read_chunk(path)
            stop = start + len(drawn["views"])
            for key, array in arrays.items():
                array[start:stop] = drawn[key]
            start = stop
        for array in arrays.values():
            array.flush()
        done.write_text(json.dumps(wanted))
    shutil.rmtree(kept, ignore_errors=True)  # also what a run left that was killed right here
    return Pictures(**{key: np.load(folder / f"{key}.npy", mmap_mode="r") for key in shapes})


def fingerprint(names: Iterable[str]) -> str:
    """Of code, so that what old code made never goes with new.

    Args:
        names: files, from the project's folder on.
    """
    sources = "".join((ROOT / name).read_text("utf-8") for name in names)
    return hashlib.sha256(sources.encode()).hexdigest()


def _draw_chunk(first: int, split: Split, start: int, stop: int) -> Arrays:
    return _draw_scenes(split, range(first + start, first + stop))


def _word_chunk(numbers: Sequence[int], split: Split, start: int, stop: int) -> Arrays:
    return _draw_scenes(split, numbers[start:stop])


def _draw_scenes(split: Split, numbers: Sequence[int]) -> Arrays:
    faces = TRAINED_FACES if split == "train" else HELD_OUT_FACES
    return _arrays([draw(scene_at(split, number), faces) for number in numbers])


def _sheet_chunk(first: int, split: Split, start: int, stop: int) -> Arrays:
    faces = TRAINED_FACES if split == "train" else HELD_OUT_FACES
    numbers = range(first + start, first + stop)
    return _arrays([draw_practice(number, faces) for number in numbers])


def _arrays(drawings: Sequence[Drawing]) -> Arrays:
    """Drawings as the fields of Pictures."""
    tiles = [tile_picture(Image.fromarray(drawing.picture), VIEW) for drawing in drawings]
    views = np.stack([tile.pixel_values[1].numpy() for tile in tiles])
    return {
        "views": np.round((views + 1) * 127.5).astype(np.uint8),
        "masks": np.stack([tile.patch_mask[1].numpy() for tile in tiles]),
        "labels": np.stack([drawing.patch_labels for drawing in drawings]),
        "characters": np.stack([d.char_labels for d in drawings]),
    }


def make_clips(
    folder: Path, split: Split, num: int, scenes: range, progress: Progress, first: int = 0
) -> Clips:
    """Speak `num` sentences, or open those spoken before.

    Args:
        scenes: numbers of those that may be asked about.
        first: number of the first sentence.
    """
    done = folder / "done.json"
    about = tuple(clip_at(split, first + index, scenes) for index in range(num))
    said = hashlib.sha256("\n".join(clip.spoken for clip in about).encode()).hexdigest()
    wanted = {"num": num, "said": said, "made_by": fingerprint(SPOKEN_BY)}
    kept = _chunks_folder(folder, wanted)
    if not (done.exists() and json.loads(done.read_text()) == wanted):
        done.unlink(missing_ok=True)  # what is there now is not done any more
        folder.mkdir(parents=True, exist_ok=True)
        speak = partial(_speak_chunk, scenes, first)
        _join_clips(make_chunks(kept, speak, split, num, "clips", progress), folder)
        done.write_text(json.dumps(wanted))
    shutil.rmtree(kept, ignore_errors=True)  # also what a run left that was killed right here
    frames = np.load(folder / "frames.npy", mmap_mode="r")
    return Clips(frames, np.load(folder / "starts.npy"), about)


def clip_at(split: Split, index: int, scenes: range) -> Clip:
    """What the clip with this index says; arguments as in `make_clips`."""
    rng = random.Random(f"clip-{split}-{index}")
    shares = {kind: share for kind, share in CLIP_SHARES.items() if (split, kind) != _UNASKED}
    kind = rng.choices(tuple(shares), tuple(shares.values()))[0]
    return make_clip(rng, split, kind, scenes)


def make_clip(rng: random.Random, split: Split, kind: ClipKind, scenes: range) -> Clip:
    """Something new of a kind to say; arguments as in `make_clips`."""
    if kind == "translation":
        translation = sample_translation(rng, split)
        said = translation.english
        return Clip(kind, said, said, "", kind, translations=translation.by_language)
    if kind == "drill":
        said = word_drill(rng)
        return Clip(kind, said, said, "", kind)
    shown: tuple[int, ...] = ()
    if kind == "picture":
        shown = (rng.choice(scenes),)
        exchange: Exchange = ask_about(rng, scene_at(split, shown[0]))
    elif kind == "pair":
        shown = rng.choice(scenes), rng.choice(scenes)
        exchange = ask_about_two(rng, scene_at(split, shown[0]), scene_at(split, shown[1]))
    else:
        makers = LISTENED_TO if split == "train" else MAKERS
        exchange = sample_spoken(rng, split, makers)
    said, asked, answer = exchange.spoken, exchange.question, exchange.answer
    return Clip(kind, said, asked, answer, exchange.skill, shown, exchange.looks)


def clip_waveform(group: VoiceGroup, key: str, spoken: str) -> np.ndarray:
    """The sound of a clip: 16 kHz mono float32, shape (num_samples,).

    Args:
        group: who may speak.
        key: decides the voice, the room and the microphone.
        spoken: what is said.
    """
    return speak(spoken, random.Random(f"voice-{group}-{key}"), group)


def _speak_chunk(scenes: range, first: int, split: Split, start: int, stop: int) -> Arrays:
    """The frames of some clips, one after the other, and how many each has."""
    numbers = range(first + start, first + stop)
    group: VoiceGroup = "trained" if split == "train" else "unseen voice"
    mels = [
        log_mel(clip_waveform(group, f"{number}", clip_at(split, number, scenes).spoken)).astype(
            np.float16
        )
        for number in numbers
    ]
    return {"frames": np.concatenate(mels), "lengths": np.array([len(mel) for mel in mels])}


def _join_clips(chunks: Sequence[Path], folder: Path) -> None:
    """Write all chunks' clips as the files of Clips, a chunk at a time."""
    lengths = [read_chunk(path, "lengths")["lengths"] for path in chunks]
    starts = np.cumsum([0, *np.concatenate(lengths)])
    np.save(folder / "starts.npy", starts)
    shape = int(starts[-1]), NUM_MELS
    joined = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.float16, shape)
    place = 0
    for path in chunks:
        frames = read_chunk(path)["frames"]
        joined[place : place + len(frames)] = frames
        place += len(frames)
    joined.flush()


def _chunks_folder(folder: Path, wanted: Mapping[str, Any]) -> Path:
    """Where the chunks of these media are kept; those of other media are removed."""
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()
    kept = folder / f"chunks-{digest[:12]}"
    for other in folder.glob("chunks-*"):
        if other != kept:
            shutil.rmtree(other)
    return kept


class Materials:
    """Pictures and clips of both splits, made when first asked for.

    Args:
        folder: where they are kept.
        num_pictures, num_clips: for training.
        num_held_out: of each kind, for validation.
        progress: is told what is made, how many are done, of how many.
        first: number of the first scene, clip and sheet for training, and where dialogues begin: a
            model that learns on learns most from what it has not met.
    """

    def __init__(
        self,
        folder: Path,
        num_pictures: int,
        num_clips: int,
        num_held_out: int,
        progress: Progress,
        first: int = 0,
    ) -> None:
        self._folder, self.first = folder, first
        self._num: dict[Split, tuple[int, int]] = {
            "train": (num_pictures, num_clips),
            "held_out": (num_held_out, num_held_out),
        }
        self._progress = progress
        self._pictures: dict[Split, Pictures] = {}
        self._sheets: Pictures | None = None
        self._words: Pictures | None = None
        self._places: dict[int, int] = {}  # of the scenes of `_words`, by their number
        self._clips: dict[Split, Clips] = {}

    def scenes(self, split: Split) -> range:
        """The numbers of a split's scenes, of which there are pictures."""
        first = self.first if split == "train" else 0
        return range(first, first + self._num[split][0])

    def pictures(self, split: Split) -> Pictures:
        """The pictures of a split."""
        if split not in self._pictures:
            folder, num = self._folder / f"pictures-{split}", self._num[split][0]
            first = self.scenes(split).start
            make = partial(_draw_chunk, first)
            made = make_pictures(folder, "pictures", split, num, make, self._progress, first)
            self._pictures[split] = made
        return self._pictures[split]

    def pick(self, rng: random.Random, split: Split) -> int:
        """The number of a scene that can be shown; more words than there are among scenes."""
        if split == "train" and rng.random() < MORE_WORDS_SHARE:
            return rng.choice(self._word_numbers)
        return rng.choice(self.scenes(split))

    def shown(self, split: Split, numbers: Sequence[int]) -> Pictures:
        """The pictures of some scenes, in this order.

        Args:
            numbers: of scenes with a word, or in `scenes`.
        """
        sources = [self._source(split, number) for number in numbers]
        fields = ("views", "masks", "labels", "characters")
        return Pictures(
            **{
                field: np.stack([getattr(pictures, field)[place] for pictures, place in sources])
                for field in fields
            }
        )

    def mask(self, split: Split, number: int) -> np.ndarray:
        """Which patches of a scene's picture are no padding, as in Pictures.masks."""
        pictures, place = self._source(split, number)
        mask: np.ndarray = pictures.masks[place]
        return mask

    def _source(self, split: Split, number: int) -> tuple[Pictures, int]:
        """Where the picture of a scene is."""
        scenes = self.scenes(split)
        if number in scenes:
            return self.pictures(split), scenes.index(number)
        return self._word_pictures(), self._places[number]

    @cached_property
    def _word_numbers(self) -> tuple[int, ...]:
        """Of the first scenes with a word behind those that are drawn whatever they show."""
        scenes = self.scenes("train")
        numbers = (n for n in count(scenes.stop) if scene_at("train", n).word)
        return tuple(islice(numbers, max(1, round(len(scenes) * WORD_PICTURES_SHARE))))

    def _word_pictures(self) -> Pictures:
        if self._words is None:
            numbers = self._word_numbers
            make = partial(_word_chunk, numbers)
            folder = self._folder / "word-pictures"
            self._words = make_pictures(
                folder, "words", "train", len(numbers), make, self._progress, self.first
            )
            self._places = {number: place for place, number in enumerate(numbers)}
        return self._words

    def practice_sheets(self) -> Pictures:
        """Sheets of text for the vision encoder: half as many as there are pictures to learn."""
        if self._sheets is None:
            self._sheets = make_pictures(
                self._folder / "practice-sheets",
                "practice sheets",
                "train",
                int(len(self.scenes("train")) * SHEETS_SHARE),
                partial(_sheet_chunk, self.first),
                self._progress,
                self.first,
            )
        return self._sheets

    def clips(self, split: Split) -> Clips:
        """The clips of a split."""
        if split not in self._clips:
            folder, scenes = self._folder / f"clips-{split}", self.scenes(split)
            num = self._num[split][1]
            self._clips[split] = make_clips(
                folder, split, num, scenes, self._progress, scenes.start
            )
        return self._clips[split]
