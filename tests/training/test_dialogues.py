"""Dialogues: turns as people have them, each reply true of what was typed or shown before."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, partial

import pytest

from core.training import described, dialogues
from core.training.as_heard import AsHeard
from core.training.as_seen import AsSeen
from core.training.dialogues import (
    SYSTEM_PROMPTS,
    Dialogue,
    Pick,
    PictureRef,
    Turn,
    ask_in_colours,
    chain_turns,
    pair_dialogue,
    picture_dialogue,
    text_dialogue,
    typed,
)
from core.training.exchange import Exchange, Split, is_held_out, words_of
from core.training.facts import number_in_words
from core.training.items import COLOURS, Item, Scene
from core.training.memory import TOLD
from core.training.prompts import SEPARATOR, TRANSCRIBE
from core.training.scene_list import scene_at
from core.training.small_talk import small_talk
from core.training.translation import LANGUAGES, Translation
from tests.training import many
from tests.training.oracles import is_true_number

NUM_PICTURES = 50


def pick(rng: random.Random, split: Split, num_pictures: int = NUM_PICTURES) -> int:
    return rng.randrange(num_pictures)


SENTENCE = Translation("The cat sleeps.", {name: f"<{name} cat>." for name in LANGUAGES})
SCENE = Scene(
    (
        Item("circle", "red", "large", 0),
        Item("star", "red", "small", 4),
        Item("ring", "blue", "small", 8),
    ),
    "",
    seed=1,
)


@cache
def text_dialogues(split: Split) -> tuple[Dialogue, ...]:
    """Many dialogues without media."""
    rng = random.Random(f"test-{split}")
    return tuple(text_dialogue(rng, split) for _ in range(3000))


def as_text(turn: Turn) -> str:
    """What is typed in a turn, or stands there as if heard."""
    said = (part.text if isinstance(part, AsHeard) else part for part in turn.user)
    return " ".join(part for part in said if isinstance(part, str))


def heard_in(turns: Iterable[Turn]) -> list[str]:
    """What stands in turns as if heard."""
    return [part.text for turn in turns for part in turn.user if isinstance(part, AsHeard)]


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_text_dialogue_is_one_to_six_turns_without_media(split: Split) -> None:
    for dialogue in text_dialogues(split):
        assert 1 <= len(dialogue.turns) <= 6
        for turn in dialogue.turns:
            *shown, asked = turn.user if len(turn.user) > 1 else ("", *turn.user)
            assert isinstance(asked, str | AsHeard)
            assert all(isinstance(part, str | AsHeard | AsSeen) for part in shown)
            assert as_text(turn).strip()
            assert turn.reply.strip() == turn.reply != ""
    assert {len(dialogue.turns) for dialogue in text_dialogues(split)} == {1, 2, 3, 4, 6}


def test_some_dialogues_begin_with_a_system_prompt() -> None:
    systems = Counter(dialogue.system for dialogue in text_dialogues("train"))
    assert set(systems) == {"", *SYSTEM_PROMPTS}
    assert 0.85 < systems[""] / systems.total() < 0.95


def test_typing_changes_case_and_last_mark_alone_and_mostly_nothing() -> None:
    rng = random.Random(0)
    question = "What is the capital of Peru?"
    found = Counter(typed(rng, question) for _ in range(2000))
    assert set(found) == {
        question,
        question.rstrip("?"),
        question.lower(),
        question.lower().rstrip("?"),
    }
    assert found.most_common(1)[0][0] == question


def said(question: str) -> str:
    """The question as it is heard, numbers as words: by this form a question is held out."""
    in_words = re.sub(r"\d+", lambda found: number_in_words(int(found[0])), question)
    return re.sub(r"\b([Cc])olor\b", r"\1olour", in_words)


def test_a_single_question_of_a_split_is_of_that_split() -> None:
    rng = random.Random(1)
    sayings = {words_of(exchange.question) for exchange in many(small_talk, 2000)}
    for _ in range(500):
        assert is_held_out(said(as_text(dialogues.text_turn(rng, "held_out"))))
        asked = as_text(dialogues.text_turn(rng, "train"))
        assert words_of(asked) in sayings or not is_held_out(asked)
        assert words_of(asked) in sayings or not is_held_out(said(asked))


def test_what_was_told_may_lie_a_turn_before_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Exchange("follow-up", "I am Ada.", "I am Ada.", "Nice to meet you, Ada.")
    asked = Exchange(TOLD, "Who am I?", "Who am I?", "Your name is Ada.")
    between = Turn(("What is 1 plus 1?",), "1 plus 1 is 2.")
    monkeypatch.setattr(dialogues, "sample_chain", lambda *_: (told, asked))
    monkeypatch.setattr(dialogues, "text_turn", lambda *_: between)
    made = [chain_turns(random.Random(seed), "train") for seed in range(200)]
    lengths = Counter(len(turns) for turns in made)
    assert set(lengths) == {2, 3}
    assert 0.25 < lengths[3] / 200 < 0.55
    for turns in made:
        assert (turns[0].reply, turns[-1].reply) == (told.answer, asked.answer)
        assert turns[1:-1] in ((), (between,))


def test_a_follow_up_comes_right_after_its_question(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Exchange("follow-up", "What colour is snow?", "", "Snow is white.")
    second = Exchange("follow-up", "And coal?", "", "Coal is black.")
    monkeypatch.setattr(dialogues, "sample_chain", lambda *_: (first, second))
    for seed in range(50):
        turns = chain_turns(random.Random(seed), "train")
        assert [turn.reply for turn in turns] == [first.answer, second.answer]


def test_a_translation_is_asked_for_by_its_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogues, "sample_translation", lambda *_: SENTENCE)
    both = 0
    for seed in range(400):
        (turn,) = dialogues._translated(random.Random(seed), "train")
        (language,) = [name for name in LANGUAGES if name in as_text(turn)]
        assert "the cat sleeps" in as_text(turn).lower()
        if SEPARATOR in as_text(turn):
            assert turn.reply == f"The cat sleeps. {SEPARATOR} <{language} cat>."
            both += 1
        else:
            assert turn.reply == f"<{language} cat>."
    assert 50 < both < 150


def test_nobody_hears_the_same_sentence_spread_alike_twice() -> None:
    seeds = [
        part.seed
        for dialogue in text_dialogues("train")
        for turn in dialogue.turns
        for part in turn.user
        if isinstance(part, AsHeard)
    ]
    assert 0.2 < len(seeds) / len(text_dialogues("train")) < 0.5
    assert len(set(seeds)) == len(seeds)


def test_what_is_written_down_is_what_was_as_if_heard() -> None:
    for seed in range(300):
        (turn,) = dialogues._heard_repeat(random.Random(seed), "train")
        assert turn.user[1:] == (TRANSCRIBE,)
        assert heard_in([turn]) == [turn.reply]


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_what_is_answered_as_if_heard_is_a_question_of_the_split(split: Split) -> None:
    sayings = {words_of(exchange.question) for exchange in many(small_talk, 2000)}
    for seed in range(300):
        (turn,) = dialogues._heard_question(random.Random(seed), split)
        (asked,) = heard_in([turn])
        assert not re.search(r"\d", asked)
        is_saying = words_of(asked) in sayings
        assert is_saying or is_held_out(asked) == (split == "held_out")


def test_what_is_translated_as_if_heard_is_asked_for_by_its_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialogues, "sample_translation", lambda *_: SENTENCE)
    both = 0
    for seed in range(400):
        (turn,) = dialogues._heard_translated(random.Random(seed), "train")
        (language,) = [name for name in LANGUAGES if name in as_text(turn)]
        assert heard_in([turn]) == [SENTENCE.english]
        if SEPARATOR in as_text(turn):
            assert turn.reply == f"The cat sleeps. {SEPARATOR} <{language} cat>."
            both += 1
        else:
            assert turn.reply == f"<{language} cat>."
    assert 100 < both < 220


def test_later_questions_about_what_is_told_as_seen_are_often_as_if_heard() -> None:
    rng, heard, typed_ones = random.Random(2), 0, 0
    for _ in range(400):
        first, *others = dialogues._described(
            described.seen_picture, dialogues.HEARD_SHARE, rng, "train"
        )
        assert not heard_in([first])
        assert first.told
        num = len(heard_in(others))
        heard, typed_ones = heard + num, typed_ones + len(others) - num
        assert all(turn.looks for turn in others if heard_in([turn]) and "star" in as_text(turn))
    assert 0.2 < heard / (heard + typed_ones) < 0.4


@pytest.mark.parametrize("split", ["train", "held_out"])
@pytest.mark.parametrize(("make", "num"), [(dialogues._as_seen, 1), (dialogues._two_as_seen, 2)])
def test_pictures_that_nobody_drew_come_before_true_replies(
    make: Callable[[random.Random, Split], tuple[Turn, ...]], num: int, split: Split
) -> None:
    asked = Counter[type]()
    for seed in range(150):
        first, *others = make(random.Random(seed), split)
        shown = [part for part in first.user if isinstance(part, AsSeen)]
        assert [each.split for each in shown] == [split] * num
        assert len(first.user) == num + 1
        for turn in (first, *others):
            asked[type(turn.user[-1])] += 1
        assert all(len(turn.user) == 1 for turn in others)
        if num == 1 and not (scene := scene_at(split, shown[0].index)).items:
            assert scene.word in first.reply.lower()
    assert 0.2 < asked[AsHeard] / asked.total() < 0.4
    assert set(asked) == {str, AsHeard}


def test_what_is_repeated_is_what_was_typed() -> None:
    for seed in range(300):
        (turn,) = dialogues._repeat(random.Random(seed), "train")
        said = as_text(turn).removesuffix(TRANSCRIBE)
        said = re.sub(r"^(Repeat|Say after me):", "", said)
        assert words_of(said) == words_of(turn.reply)
        assert turn.reply[-1] in ".?" or re.search("plus|minus|times", turn.reply.lower())


@pytest.mark.parametrize("seed", range(40))
def test_shapes_of_one_colour_and_of_others_are_counted_right(seed: int) -> None:
    exchanges = ask_in_colours(random.Random(seed), SCENE)
    assert 2 <= len(exchanges) <= 3
    asked = []
    for exchange in exchanges:
        (colour,) = [name for name in COLOURS if name in exchange.question]
        found = [item for item in SCENE.items if item.colour == colour]
        assert len(found) == {"red": 2, "blue": 1}.get(colour, 0)
        assert is_true_number(exchange.answer, found, f"{colour} shape")
        assert exchange.looks
        asked.append(colour)
    assert len(set(asked)) == len(asked)
    assert exchanges[0].question.startswith("How many")
    assert not any(exchange.question.startswith("How many") for exchange in exchanges[1:])


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_picture_dialogue_shows_one_picture_and_speaks_of_it(split: Split) -> None:
    rng, num_read, num_with_word = random.Random(2), 0, 0
    for _ in range(400):
        dialogue = picture_dialogue(rng, split, pick)
        first, *others = dialogue.turns
        picture = first.user[0]
        assert isinstance(picture, PictureRef)
        assert 0 <= picture.index < NUM_PICTURES
        assert len(first.user) == 2
        assert all(isinstance(part, str) for turn in others for part in turn.user)
        if word := scene_at(split, picture.index).word:
            num_with_word += 1
            num_read += any(word in turn.reply.rstrip(".").split() for turn in dialogue.turns)
    assert num_with_word > 60
    assert num_read > 0.8 * num_with_word


def test_shapes_are_asked_about_again_and_again_and_words_seldom() -> None:
    rng = random.Random(3)
    lengths: dict[bool, Counter[int]] = {True: Counter(), False: Counter()}
    for _ in range(900):
        first, *others = picture_dialogue(rng, "train", pick).turns
        picture = first.user[0]
        assert isinstance(picture, PictureRef)
        lengths[bool(scene_at("train", picture.index).word)][1 + len(others)] += 1
    words, shapes = lengths[True], lengths[False]
    assert set(words) == {1, 2}
    assert words[1] > 0.6 * words.total()
    assert set(shapes) == {1, 2, 3, 4, 6, 8}
    assert shapes[1] < 0.3 * shapes.total()


def test_more_than_half_of_what_is_learned_of_shapes_is_looked_up_and_nothing_asked_so() -> None:
    """The longest dialogues are all look-ups: 8 questions come of nothing else."""
    shares = []
    for split in ("train", "held_out"):
        rng = random.Random(7)
        made = [picture_dialogue(rng, split, pick) for _ in range(600)]
        lengths = Counter(len(dialogue.turns) for dialogue in made if has_shapes(dialogue, split))
        shares.append(lengths[8] / lengths.total())
    assert 0.1 < shares[0] < 0.3  # a third of 60 % of them
    assert shares[1] == 0


def has_shapes(dialogue: Dialogue, split: Split) -> bool:
    picture = dialogue.turns[0].user[0]
    assert isinstance(picture, PictureRef)
    return not scene_at(split, picture.index).word


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_two_pictures_come_before_a_question_about_both(
    split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[Scene, Scene]] = []

    def ask(_: random.Random, first: Scene, second: Scene) -> Exchange:
        shown.append((first, second))
        return Exchange("two pictures", "Which?", "Which?", "The first.")

    monkeypatch.setattr(dialogues, "ask_about_two", ask)
    rng = random.Random(4)
    for _ in range(100):
        shown.clear()
        first, *others = pair_dialogue(rng, split, pick).turns
        *pictures, question = first.user
        assert isinstance(question, str)
        indices = [part.index for part in pictures if isinstance(part, PictureRef)]
        assert len(indices) == 2
        assert shown[0] == (scene_at(split, indices[0]), scene_at(split, indices[1]))
        assert len(shown) == 1 + len(others)
        assert set(shown) == {shown[0]}


@pytest.mark.parametrize("make", [picture_dialogue, pair_dialogue])
def test_only_pictures_that_were_picked_are_shown(
    make: Callable[[random.Random, Split, Pick], Dialogue],
) -> None:
    rng = random.Random(5)
    made = [make(rng, "train", partial(pick, num_pictures=3)) for _ in range(200)]
    parts = [part for dialogue in made for turn in dialogue.turns for part in turn.user]
    assert {part.index for part in parts if isinstance(part, PictureRef)} == {0, 1, 2}


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_makes_the_same_dialogues(split: Split) -> None:
    for make in (
        lambda seed: text_dialogue(random.Random(seed), split),
        lambda seed: picture_dialogue(random.Random(seed), split, pick),
        lambda seed: pair_dialogue(random.Random(seed), split, pick),
    ):
        assert [make(seed) for seed in range(20)] == [make(seed) for seed in range(20)]
        assert len({make(seed) for seed in range(20)}) > 10
