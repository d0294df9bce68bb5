"""Dialogues with clips: written down, answered, translated, and asked about pictures.

Leaves out: dialogues without sound (dialogues.py) and what is said (materials.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
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
from core.training.exchange import Split
from core.training.materials import Materials
from core.training.media import Clip, ClipKind
from core.training.prompts import (
    TRANSCRIBE,
    transcribe_and_translate,
    transcribed_and_translated,
    translate,
)
from core.training.scene_list import scene_at
from core.training.scenes import ask_about
from core.training.translation import LANGUAGES

TYPED_BESIDE_SHARE: Final = 0.05  # a typed question beside a clip is the one to answer
SECOND_TURN_SHARE: Final = 0.15
# Transcription, answer, translation: what is heard is learned best where every word counts.
USES: Final = (45, 25, 30)


class SoundDialogues:
    """Makes dialogues about the clips of both splits.

    Args:
        materials: holds the clips.
    """

    def __init__(self, materials: Materials) -> None:
        self.materials = materials
        self._by_kind: dict[tuple[Split, ClipKind], list[int]] = {}

    def transcription(self, rng: random.Random, split: Split) -> Turn:
        """Any clip, to be written down."""
        clips = self.materials.clips(split)
        index = rng.randrange(len(clips))
        return Turn((SoundRef(index), TRANSCRIBE), clips.about[index].spoken)

    def answer(self, rng: random.Random, split: Split) -> Turn:
        """A spoken question about the world."""
        index, clip = self._any(rng, split, "world")
        return Turn((SoundRef(index),), clip.answer)

    def translation(self, rng: random.Random, split: Split) -> Turn:
        """A spoken sentence to be translated, alone or after its transcript."""
        index, clip = self._any(rng, split, "translation")
        language = rng.choice(LANGUAGES)
        reply = clip.translations[language]
        if rng.random() < 0.6:
            return Turn((SoundRef(index), translate(language)), reply)
        both = transcribed_and_translated(clip.spoken, reply)
        return Turn((SoundRef(index), transcribe_and_translate(language)), both)

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
            make = pair_dialogue if kind < 0.06 else picture_dialogue
            return make(rng, split, self.materials.pick)
        if kind < 0.42:
            index, clip = self._any(rng, split, "pair")
            pictures = tuple(PictureRef(scene) for scene in clip.scenes)
            return Dialogue((Turn((*pictures, SoundRef(index)), clip.answer, clip.looks),))
        if kind < 0.5:
            index, clip = self._any(rng, split, "world")
            user = (PictureRef(rng.choice(self.materials.scenes(split))), SoundRef(index))
            if rng.random() < 0.4:
                return Dialogue((Turn((*user, TRANSCRIBE), clip.spoken),))
            return Dialogue((Turn(user, clip.answer),))
        index, clip = self._any(rng, split, "picture")
        scene = clip.scenes[0]
        if rng.random() < 0.15:
            first = picture_turn(rng, scene, ask_about(rng, scene_at(split, scene)))
            return Dialogue((first, Turn((SoundRef(index),), clip.answer, clip.looks)))
        return Dialogue((Turn((PictureRef(scene), SoundRef(index)), clip.answer, clip.looks),))

    def about_picture(self, rng: random.Random, split: Split) -> Dialogue:
        """A spoken question about one picture, alone."""
        index, clip = self._any(rng, split, "picture")
        parts = PictureRef(clip.scenes[0]), SoundRef(index)
        return Dialogue((Turn(parts, clip.answer, clip.looks),))

    def _any(self, rng: random.Random, split: Split, kind: ClipKind) -> tuple[int, Clip]:
        about = self.materials.clips(split).about
        if (split, kind) not in self._by_kind:
            indices = [index for index, clip in enumerate(about) if clip.kind == kind]
            self._by_kind[split, kind] = indices
        index = rng.choice(self._by_kind[split, kind])
        return index, about[index]
