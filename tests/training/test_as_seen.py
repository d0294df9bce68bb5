"""Pictures as if seen: their tokens tell what the scene holds, as a drawn picture's should."""

from __future__ import annotations

from collections import Counter

import pytest

from core.training.as_seen import AsSeen, tokens_of
from core.training.items import PLACES
from core.training.pointed import Pointed
from core.training.scene_list import scene_at
from core.training.slots import NUM_GLOBAL_TOKENS, global_token
from tests.training import small_tokenizer

SMALL_WORDS = {"at", "the", "on", "in"}


def seen(index: int, seed: int = 0) -> tuple[Pointed, ...]:
    return tokens_of(AsSeen("train", index, seed), small_tokenizer())


def words_at(token: Pointed) -> list[str]:
    return small_tokenizer().decode(list(token.ids)).split()


@pytest.mark.parametrize("index", [i for i in range(40) if scene_at("train", i).items])
def test_each_shape_is_told_by_the_token_of_its_place_once_in_each_view(index: int) -> None:
    scene = scene_at("train", index)
    view, told = seen(index)[-NUM_GLOBAL_TOKENS:], []
    for item in scene.items:
        words = words_at(view[global_token(item.place)])
        assert words[:3] == [item.shape, item.colour, item.size]
        assert words[3:] == [word for word in PLACES[item.place].split() if word not in SMALL_WORDS]
        told.append(words)
    crop = [words_at(token) for token in seen(index)[:-NUM_GLOBAL_TOKENS] if token.ids]
    assert sorted(crop) == sorted(told)
    assert sum(bool(token.ids) for token in view) == len(scene.items)


def test_a_printed_word_is_told_letter_by_letter() -> None:
    index = next(index for index in range(100) if scene_at("train", index).word)
    view = seen(index)[-NUM_GLOBAL_TOKENS:]
    letters = [small_tokenizer().decode(list(token.ids)).strip() for token in view if token.ids]
    assert "".join(letters) == scene_at("train", index).word


def test_pictures_are_square_or_wide_and_seldom_upright() -> None:
    sizes = Counter(len(seen(1, seed)) - 1 - NUM_GLOBAL_TOKENS for seed in range(300))
    assert set(sizes) == {5 * 6, 4 * 6, 5 * 5}
    assert sizes[30] > sizes[24] > sizes[25] > 5


def test_a_seed_shows_a_picture_always_alike() -> None:
    assert seen(2, 5) == seen(2, 5)
    assert len({seen(2, seed) for seed in range(10)}) == 10
