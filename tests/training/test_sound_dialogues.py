"""Dialogues with clips: each reply is about the clip and the pictures that are given.

The clips are silent here: only what they say matters.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from core.training import sound_dialogues
from core.training.dialogues import Dialogue, PictureRef, SoundRef, Turn
from core.training.exchange import Exchange, Look, Split
from core.training.items import Scene
from core.training.materials import CLIP_SHARES, Materials, clip_at
from core.training.media import Clip, Clips
from core.training.prompts import SEPARATOR, TRANSCRIBE
from core.training.scene_list import scene_at
from core.training.sound_dialogues import NUM_SPLICED, SoundDialogues
from core.training.translation import LANGUAGES, Translation

NUM = 300
NUM_PICTURES = 40


@pytest.fixture(scope="module")
def talk() -> SoundDialogues:
    """Dialogues about silent clips."""
    materials = Materials(Path("nowhere"), NUM_PICTURES, NUM, NUM_PICTURES, lambda *_: None)
    for split in ("train", "held_out"):
        about = tuple(clip_at(split, index, range(NUM_PICTURES)) for index in range(NUM))
        materials._clips[split] = Clips(np.zeros((NUM, 80)), np.arange(NUM + 1), about)
    return SoundDialogues(materials)


def clip_of(talk: SoundDialogues, split: Split, turn: Turn) -> Clip:
    """The one clip of a turn."""
    (index,) = [part.index for part in turn.user if isinstance(part, SoundRef)]
    return talk.materials.clips(split).about[index]


def texts(turn: Turn) -> list[str]:
    return [part for part in turn.user if isinstance(part, str)]


def check_sound_turn(talk: SoundDialogues, split: Split, turn: Turn) -> str:
    """Hold a turn with a clip against what the clip says; returns the turn's use."""
    clip, prompts = clip_of(talk, split, turn), texts(turn)
    assert turn.is_heard == (prompts != ["What is beside it?"])
    if not prompts:
        assert turn.reply == clip.answer != ""
        return "answer"
    (prompt,) = prompts
    if prompt == TRANSCRIBE:
        assert turn.reply == clip.spoken
        return "transcription"
    languages = [name for name in LANGUAGES if f"the audio to {name}." in prompt]
    if languages:
        translation = clip.translations[languages[0]]
        if SEPARATOR in prompt:
            assert turn.reply == f"{clip.spoken} {SEPARATOR} {translation}"
            return "both"
        assert turn.reply == translation
        return "translation"
    assert (prompt, turn.reply) == ("What is beside it?", "A typed reply.")
    return "typed beside"


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_replies_to_clips_are_what_the_clips_say_answer_or_mean(
    split: Split, talk: SoundDialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = Turn(("What is beside it?",), "A typed reply.")
    monkeypatch.setattr(sound_dialogues, "text_turn", lambda rng, split: beside)
    rng, uses = random.Random(1), Counter[str]()
    for _ in range(1500):
        dialogue = talk.speech(rng, split)
        assert 1 <= len(dialogue.turns) <= 2
        with_sound = [t for t in dialogue.turns if any(isinstance(p, SoundRef) for p in t.user)]
        assert with_sound
        uses.update(check_sound_turn(talk, split, turn) for turn in with_sound)
    assert min(uses[use] for use in ("answer", "transcription", "translation", "both")) > 150
    assert 0 < uses["typed beside"] < 0.1 * uses.total()


def test_transcriptions_are_of_clips_of_every_kind(talk: SoundDialogues) -> None:
    rng = random.Random(2)
    turns = [talk.transcription(rng, "train") for _ in range(600)]
    assert all(turn.reply == clip_of(talk, "train", turn).spoken for turn in turns)
    kinds = Counter(clip_of(talk, "train", turn).kind for turn in turns)
    assert set(kinds) == set(CLIP_SHARES)


def test_translations_are_into_every_language_and_keep_the_transcript_when_asked(
    talk: SoundDialogues,
) -> None:
    rng = random.Random(3)
    turns = [talk.translation(rng, "train") for _ in range(400)]
    uses = Counter(check_sound_turn(talk, "train", turn) for turn in turns)
    assert set(uses) == {"translation", "both"}
    found = {name for turn in turns for name in LANGUAGES if name in texts(turn)[0]}
    assert found == set(LANGUAGES)


def check_shown(talk: SoundDialogues, split: Split, dialogue: Dialogue) -> str:
    """Hold a dialogue about pictures against its clip; returns its kind."""
    parts = [part for turn in dialogue.turns for part in turn.user]
    shown = tuple(part.index for part in parts if isinstance(part, PictureRef))
    assert shown
    in_words = split == "train"  # which has more pictures of words
    assert all(i < NUM_PICTURES or (in_words and scene_at(split, i).word) for i in shown)
    if not any(isinstance(part, SoundRef) for part in parts):
        return "typed"
    last = dialogue.turns[-1]
    clip = clip_of(talk, split, last)
    if TRANSCRIBE in texts(last):
        assert last.reply == clip.spoken
        return "transcription"
    assert last.reply == clip.answer
    if clip.kind == "world":
        return "world"
    assert shown == clip.scenes
    if len(dialogue.turns) == 2:
        assert isinstance(dialogue.turns[0].user[0], PictureRef)
        return "picture before"
    assert isinstance(last.user[-1], SoundRef)
    return clip.kind


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_spoken_questions_are_about_the_pictures_beside_them_in_their_order(
    split: Split, talk: SoundDialogues
) -> None:
    rng = random.Random(4)
    kinds = Counter(check_shown(talk, split, talk.vision_speech(rng, split)) for _ in range(1500))
    wanted = {"typed", "picture", "pair", "world", "transcription", "picture before"}
    assert set(kinds) == wanted
    assert min(kinds.values()) > 20
    assert 0.25 < kinds["typed"] / 1500 < 0.4


class Splicer:
    """Says any sentence but those with a word that nobody ever said; silently."""

    def __init__(self, unsaid: str = "") -> None:
        self.said: dict[int, str] = {}
        self._unsaid = unsaid

    def __call__(self, rng: random.Random, sentence: str) -> int | None:
        if self._unsaid and self._unsaid in sentence:
            return None
        number = NUM + len(self.said)
        self.said[number] = sentence
        return number


def spoken_part(turn: Turn) -> int:
    """The number of the clip or sentence that a turn is spoken as."""
    (index,) = [part.index for part in turn.user if isinstance(part, SoundRef)]
    return index


def test_half_of_the_spoken_questions_that_are_learned_are_spliced(
    talk: SoundDialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    splicer, rng = Splicer(), random.Random(5)
    asked = Exchange("arithmetic", "1 plus 1?", "One plus one?", "1 plus 1 is 2.")
    monkeypatch.setattr(sound_dialogues, "sample_exchange", lambda rng, split, makers: asked)
    spliced = SoundDialogues(talk.materials, splicer)
    turns = [spliced.answer(rng, "train") for _ in range(400)]
    new = [turn for turn in turns if spoken_part(turn) in splicer.said]
    assert 0.4 < len(new) / 400 < 0.6
    assert {(splicer.said[spoken_part(turn)], turn.reply) for turn in new} == {
        (asked.spoken, asked.answer)
    }
    assert all(
        turn.reply == clip_of(talk, "train", turn).answer for turn in turns if turn not in new
    )


def test_half_of_the_sentences_that_are_learned_to_translate_are_spliced(
    talk: SoundDialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    splicer, rng = Splicer(), random.Random(6)
    said = Translation("The cat eats.", {language: f"{language}!" for language in LANGUAGES})
    monkeypatch.setattr(sound_dialogues, "sample_translation", lambda rng, split: said)
    spliced = SoundDialogues(talk.materials, splicer)
    turns = [spliced.translation(rng, "train") for _ in range(400)]
    new = [turn for turn in turns if spoken_part(turn) in splicer.said]
    assert 0.4 < len(new) / 400 < 0.6
    for turn in new:
        assert splicer.said[spoken_part(turn)] == said.english
        (prompt,) = texts(turn)
        (language,) = [name for name in LANGUAGES if f"the audio to {name}." in prompt]
        reply = said.by_language[language]
        both = f"{said.english} {SEPARATOR} {reply}"
        assert turn.reply == (both if SEPARATOR in prompt else reply)
    for turn in turns:
        if turn not in new:
            check_sound_turn(talk, "train", turn)


def test_spliced_questions_are_about_the_pictures_beside_them(
    talk: SoundDialogues, monkeypatch: pytest.MonkeyPatch
) -> None:
    splicer, rng = Splicer(), random.Random(7)

    def ask(kind: str) -> Callable[..., Exchange]:
        def of_scenes(rng: random.Random, *scenes: Scene) -> Exchange:
            seeds = " ".join(str(scene.seed) for scene in scenes)
            return Exchange("x", "", f"{kind} {seeds}", f"It is {kind}.", looks=(Look(1, ()),))

        return of_scenes

    for name in ("ask_about", "ask_to_look_up", "ask_about_two"):
        monkeypatch.setattr(sound_dialogues, name, ask(name))
    spliced = SoundDialogues(talk.materials, splicer)
    kinds: Counter[tuple[str, int]] = Counter()
    for _ in range(1500):
        dialogue = spliced.vision_speech(rng, "train")
        numbers = [spoken_part(turn) for turn in dialogue.turns if len(texts(turn)) == 0]
        if not numbers or numbers[0] not in splicer.said:
            continue
        first, *others = dialogue.turns
        shown = [part.index for part in first.user if isinstance(part, PictureRef)]
        seeds = [str(scene_at("train", number).seed) for number in shown]
        for turn, number in zip(dialogue.turns, numbers, strict=True):
            kind, *about = splicer.said[number].split()
            assert about == seeds
            assert (turn.reply, turn.looks) == (f"It is {kind}.", (Look(1, ()),))
        assert all(len(turn.user) == 1 for turn in others)  # the pictures are shown once
        kinds[kind, len(numbers)] += 1
    one = {(kind, num) for kind in ("ask_about", "ask_to_look_up") for num in NUM_SPLICED}
    assert set(kinds) == {*one, ("ask_about_two", 1)}
    assert min(kinds.values()) > 10


def test_what_is_asked_in_evaluation_is_never_spliced(talk: SoundDialogues) -> None:
    splicer, rng = Splicer(), random.Random(8)
    spliced = SoundDialogues(talk.materials, splicer)
    for make in (spliced.speech, spliced.vision_speech):
        for _ in range(300):
            make(rng, "held_out")
    assert not splicer.said


def test_what_cannot_be_spliced_is_a_clip(talk: SoundDialogues) -> None:
    splicer, rng = Splicer(unsaid=" "), random.Random(9)
    spliced = SoundDialogues(talk.materials, splicer)
    for make in (spliced.answer, spliced.translation):
        for _ in range(100):
            check_sound_turn(talk, "train", make(rng, "train"))
    kinds = Counter(
        check_shown(talk, "train", spliced.vision_speech(rng, "train")) for _ in range(600)
    )
    assert {"picture", "pair"} <= set(kinds)
    assert all(" " not in sentence for sentence in splicer.said.values())


def test_pairs_of_pictures_are_two_different_places_in_the_prompt(talk: SoundDialogues) -> None:
    clips = [clip for clip in talk.materials.clips("train").about if clip.kind == "pair"]
    assert clips
    assert any(clip.scenes[0] != clip.scenes[1] for clip in clips)
    assert all(len(clip.scenes) == 2 for clip in clips)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_makes_the_same_dialogues(split: Split, talk: SoundDialogues) -> None:
    for make in (talk.speech, talk.vision_speech):
        first, again = ([make(random.Random(n), split) for n in range(20)] for _ in range(2))
        assert first == again
