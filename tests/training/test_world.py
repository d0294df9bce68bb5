"""The small world in words: every exchange well formed, and the splits apart.

Leaves out: whether answers are true (test_numbers.py, test_knowledge.py).
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.training import facts
from core.training.dialogues import typed
from core.training.exchange import Exchange, Split, capitalised, is_held_out, words_of
from core.training.small_talk import UNKNOWN_ANSWER, invented, small_talk, unknown
from core.training.world import MAKERS, sample_exchange, sample_spoken
from tests.training import many, numbers_in

Maker = Callable[[random.Random], Exchange]
ALL_MAKERS = [maker for maker, _ in MAKERS]
# Nobody says an invented word, or knows its article.
SPOKEN_MAKERS = [maker for maker in ALL_MAKERS if maker is not invented]
every_maker = pytest.mark.parametrize("maker", ALL_MAKERS, ids=lambda maker: maker.__name__)
every_spoken_maker = pytest.mark.parametrize(
    "maker", SPOKEN_MAKERS, ids=lambda maker: maker.__name__
)


@cache
def sampled(split: Split) -> tuple[Exchange, ...]:
    """Many exchanges of a split."""
    rng = random.Random(f"test-{split}")
    return tuple(sample_exchange(rng, split) for _ in range(8000))


@every_maker
def test_every_question_is_a_sentence(maker: Maker) -> None:
    for exchange in many(maker):
        for question in (exchange.question, exchange.spoken):
            assert re.match(r"[A-Z0-9]", question), question
            is_bare_sum = re.fullmatch(r"[\w ]+ (plus|minus|times) [\w ]+", question)
            assert question.endswith(("?", ".")) or is_bare_sum, question
            assert not re.search(r"[{}]|  | [?.,]", question), question


@every_maker
def test_every_answer_is_a_sentence(maker: Maker) -> None:
    for exchange in many(maker):
        assert re.fullmatch(r"[A-Z0-9][^{}]*[^ ][.!?]", exchange.answer), exchange
        assert "  " not in exchange.answer


@every_spoken_maker
def test_articles_suit_their_nouns(maker: Maker) -> None:
    for exchange in many(maker):
        for sentence in (exchange.question, exchange.spoken, exchange.answer):
            for article, noun in re.findall(r"\b([Aa]n?) (\w{2,})", sentence):
                begins_with_vowel = noun[0] in "aeio" or noun.startswith("un")
                assert (article.lower() == "an") == begins_with_vowel, sentence


@every_maker
def test_spoken_questions_hold_no_digits_and_say_what_is_typed(maker: Maker) -> None:
    for exchange in many(maker):
        assert not re.search(r"\d", exchange.spoken)
        in_words = re.sub(r"\d+", lambda m: facts.number_in_words(int(m[0])), exchange.question)
        assert words_of(in_words).replace("color ", "colour ") == words_of(exchange.spoken)
        assert numbers_in(exchange.question) == numbers_in(exchange.spoken)


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_invented_words_are_never_spoken(split: Split) -> None:
    rng = random.Random("test-spoken")
    spoken = [sample_spoken(rng, split) for _ in range(4000)]
    assert "invented" not in {exchange.skill for exchange in spoken}
    assert "invented" in {exchange.skill for exchange in sampled(split)}
    assert {e.skill for e in spoken} == {e.skill for e in sampled(split)} - {"invented"}


def test_invented_words_can_be_said_and_are_not_among_those_that_are_spelled() -> None:
    templates = {"what", "is", "who", "does", "make", "have", "how", "many", "legs", "sound"}
    templates |= {"the", "a", "of", "meaning", "colour", "capital", "opposite", "please"}
    for exchange in many(invented, 2000):
        words = set(words_of(exchange.question).split()) - templates
        assert words, exchange
        for word in words:
            assert 3 <= len(word) <= 10
            assert re.search("[aeiou]", word)
            assert not re.search("[aeiou]{3}|[^aeiou]{2}", word), exchange
            assert word not in facts.WORDS


@pytest.mark.parametrize("maker", [unknown, invented])
def test_what_lies_outside_the_world_is_said_to_be_unknown(maker: Maker) -> None:
    exchanges = many(maker)
    assert {exchange.answer for exchange in exchanges} == {UNKNOWN_ANSWER}
    assert len({exchange.question for exchange in exchanges}) > 0.9 * len(exchanges)


def test_what_the_world_does_not_know_is_no_part_of_it() -> None:
    assert not set(facts.UNKNOWN_COUNTRIES) & {*facts.CAPITALS, *facts.CAPITALS.values()}
    assert not set(facts.UNKNOWN_THINGS) & set(facts.THING_COLOURS)
    things = {thing.split()[-1] for thing in facts.UNKNOWN_THINGS}
    assert not things & {*facts.SHAPE_SIDES, *facts.ANIMAL_LEGS, *facts.ANIMAL_SOUNDS}


def test_a_question_has_one_answer_however_it_is_reached() -> None:
    answers: dict[str, set[str]] = defaultdict(set)
    for exchange in (*sampled("train"), *sampled("held_out")):
        answers[words_of(exchange.question)].add(exchange.answer)
        answers[words_of(exchange.spoken)].add(exchange.answer)
    assert len(answers) > 8000
    assert not [question for question, replies in answers.items() if len(replies) > 1]


# The splits


@pytest.mark.parametrize("form", ["question", "spoken"])
def test_no_surface_form_is_in_both_splits(form: str) -> None:
    trained = {words_of(e.question) for e in sampled("train")}
    trained |= {words_of(e.spoken) for e in sampled("train")}
    held_out = {words_of(getattr(e, form)) for e in sampled("held_out")}
    assert not held_out & trained


def test_small_talk_is_always_trained_and_never_asked_in_evaluation() -> None:
    sayings = many(small_talk, 2000)
    assert any(is_held_out(exchange.spoken) for exchange in sayings)
    assert all(exchange.belongs_to("train") for exchange in sayings)
    assert not any(exchange.belongs_to("held_out") for exchange in sayings)
    assert {e.question for e in sayings} <= {e.question for e in sampled("train")}


def test_a_saying_has_one_answer() -> None:
    answers: dict[str, set[str]] = defaultdict(set)
    for exchange in many(small_talk, 2000):
        answers[words_of(exchange.question)].add(exchange.answer)
    assert len(answers) > 40
    assert all(len(replies) == 1 for replies in answers.values())


def test_both_splits_have_every_skill_but_small_talk() -> None:
    trained, held_out = ({e.skill for e in sampled(split)} for split in ("train", "held_out"))
    assert trained - held_out == {"small talk"}
    assert held_out < trained
    assert len(held_out) == 13


def test_about_one_surface_form_in_ten_is_held_out() -> None:
    forms = {words_of(e.spoken) for maker in ALL_MAKERS for e in many(maker)}
    share = sum(map(is_held_out, forms)) / len(forms)
    assert 0.07 < share < 0.13


def test_what_is_held_out_as_it_is_typed_alone_is_in_no_split() -> None:
    spoken = next(
        f"What is {n} plus two?" for n in "abcdefgh" if not is_held_out(f"What is {n} plus two?")
    )
    typed_form = next(f"Form {n}?" for n in range(99) if is_held_out(f"Form {n}?"))
    exchange = Exchange("arithmetic", typed_form, spoken, "")
    assert not exchange.belongs_to("train")
    assert not exchange.belongs_to("held_out")


@settings(deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["lower", "upper", "title", "rstrip"]))
def test_case_and_last_mark_do_not_move_a_question_between_splits(seed: int, how: str) -> None:
    rng = random.Random(seed)
    question = sample_exchange(rng, "train").question
    altered = question.rstrip("?.") if how == "rstrip" else getattr(question, how)()
    assert is_held_out(altered) == is_held_out(question)
    assert is_held_out(typed(rng, question)) == is_held_out(question)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("What's 3 plus 4?", "what's 3 plus 4"),
        ("  Hello,  THERE! ", "hello there"),
        ("C'è un'arancia.", "c'è un'arancia"),
        ("Où est l'école ?", "où est l'école"),
        ("...", ""),
    ],
)
def test_words_of_a_sentence_are_what_is_left_without_its_marks(sentence: str, words: str) -> None:
    assert words_of(sentence) == words


@pytest.mark.parametrize(("word", "large"), [("élan", "Élan"), ("", ""), ("3 cats", "3 cats")])
def test_the_first_letter_is_made_large_and_no_other(word: str, large: str) -> None:
    assert capitalised(word) == large


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_the_same_seed_asks_the_same(split: Split) -> None:
    first, again, other = (
        [sample_exchange(random.Random(seed), split) for _ in range(3)] for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other
