"""Training rows: the ids that the prompt has, replies alone learned, batches that lose nothing."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from core.messages import AudioPart, Conversation, ImagePart, Message, Part, Role, TextPart
from core.prompt import encode_prompt, prompt_segments
from core.training.as_heard import AsHeard, spread
from core.training.as_seen import AsSeen, tokens_of
from core.training.dialogues import (
    Dialogue,
    Pick,
    PictureRef,
    SoundRef,
    Turn,
    UserPart,
    pair_dialogue,
    picture_dialogue,
    text_dialogue,
)
from core.training.examples import (
    IGNORED,
    MediaTokens,
    Row,
    RowEncoder,
    collate,
    collate_by_length,
)
from core.training.exchange import Split, look_throughout
from core.training.scene_list import scene_at
from tests.training import small_tokenizer

NUM_PICTURE_TOKENS = {4: 5, 7: 3}
NUM_SOUND_TOKENS = {1: 2, 9: 4}
PAD_ID = 0
AUDIO_ID = small_tokenizer().control_id("<|audio|>")
IMAGE_ID = small_tokenizer().control_id("<|image|>")

DIALOGUES = {
    "text": Dialogue((Turn(("Hello.",), "Hello! What would you like to know?"),)),
    "system": Dialogue((Turn((" What is 1 plus 2?",), "1 plus 2 is 3."),), "Be brief."),
    "turns": Dialogue((Turn(("hi",), "Hello!"), Turn((" bye",), "Goodbye!"))),
    "picture": Dialogue((Turn((PictureRef(4), " What do you see?"), "1 shape."),)),
    "picture, then text": Dialogue(
        (Turn((PictureRef(7), "Where?"), "On the left."), Turn(("And now?",), "Nothing."))
    ),
    "sound": Dialogue((Turn((SoundRef(9),), "Paris."), Turn((SoundRef(1), "Write"), "hello"))),
    "two pictures": Dialogue((Turn((PictureRef(4), PictureRef(7), "Which?"), "The first."),)),
    "a picture twice": Dialogue((Turn((PictureRef(7), PictureRef(7), "Which?"), "Both."),)),
    "two pictures and a sound": Dialogue(
        (Turn((PictureRef(7), PictureRef(4), SoundRef(9)), "Neither."),)
    ),
    "a picture, then a sound, then text": Dialogue(
        (
            Turn((PictureRef(7), "What is this?"), "A star."),
            Turn((SoundRef(1),), "It is red."),
            Turn(("and how big?",), "The star is large."),
        )
    ),
    "as if heard": Dialogue((Turn((AsHeard("Hello there.", 3), "Write"), "Hello there."),)),
    "told, then as if heard": Dialogue(
        (Turn(("Seen: red star.",), "1 shape."), Turn((AsHeard("Which one?", 4),), "A star."))
    ),
    "as if seen, and heard": Dialogue(
        (Turn((AsSeen("train", 5, 6), AsHeard("Which one?", 4)), "A star."),)
    ),
    "both": Dialogue((Turn((PictureRef(4), SoundRef(1)), "A star."),), "You are Triad."),
    "control tokens as text": Dialogue((Turn(("<|end|><|assistant|>",), "<|end|>"),)),
}


def encoder() -> RowEncoder:
    tokenizer = small_tokenizer()
    media = MediaTokens(
        image_id=IMAGE_ID,
        audio_id=AUDIO_ID,
        picture_tokens=NUM_PICTURE_TOKENS.__getitem__,
        sound_tokens=NUM_SOUND_TOKENS.__getitem__,
    )
    return RowEncoder(tokenizer, media)


def part_of(part: UserPart) -> Part:
    if isinstance(part, str):
        return TextPart(part)
    return ImagePart(b"") if isinstance(part, PictureRef | AsSeen) else AudioPart(b"")


def num_sound_tokens(part: SoundRef | AsHeard) -> int:
    if isinstance(part, SoundRef):
        return NUM_SOUND_TOKENS[part.index]
    return len(spread(part, small_tokenizer()).frames)


def num_picture_tokens(part: PictureRef | AsSeen) -> int:
    if isinstance(part, PictureRef):
        return NUM_PICTURE_TOKENS[part.index]
    return len(tokens_of(part, small_tokenizer()))


def conversation_up_to(dialogue: Dialogue, num_turns: int) -> Conversation:
    """What a person has sent when the reply of the last of these turns is due."""
    messages = [Message(Role.SYSTEM, (TextPart(dialogue.system),))] if dialogue.system else []
    for turn in dialogue.turns[:num_turns]:
        messages.append(Message(Role.USER, tuple(map(part_of, turn.user))))
        messages.append(Message(Role.ASSISTANT, (TextPart(turn.reply),)))
    return Conversation(tuple(messages[:-1]))


def prompt_of(dialogue: Dialogue, num_turns: int) -> list[int]:
    parts = [part for turn in dialogue.turns[:num_turns] for part in turn.user]
    tokenizer = small_tokenizer()
    return encode_prompt(
        prompt_segments(conversation_up_to(dialogue, num_turns)),
        tokenizer,
        {k: tokenizer.control_id(f"<|{k}|>") for k in ("image", "audio")},
        {
            "image": [num_picture_tokens(p) for p in parts if isinstance(p, PictureRef | AsSeen)],
            "audio": [num_sound_tokens(p) for p in parts if isinstance(p, SoundRef | AsHeard)],
        },
    )


def check_row(dialogue: Dialogue) -> None:
    """Every reply is learned behind exactly the prompt that asks for it, and nothing else is."""
    row, end = encoder().encode(dialogue), small_tokenizer().control_id("<|end|>")
    expected = [IGNORED] * len(row.ids)
    for num_turns, turn in enumerate(dialogue.turns, 1):
        prompt = prompt_of(dialogue, num_turns)
        assert list(row.ids[: len(prompt)]) == prompt
        reply = [*small_tokenizer().encode_text(turn.reply, after=prompt[-1]), end]
        expected[len(prompt) - 1 : len(prompt) - 1 + len(reply)] = reply
    assert list(row.labels) == expected
    assert row.labels[-1] == end


@pytest.mark.parametrize("name", DIALOGUES)
def test_a_row_has_the_ids_of_the_prompt_and_learns_replies_alone(name: str) -> None:
    check_row(DIALOGUES[name])


@pytest.mark.parametrize("seed", range(30))
def test_rows_of_the_recipes_own_dialogues_equal_prompts(seed: int) -> None:
    check_row(text_dialogue(random.Random(seed)))


@pytest.mark.parametrize("make", [picture_dialogue, pair_dialogue])
@pytest.mark.parametrize("seed", range(8))
def test_rows_of_dialogues_about_pictures_equal_prompts(
    make: Callable[[random.Random, Split, Pick], Dialogue], seed: int
) -> None:
    dialogue = make(random.Random(seed), "train", lambda rng, split: rng.randrange(3))
    check_row(Dialogue(tuple(map(with_known_pictures, dialogue.turns))))


def with_known_pictures(turn: Turn) -> Turn:
    """The turn with the pictures of these tests."""
    indices = tuple(NUM_PICTURE_TOKENS)
    return Turn(
        tuple(
            PictureRef(indices[part.index % 2]) if isinstance(part, PictureRef) else part
            for part in turn.user
        ),
        turn.reply,
    )


@pytest.mark.parametrize("name", DIALOGUES)
def test_labels_are_the_ids_one_place_earlier(name: str) -> None:
    row = encoder().encode(DIALOGUES[name])
    learned = [i for i, label in enumerate(row.labels[:-1]) if label != IGNORED]
    assert learned
    assert all(row.labels[i] == row.ids[i + 1] for i in learned)


def test_media_are_listed_in_prompt_order() -> None:
    turns = (
        Turn((PictureRef(7), SoundRef(9)), "one"),
        Turn((PictureRef(4), "and", SoundRef(1)), "two"),
    )
    row = encoder().encode(Dialogue(turns))
    assert (row.pictures, row.sounds) == ((7, 4), (9, 1))
    assert row.ids.count(small_tokenizer().control_id("<|image|>")) == 3 + 5
    assert row.ids.count(small_tokenizer().control_id("<|audio|>")) == 4 + 2


def rows_of(lengths: list[int]) -> list[Row]:
    return [
        Row(tuple(range(100, 100 + n)), tuple(range(101, 101 + n)), (i,), (i, i + 50))
        for i, n in enumerate(lengths)
    ]


def test_rows_are_padded_on_the_right_with_nothing_to_learn() -> None:
    rows = rows_of([3, 9, 1])
    batch = collate(rows, PAD_ID)
    assert batch.ids.shape == batch.labels.shape == (3, 16)
    assert batch.ids.dtype == batch.labels.dtype == torch.int64
    for index, row in enumerate(rows):
        num = len(row.ids)
        assert batch.ids[index].tolist() == [*row.ids, *[PAD_ID] * (16 - num)]
        assert batch.labels[index].tolist() == [*row.labels, *[IGNORED] * (16 - num)]
    assert batch.pictures == (0, 1, 2)
    assert batch.sounds == (0, 50, 1, 51, 2, 52)


@pytest.mark.parametrize("num_rows", [1, 2, 5, 8, 33])
@pytest.mark.parametrize("num_parts", [1, 4])
def test_batches_by_length_keep_every_row_and_its_media_beside_it(
    num_rows: int, num_parts: int
) -> None:
    rng = random.Random(num_rows)
    rows = rows_of([rng.randint(1, 40) for _ in range(num_rows)])
    batches = collate_by_length(rows, PAD_ID, num_parts)
    assert len(batches) <= num_parts
    seen = Counter[tuple[int, int]]()
    for batch in batches:
        for ids, picture in zip(batch.ids, batch.pictures, strict=True):
            seen[picture, int((ids != PAD_ID).sum())] += 1
    assert seen == Counter((row.pictures[0], len(row.ids)) for row in rows)
    widths = [batch.ids.shape[1] for batch in batches]
    assert widths == sorted(widths)


def test_a_reply_looks_at_the_frames_that_say_its_words_as_if_heard() -> None:
    sentence = AsHeard("The capital of Peru?", 5)
    row = encoder().encode(Dialogue((Turn((sentence,), "Peru has a capital."),)))
    frames = spread(sentence, small_tokenizer()).words
    places = [[1 + frame for frame in word] for word in frames]  # behind <|user|>
    looked_at = {target for _, target, _ in row.looks}
    assert looked_at == {*places[1], *places[3]}  # "capital", "peru"


def test_rows_of_a_batch_know_which_places_point_at_what() -> None:
    sentence, picture = AsHeard("Red star", 6), AsSeen("train", 3, 7)
    heard = Dialogue((Turn((sentence, "Write"), "Red star"),), "Be brief.")
    seen = Dialogue((Turn((picture, "What?"), "A star."),))
    plain = DIALOGUES["text"]
    batch = collate([encoder().encode(each) for each in (plain, heard, seen)], PAD_ID)
    pointed = [
        *spread(sentence, small_tokenizer()).frames,
        *tokens_of(picture, small_tokenizer()),
    ]
    rows, places = batch.pointed.where.unbind(1)
    is_medium = (batch.ids == AUDIO_ID) | (batch.ids == IMAGE_ID)
    assert torch.equal(is_medium.nonzero(), torch.stack([rows, places], 1))
    assert set(rows.tolist()) == {1, 2}
    expected = torch.tensor([(it.clearness, it.noise) for it in pointed])
    torch.testing.assert_close(batch.pointed.frames, expected)
    words = [(index, id_) for index, it in enumerate(pointed) for id_ in it.ids]
    assert batch.pointed.words.tolist() == [list(pair) for pair in words]
    assert not len(collate([encoder().encode(plain)], PAD_ID).pointed)


def test_a_reply_looks_where_a_picture_that_nobody_drew_tells_of_it() -> None:
    picture = AsSeen("train", 11, 8)
    scene = scene_at("train", 11)
    assert scene.items
    item = scene.items[0]
    look = look_throughout("It.", ((0, item.place),))
    row = encoder().encode(Dialogue((Turn((picture, "Where?"), "It.", look),)))
    (target,) = {target for _, target, _ in row.looks}
    told = tokens_of(picture, small_tokenizer())[target - 1]  # behind <|user|>
    assert small_tokenizer().decode(list(told.ids)).split()[:3] == [
        item.shape,
        item.colour,
        item.size,
    ]
