"""Dialogues with clips: written down, answered, translated, and asked about pictures.

Half of what is answered and translated is spliced from the clips' words, and new each time.
Leaves out: dialogues without sound (dialogues.py), what is said (materials.py), splicing
(spliced.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from core.training.dialogues import (
    Dialogue,
    PictureRef,
    SoundRef,
    Turn,
    pair_dialogue,
    picture_dialogue,
    picture_turn,
    text_turn,
)
from core.training.exchange import Exchange, Split
from core.training.grammar import Language
from core.training.materials import Materials
from core.training.media import Clip, ClipKind
from core.training.picture_pairs import ask_about_two
from core.training.prompts import (
    TRANSCRIBE,
    transcribe_and_translate,
    transcribed_and_translated,
    translate,
)
from core.training.scene_list import scene_at
from core.training.scenes import ask_about, ask_to_look_up
from core.training.spliced import Splice
from core.training.translation import LANGUAGES, sample_translation
from core.training.world import LISTENED_TO, WORKED_OUT, sample_exchange

TYPED_BESIDE_SHARE: Final = 0.05  # a typed question beside a clip is the one to answer
SECOND_TURN_SHARE: Final = 0.15
# Transcription, answer, translation: what is heard is learned best where every word counts.
USES: Final = (45, 25, 30)
SPLICED_SHARE: Final = 0.5  # of what is answered and translated, and asked about pictures
WORKED_OUT_SHARE: Final = 0.5  # of spliced questions about the world
LOOKED_UP_SHARE: Final = 0.5  # of spliced questions about shapes
NUM_SPLICED: Final = (1, 2, 3)  # spliced questions about one picture, one after the other


class SoundDialogues:
    """Makes dialogues about the clips of both splits.

    Args:
        materials: holds the clips.
        splice: puts new sentences together for training; without it there are none.
    """

    def __init__(self, materials: Materials, splice: Splice | None = None) -> None:
        self.materials = materials
        self._splice = splice
        self._by_kind: dict[tuple[Split, ClipKind], list[int]] = {}

    def transcription(self, rng: random.Random, split: Split) -> Turn:
        """Any clip, to be written down."""
        clips = self.materials.clips(split)
        index = rng.randrange(len(clips))
        return Turn((SoundRef(index), TRANSCRIBE), clips.about[index].spoken)

    def answer(self, rng: random.Random, split: Split) -> Turn:
        """A spoken question about the world."""
        if splice := self._splices(rng, split):
            makers = WORKED_OUT if rng.random() < WORKED_OUT_SHARE else LISTENED_TO
            exchange = sample_exchange(rng, split, makers)
            if (index := splice(rng, exchange.spoken)) is not None:
                return Turn((SoundRef(index),), exchange.answer)
        index, clip = self._any(rng, split, "world")
        return Turn((SoundRef(index),), clip.answer)

    def translation(self, rng: random.Random, split: Split) -> Turn:
        """A spoken sentence to be translated, alone or after its transcript."""
        if splice := self._splices(rng, split):
            translation = sample_translation(rng, split)
            if (index := splice(rng, translation.english)) is not None:
                return _translated(rng, index, translation.english, translation.by_language)
        index, clip = self._any(rng, split, "translation")
        return _translated(rng, index, clip.spoken, clip.translations)

    def speech(self, rng: random.Random, split: Split) -> Dialogue:
        """A clip of any use, now and then with another turn before or after it."""
        turns = [self._speech_turn(rng, split)]
        if rng.random() < SECOND_TURN_SHARE:
            more = text_turn if rng.random() < 0.5 else self._speech_turn
            turns.insert(rng.randrange(2), more(rng, split))
        return Dialogue(tuple(turns))

    def _speech_turn(self, rng: random.Random, split: Split) -> Turn:
        if rng.random() < TYPED_BESIDE_SHARE:
            index = rng.randrange(len(self.materials.clips(split)))
            asked = text_turn(rng, split)
            return Turn((SoundRef(index), *asked.user), asked.reply, is_heard=False)
        uses: tuple[Callable[[random.Random, Split], Turn], ...] = (
            self.transcription,
            self.answer,
            self.translation,
        )
        return rng.choices(uses, USES)[0](rng, split)

    def vision_speech(self, rng: random.Random, split: Split) -> Dialogue:
        """A spoken question about a picture or two; in one of three typed ones, not to forget."""
        kind = rng.random()
        if kind < 0.33:
            make = pair_dialogue if kind < 0.15 else picture_dialogue
            return make(rng, split, self.materials.pick)
        if kind < 0.42:
            return self._about_two(rng, split)
        if kind < 0.5:
            index, clip = self._any(rng, split, "world")
            user = (PictureRef(rng.choice(self.materials.scenes(split))), SoundRef(index))
            if rng.random() < 0.4:
                return Dialogue((Turn((*user, TRANSCRIBE), clip.spoken),))
            return Dialogue((Turn(user, clip.answer),))
        return self._about_one(rng, split)

    def _about_two(self, rng: random.Random, split: Split) -> Dialogue:
        if splice := self._splices(rng, split):
            shown = [rng.choice(self.materials.scenes(split)) for _ in range(2)]
            scenes = [scene_at(split, number) for number in shown]
            asked = [ask_about_two(rng, scenes[0], scenes[1])]
            if spliced := _spliced(rng, shown, asked, splice):
                return spliced
        index, clip = self._any(rng, split, "pair")
        pictures = tuple(PictureRef(scene) for scene in clip.scenes)
        return Dialogue((Turn((*pictures, SoundRef(index)), clip.answer, clip.looks),))

    def _about_one(self, rng: random.Random, split: Split) -> Dialogue:
        if splice := self._splices(rng, split):
            shown = rng.choice(self.materials.scenes(split))
            scene = scene_at(split, shown)
            is_looked_up = scene.items and rng.random() < LOOKED_UP_SHARE
            ask = ask_to_look_up if is_looked_up else ask_about
            asked = [ask(rng, scene) for _ in range(rng.choice(NUM_SPLICED))]
            if spliced := _spliced(rng, [shown], asked, splice):
                return spliced
        index, clip = self._any(rng, split, "picture")
        shown = clip.scenes[0]
        if rng.random() < 0.15:
            first = picture_turn(rng, shown, ask_about(rng, scene_at(split, shown)))
            return Dialogue((first, Turn((SoundRef(index),), clip.answer, clip.looks)))
        return Dialogue((Turn((PictureRef(shown), SoundRef(index)), clip.answer, clip.looks),))

    def about_picture(self, rng: random.Random, split: Split) -> Dialogue:
        """A spoken question about one picture, alone."""
        index, clip = self._any(rng, split, "picture")
        parts = PictureRef(clip.scenes[0]), SoundRef(index)
        return Dialogue((Turn(parts, clip.answer, clip.looks),))

    def _splices(self, rng: random.Random, split: Split) -> Splice | None:
        """What puts the next sentence together; None: a clip is taken."""
        is_spliced = split == "train" and rng.random() < SPLICED_SHARE
        return self._splice if is_spliced else None

    def _any(self, rng: random.Random, split: Split, kind: ClipKind) -> tuple[int, Clip]:
        about = self.materials.clips(split).about
        if (split, kind) not in self._by_kind:
            indices = [index for index, clip in enumerate(about) if clip.kind == kind]
            self._by_kind[split, kind] = indices
        index = rng.choice(self._by_kind[split, kind])
        return index, about[index]


def _translated(
    rng: random.Random, index: int, english: str, by_language: Mapping[Language, str]
) -> Turn:
    language = rng.choice(LANGUAGES)
    reply = by_language[language]
    if rng.random() < 0.6:
        return Turn((SoundRef(index), translate(language)), reply)
    both = transcribed_and_translated(english, reply)
    return Turn((SoundRef(index), transcribe_and_translate(language)), both)


def _spliced(
    rng: random.Random, shown: Iterable[int], asked: Iterable[Exchange], splice: Splice
) -> Dialogue | None:
    """Spliced questions about pictures; None: no such question can be said."""
    before: tuple[PictureRef, ...] = tuple(PictureRef(number) for number in shown)
    turns = []
    for exchange in asked:
        index = splice(rng, exchange.spoken)
        if index is not None:
            turns.append(Turn((*before, SoundRef(index)), exchange.answer, exchange.looks))
            before = ()
    return Dialogue(tuple(turns)) if turns else None
