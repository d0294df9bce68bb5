"""A prompt's media in their places, and the keys that say what each token is made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.inputs import ModelInputs, Picture, Sound, content_hash
from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.processor import Processor
from core.tokenizer import Tokenizer
from tests import media
from tests.tiny_checkpoint import AUDIO_TOKEN_ID, IMAGE_TOKEN_ID, tiny_config
from tests.tiny_tokenizer import tiny_tokenizer_json

PROCESSOR = Processor(Tokenizer(tiny_tokenizer_json()), tiny_config())
IDS = {"image": IMAGE_TOKEN_ID, "audio": AUDIO_TOKEN_ID}
SMALL = ImagePart(media.picture_file(media.picture(50, 40)), "small.png")
WIDE = ImagePart(media.picture_file(media.picture(150, 40)), "wide.png")
TONE = AudioPart(media.sound_file(media.tone(0.3)), "tone.wav")
LONGER = AudioPart(media.sound_file(media.tone(0.6)), "longer.wav")


def prepared(*parts: Part) -> ModelInputs:
    return PROCESSOR.inputs(Conversation((Message(Role.USER, parts),)))


def keys(*parts: Part) -> np.ndarray:
    return prepared(*parts).keys(IDS)


def test_text_is_known_by_its_token_ids() -> None:
    inputs = prepared(TextPart("hello the world"))
    assert keys(TextPart("hello the world")).tolist() == inputs.token_ids.tolist()


def test_media_stand_in_their_places_each_with_its_hash() -> None:
    inputs = prepared(SMALL, TONE, TextPart("and"), WIDE, LONGER)
    placed = list(inputs.placed(IDS))
    assert [type(each.medium) for each in placed] == [Picture, Picture, Sound, Sound]
    assert [each.content_hash for each in placed] == [*inputs.picture_hashes, *inputs.sound_hashes]
    for each in placed:
        expected = AUDIO_TOKEN_ID if isinstance(each.medium, Sound) else IMAGE_TOKEN_ID
        assert set(inputs.token_ids[each.start : each.end].tolist()) == {expected}
    small, wide, tone, longer = placed
    assert small.end <= tone.start < wide.start <= longer.start


def test_every_place_of_a_medium_has_a_key_of_its_own_and_the_same_file_the_same_ones() -> None:
    found = keys(SMALL, TextPart("what?"))
    of_picture = found[found < 0]
    assert len(set(of_picture.tolist())) == prepared(SMALL).pictures[0].num_tokens
    again = keys(replace(SMALL, name="another name"), TextPart("and now?"))
    assert again[again < 0].tolist() == of_picture.tolist()


@pytest.mark.parametrize(
    "other",
    [
        ImagePart(media.picture_file(media.picture(50, 41))),
        replace(SMALL, detail="low"),
    ],
)
def test_another_picture_or_another_detail_has_other_keys(other: ImagePart) -> None:
    ours, theirs = keys(SMALL), keys(other)
    assert not set(ours[ours < 0].tolist()) & set(theirs[theirs < 0].tolist())


def test_a_medium_nobody_knows_is_like_no_other_not_even_itself() -> None:
    nameless = replace(prepared(SMALL), picture_hashes=())
    first, second = (nameless.keys(IDS) for _ in range(2))
    assert first.tolist() != second.tolist()


def test_placeholders_that_do_not_fit_the_media_are_our_mistake() -> None:
    inputs = replace(prepared(SMALL), pictures=(), picture_hashes=())
    with pytest.raises(AssertionError, match="placeholders stand for media of 0 tokens"):
        list(inputs.placed(IDS))


def test_a_hash_follows_from_where_contents_end_too() -> None:
    hashes = {content_hash(b"ab", b"c"), content_hash(b"a", b"bc"), content_hash(b"abc")}
    assert len(hashes) == 3
    assert content_hash(b"ab", b"c") in hashes
