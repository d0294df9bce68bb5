"""Drills: each word of the world is as frequent as any other, in sentences that say nothing."""

from __future__ import annotations

import random
import re
from collections import Counter

from core.training.exchange import WORD
from core.training.word_drills import LEAST_EXCHANGED, _sentence, drilled_words, word_drill
from core.training.world import sample_spoken


def test_words_of_the_world_are_drilled_as_they_are_written_inside_a_sentence() -> None:
    words = drilled_words()
    assert len(words) == len(set(words)) > 900
    assert {"Germany", "Monday", "nurse", "eleven", "which"} <= set(words)
    assert not {"germany", "monday", "Which"} & set(words)


def test_a_drill_is_a_sentence_of_known_words() -> None:
    rng = random.Random(0)
    for _ in range(300):
        drill = word_drill(rng)
        assert WORD.search(drill)
        assert not re.search(r"\d", drill)


def test_seldom_words_are_drilled_far_more_often_than_they_are_said() -> None:
    rng = random.Random(1)
    said, drilled = Counter[str](), Counter[str]()
    for _ in range(4000):
        said.update(WORD.findall(sample_spoken(rng, "train").spoken.lower()))
        drilled.update(WORD.findall(word_drill(rng).lower()))
    words = [word.lower() for word in drilled_words()]
    seldom = sorted(words, key=lambda word: said[word])[: len(words) // 2]
    assert sum(drilled[word] for word in seldom) > 5 * sum(said[word] for word in seldom)


def test_at_least_a_quarter_of_the_words_and_at_most_all_are_exchanged() -> None:
    rng, shares = random.Random(2), []
    for _ in range(400):
        state = rng.getstate()
        drill = WORD.findall(word_drill(rng))
        rng.setstate(state)
        rng.uniform(LEAST_EXCHANGED, 1)
        sentence = WORD.findall(_sentence(rng))
        assert len(drill) == len(sentence)
        shares.append(sum(map(str.__ne__, drill, sentence)) / len(sentence))
    assert max(shares) == 1
    assert 0.5 < sum(shares) / len(shares) < 0.75
