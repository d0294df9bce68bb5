"""Held-out cases: the same from a seed, never seen in training, whole in every skill."""

from __future__ import annotations

import io
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.messages import AudioPart, ImagePart, Role, TextPart
from core.training import cases as module
from core.training import packages
from core.training.cases import (
    CHAIN_EVERY,
    PAIR_EVERY,
    SKILLS,
    VOICES,
    WITH_PICTURES,
    Case,
    case_at,
    cases,
    missing_for,
    synthesizers,
    voice_groups,
)
from core.training.exchange import is_held_out
from core.training.fonts import FONT_PACKAGES
from core.training.prompts import SEPARATOR, TRANSCRIBE
from core.training.translation import LANGUAGES
from core.training.voices import VoiceGroup
from tests.training.test_dialogues import said

NUM = 8


@pytest.fixture(autouse=True)
def silent_speaker(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, VoiceGroup]]:
    """No synthesizer is needed here: noise speaks, and it is noted who shall say what."""
    said: list[tuple[str, VoiceGroup]] = []

    def speak(text: str, rng: random.Random, group: VoiceGroup) -> np.ndarray:
        said.append((text, group))
        return np.array([rng.uniform(-1, 1) for _ in range(800)], np.float32)

    monkeypatch.setattr(module, "speak", speak)
    return said


@pytest.mark.parametrize("skill", SKILLS)
def test_the_same_seed_gives_the_same_cases_and_another_gives_others(skill: str) -> None:
    first, again, others = (list(cases(skill, NUM, seed)) for seed in (0, 0, 1))
    assert first == again
    assert not {case.conversation for case in first} & {case.conversation for case in others}


@pytest.mark.parametrize("skill", SKILLS)
def test_a_case_does_not_depend_on_how_many_are_made(skill: str) -> None:
    assert list(cases(skill, 5, 3))[4] == case_at(skill, 3, 4)


@pytest.mark.parametrize("skill", SKILLS)
def test_a_case_has_the_media_its_skill_names_and_a_right_reply(skill: str) -> None:
    for case in cases(skill, NUM, 0):
        assert case.skill == skill
        assert case.expected.strip()
        assert bool(case.pictures) == (skill in WITH_PICTURES)
        assert (case.sound is not None) == bool(case.spoken) == (skill in VOICES)
        assert case.prompt or case.spoken
        for picture in case.pictures:
            with Image.open(io.BytesIO(picture)) as opened:
                assert opened.format == "PNG"


@pytest.mark.parametrize(
    ("skill", "kinds"),
    [
        ("text", {"memory", "capitals"}),
        ("scenes told in words", {"colour", "place", "two pictures", "read"}),
        ("picture questions", {"colour", "place", "compare"}),
        ("spoken questions", {"capitals", "spelling"}),
        ("spoken questions on a picture", {"colour", "two pictures", "read"}),
        ("translation, typed", {""}),
        ("transcription, unseen voices", {""}),
    ],
)
def test_a_case_says_which_kind_of_question_it_is(skill: str, kinds: set[str]) -> None:
    found = {case_at(skill, 0, number).kind for number in range(80)}
    assert found >= kinds
    assert ("" in found) == ("" in kinds)


@pytest.mark.parametrize("skill", [skill for skill in SKILLS if skill in VOICES])
def test_a_skill_is_spoken_by_its_group_of_voices(
    skill: str, silent_speaker: list[tuple[str, VoiceGroup]]
) -> None:
    spoken = [(case.spoken, VOICES[skill]) for case in cases(skill, NUM, 0)]
    assert sorted(silent_speaker) == sorted(spoken)
    assert "trained" not in voice_groups([skill])


def test_text_is_held_out_by_its_wording() -> None:
    made = list(cases("text", 40, 0))
    questions = [case.prompt for case in made if not case.history]
    assert questions
    assert all(is_held_out(said(question)) for question in questions)


def test_no_text_comes_twice() -> None:
    made = list(cases("text", 600, 0))
    assert len({(case.prompt, case.history) for case in made}) == 600


def test_one_text_in_seven_needs_what_was_said_before() -> None:
    made = list(cases("text", 4 * CHAIN_EVERY, 0))
    chains = [case for case in made if case.history]
    assert len(chains) == 4
    assert all(is_held_out(said(_chain_of(case))) for case in chains if len(case.history) == 1)


def _chain_of(case: Case) -> str:
    return " ".join([*(question for question, _ in case.history), case.prompt])


def test_earlier_turns_come_before_the_question_with_their_right_replies() -> None:
    case = Case("text", "Ada.", "Who am I?", history=(("I am Ada.", "Nice to meet you, Ada."),))
    assert [(message.role, message.text) for message in case.conversation.messages] == [
        (Role.USER, "I am Ada."),
        (Role.ASSISTANT, "Nice to meet you, Ada."),
        (Role.USER, "Who am I?"),
    ]
    assert case.said == "I am Ada. / Who am I?"


def test_pictures_come_first_then_the_clip_then_the_text() -> None:
    case = Case("two pictures", "Yes.", "Really?", "Is it so?", (b"one", b"two"), b"sound")
    (message,) = case.conversation.messages
    assert message.parts == (
        ImagePart(b"one"),
        ImagePart(b"two"),
        AudioPart(b"sound"),
        TextPart("Really?"),
    )


@pytest.mark.parametrize("skill", ["translation, typed", "translation from speech"])
def test_each_language_is_asked_for_as_often_as_any_other(skill: str) -> None:
    made = cases(skill, 2 * len(LANGUAGES), 0)
    asked = Counter(name for case in made for name in LANGUAGES if name in case.prompt)
    assert asked == dict.fromkeys(LANGUAGES, 2)


def test_half_of_the_spoken_translations_want_the_transcript_too() -> None:
    made = list(cases("translation from speech", 2 * len(LANGUAGES), 0))
    both = [case for case in made if SEPARATOR in case.expected]
    assert len(both) == len(LANGUAGES)
    for case in both:
        assert case.expected.startswith(f"{case.spoken} {SEPARATOR} ")
        assert SEPARATOR in case.prompt


def test_transcripts_are_what_was_said_of_questions_and_sentences_alike() -> None:
    made = list(cases("transcription, unseen voices", NUM, 0))
    assert all(case.prompt == TRANSCRIBE and case.expected == case.spoken for case in made)
    assert all(is_held_out(case.spoken) for case in made)
    assert any(case.spoken.endswith("?") for case in made)
    assert any(case.spoken.endswith(".") for case in made[1::2])


def test_two_pictures_are_two_and_so_in_one_spoken_question_of_six() -> None:
    assert {len(case.pictures) for case in cases("two pictures", 4, 0)} == {2}
    spoken = [len(case.pictures) for case in cases("spoken questions on a picture", 12, 0)]
    assert spoken == ([1] * (PAIR_EVERY - 1) + [2]) * 2


def test_printed_words_are_asked_about_and_shapes_apart() -> None:
    shapes = " ".join(case.expected for case in cases("picture questions", 20, 0))
    assert "word" not in shapes.replace("no word", "")
    for case in cases("printed words", 20, 0):
        assert "word" in case.expected or "number" in case.expected


def test_scenes_are_told_as_one_or_two_or_by_their_letters() -> None:
    made = list(cases("scenes told in words", 40, 0))
    for number, case in enumerate(made):
        is_spelled = number % 4 == 3
        assert case.prompt.startswith("The picture shows ") or not is_spelled
        assert ("word" in case.expected or "number" in case.expected) or not is_spelled
    pairs = [case.prompt for case in made[2::4]]
    assert all(len(re.findall(r"shapes?: |Picture: |The picture shows ", it)) == 2 for it in pairs)


def test_scenes_told_in_words_are_held_out() -> None:
    """Where digits stand, the same question is asked in words, and that decides."""
    made = [case.prompt for case in cases("scenes told in words", 40, 0)]
    without_digits = [prompt for prompt in made if not re.search(r"\d", prompt)]
    assert len(without_digits) > 10
    assert all(is_held_out(said(prompt)) for prompt in without_digits)


def test_only_what_the_skills_need_is_missed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[VoiceGroup, ...]] = []

    def missing(groups: tuple[VoiceGroup, ...]) -> tuple[str, ...]:
        asked.append(groups)
        return ("festival",)

    monkeypatch.setattr(packages, "missing_synthesizers", missing)
    monkeypatch.setattr(packages, "FOLDER", tmp_path)
    assert missing_for(["text", "translation, typed"]) == ()
    assert asked == []
    assert missing_for(["two pictures"]) == tuple(FONT_PACKAGES)
    assert missing_for(["transcription, unseen synthesizer"]) == ("festival",)
    assert asked == [("unseen synthesizer",)]
    both = missing_for(["spoken questions on a picture"])
    assert both == ("festival", *FONT_PACKAGES)


def test_the_programs_that_speak_are_named_once() -> None:
    assert synthesizers(["text"]) == ()
    assert synthesizers(SKILLS) == ("espeak-ng", "flite", "festival")
