"""The head that is told where to look: what it is told, and that it learns it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from core.training.dialogues import (
    Dialogue,
    PictureRef,
    SoundRef,
    Turn,
    pair_dialogue,
    picture_dialogue,
)
from core.training.examples import (
    IGNORED,
    VERDICT_WEIGHT,
    Batch,
    Looks,
    MediaTokens,
    Row,
    RowEncoder,
    collate,
)
from core.training.exchange import NOWHERE, Exchange, Look, Told, look_throughout
from core.training.facts import with_article
from core.training.items import PLACES, Item, Scene, all_places, contents
from core.training.items import looks_of as looks_of_scene
from core.training.learner import Learner
from core.training.looking import (
    LOOKING_HEAD,
    LOOKING_WEIGHT,
    head_attention,
    looking_layers,
    run_and_look,
)
from core.training.picture_pairs import ask_about_two
from core.training.scenes import ask_about, sample_scene
from core.training.slots import NUM_GLOBAL_TOKENS, SIDE, global_token, slots_of
from tests.training import random_learner, small_tokenizer

PICTURE_ID, SOUND_ID, NUM_CROP_TOKENS = 11, 12, 13
WHERE = [[0, 7, 2], [0, 8, 2], [0, 8, 5], [1, 6, 0]]
LOOKS = Looks(torch.tensor(WHERE), torch.tensor([1.0, 0.5, 0.5, 1.0]))


@pytest.fixture(scope="module")
def learner() -> Learner:
    return random_learner()


@pytest.fixture(scope="module")
def embeddings() -> torch.Tensor:
    return torch.randn(2, 10, 256, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_the_decoder_says_what_it_says_without_being_told(
    learner: Learner, embeddings: torch.Tensor
) -> None:
    with learner.adapter("vision"):
        hidden, _ = run_and_look(learner.decoder, embeddings, LOOKS)
        wanted = learner.decoder(inputs_embeds=embeddings, use_cache=False).last_hidden_state
    assert torch.equal(hidden, wanted)


@torch.no_grad()
def test_the_head_is_one_that_the_decoder_has(learner: Learner, embeddings: torch.Tensor) -> None:
    """Its attention is what transformers' own eager attention says of it."""
    with learner.adapter("vision"):
        output = learner.decoder(
            inputs_embeds=embeddings,
            use_cache=False,
            output_attentions=True,
            output_hidden_states=True,
        )
        _, distance = run_and_look(learner.decoder, embeddings, LOOKS)
        rotation = learner.decoder.rotary_emb(embeddings, torch.arange(10)[None])
        expected = []
        rows, queries, targets = LOOKS.where.unbind(1)
        for number in looking_layers(len(learner.decoder.layers)):
            layer = learner.decoder.layers[number]
            given = layer.input_layernorm(output.hidden_states[number])
            found = head_attention(layer.self_attn, given, rotation)
            attention = output.attentions[number][:, LOOKING_HEAD]
            torch.testing.assert_close(found.exp(), attention)
            expected.append(-(LOOKS.shares * attention[rows, queries, targets].log()).sum() / 3)
    torch.testing.assert_close(distance, torch.stack(expected).mean())


def test_told_layers_are_in_the_middle_and_there() -> None:
    assert looking_layers(6) == (3, 4)
    assert looking_layers(2) == (1,)
    assert looking_layers(32) == (16, 17)


def test_an_adapter_learns_to_look_where_it_is_told() -> None:
    learner = random_learner()
    parameters = learner.parameters("lora.vision.")
    learner.freeze_all_but(parameters)
    optimizer = torch.optim.Adam(parameters.values(), 3e-3)
    given = torch.randn(2, 10, 256, generator=torch.Generator().manual_seed(1))
    distances = []
    for _ in range(30):
        with learner.adapter("vision"):
            _, distance = run_and_look(learner.decoder, given, LOOKS)
        optimizer.zero_grad()
        distance.backward()
        optimizer.step()
        distances.append(float(distance.detach()))
    # Half of a look at each of two tokens has an entropy of log 2, for one word of three.
    assert distances[0] > 1.5
    assert distances[-1] < 0.5 * distances[0]


def test_only_learning_is_told_where_to_look(learner: Learner, embeddings: torch.Tensor) -> None:
    labels = torch.full((2, 10), IGNORED)
    labels[:, 6:9] = 3
    ids = torch.zeros(2, 10, dtype=torch.int64)
    plain, told = Batch(ids, labels, (), ()), Batch(ids, labels, (), (), LOOKS)
    with torch.no_grad():
        assert loss_of(learner, plain, embeddings) == loss_of(learner, told, embeddings)
        with learner.adapter("vision"), learner.autocast():
            _, distance = run_and_look(learner.decoder, embeddings.to(learner.dtype), LOOKS)
    more = loss_of(learner, told, embeddings) - loss_of(learner, plain, embeddings)
    assert more == pytest.approx(LOOKING_WEIGHT * float(distance), rel=0.05)


def loss_of(learner: Learner, batch: Batch, embeddings: torch.Tensor) -> float:
    with learner.autocast():
        return float(learner.loss_and_hits(batch, embeddings, "vision")[0].detach())


@pytest.mark.parametrize("place", range(len(PLACES)))
def test_a_place_is_told_by_its_token_of_the_global_view(place: int) -> None:
    scene = Scene((Item("star", "red", "small", place),), "", 0)
    ((row, column),) = np.argwhere(slots_of(scene, np.ones((2 * SIDE, 2 * SIDE), np.bool_))[0])
    assert global_token(place) == row * (SIDE + 1) + column


def encoder() -> RowEncoder:
    media = MediaTokens(
        image_id=PICTURE_ID,
        audio_id=SOUND_ID,
        picture_tokens=lambda _: NUM_CROP_TOKENS + NUM_GLOBAL_TOKENS,
        sound_tokens=lambda _: 5,
    )
    return RowEncoder(small_tokenizer(), media)


def test_every_word_of_a_reply_looks_at_what_it_is_read_from() -> None:
    first, second = PictureRef(3), PictureRef(4)
    turns = (
        Turn((first, second, "Same colour?"), "Yes, red.", (Look(9, ((0, 2), (1, 6))),)),
        Turn(("How many?",), "There are 3."),
        Turn(("Where?",), "The star.", (Look(9, ((1, 8),)),)),
    )
    row = encoder().encode(Dialogue(turns))
    pictures = [place for place, id_ in enumerate(row.ids) if id_ == PICTURE_ID]
    num = NUM_CROP_TOKENS + NUM_GLOBAL_TOKENS
    views = pictures[NUM_CROP_TOKENS], pictures[num + NUM_CROP_TOKENS]
    replies = list(spans(row))
    assert len(replies) == 3
    both = [(views[0] + global_token(2), 0.5), (views[1] + global_token(6), 0.5)]
    assert looks_of(row, replies[0]) == [both] * (len(replies[0]) - 1)
    assert looks_of(row, replies[1]) == []
    one = [(views[1] + global_token(8), 1.0)]
    assert looks_of(row, replies[2]) == [one] * (len(replies[2]) - 1)


def test_what_may_not_be_there_is_looked_for_at_the_first_token_too() -> None:
    looks = look_throughout("Yes.", ((0, 2), NOWHERE))
    row = encoder().encode(Dialogue((Turn((PictureRef(3), "More?"), "Yes.", looks),)))
    view = row.ids.index(PICTURE_ID) + NUM_CROP_TOKENS
    (reply,) = spans(row)
    both = [(view + global_token(2), 0.5), (0, 0.5)]
    assert looks_of(row, reply) == [both] * (len(reply) - 1)


def test_a_scene_told_in_words_is_looked_at_where_it_is_told() -> None:
    text = "Picture: red star left, blue ring top. Which?"
    told = (Told((0, 3), 9, 22), Told((0, 1), 24, 37))
    assert [text[it.start : it.end] for it in told] == ["red star left", "blue ring top"]
    looks = look_throughout("Both.", ((0, 3), (0, 1), NOWHERE)), look_throughout("No.", ((0, 1),))
    turns = (
        Turn((text,), "Both.", looks[0], told=told),
        Turn(("And on top?",), "No.", looks[1]),
        Turn(("In the centre?",), "No.", look_throughout("No.", ((0, 4),))),
    )
    row = encoder().encode(Dialogue(turns, "You are Triad."))
    replies = list(spans(row))
    tokens = small_tokenizer()
    start = row.ids.index(tokens.control_id("<|user|>")) + 1
    ends = [len(tokens.encode_text(text[:end])) for end in (8, 22, 23, 37)]
    star, ring = ([start + at for at in range(ends[begin], ends[begin + 1])] for begin in (0, 2))
    found = dict(looks_of(row, replies[0])[0])
    assert found.keys() == {0, *star, *ring}
    assert found[0] == pytest.approx(1 / 3)
    assert sum(found[at] for at in star) == pytest.approx(1 / 3)
    assert {at for at, _ in looks_of(row, replies[1])[0]} == set(ring)
    assert looks_of(row, replies[2])[0] == [(0, 1.0)]  # nobody told of it


def test_words_that_were_heard_are_listened_to_where_they_are_said() -> None:
    said = {4: ("One ring.", ((1,), (2, 4))), 5: None}
    media = replace(encoder().media, said=said.get)
    turns = (
        Turn((SoundRef(4), "Write it down."), "One ring."),
        Turn((SoundRef(5),), "One ring."),
        Turn(("and how big?",), "One ring."),
    )
    row = RowEncoder(small_tokenizer(), media).encode(Dialogue(turns))
    sound = row.ids.index(12)
    first, *others = spans(row)
    num_first = len(small_tokenizer().encode_text("One"))
    looks = looks_of(row, first)
    assert looks[:num_first] == [[(sound + 1, 1.0)]] * num_first
    ring = [(sound + 2, 0.5), (sound + 4, 0.5)]
    num_ring = len(small_tokenizer().encode_text("One ring")) - num_first
    assert looks[num_first:] == [ring] * num_ring
    assert [looks_of(row, other) for other in others] == [[], []]


def test_a_typed_question_beside_a_clip_is_not_listened_to() -> None:
    media = replace(encoder().media, said=lambda _: ("One ring.", ((0,), (1,))))
    for is_heard in (True, False):
        turn = Turn((SoundRef(1), "How many rings?"), "One ring.", is_heard=is_heard)
        row = RowEncoder(small_tokenizer(), media).encode(Dialogue((turn,)))
        assert bool(row.looks) == is_heard


def test_an_answer_that_is_read_from_a_picture_is_not_listened_to() -> None:
    media = replace(encoder().media, said=lambda _: ("Star?", ((0,),)))
    looks = look_throughout("A star.", ((0, 4),))
    turn = Turn((PictureRef(0), SoundRef(1)), "A star.", looks)
    row = RowEncoder(small_tokenizer(), media).encode(Dialogue((turn,)))
    view = row.ids.index(PICTURE_ID) + NUM_CROP_TOKENS
    assert {key for _, key, _ in row.looks} == {view + global_token(4)}


def spans(row: Row) -> Iterator[range]:
    """The places that each reply is said from, its end too."""
    start = None
    for place, label in enumerate((*row.labels, IGNORED)):
        if label != IGNORED and start is None:
            start = place
        if label == IGNORED and start is not None:
            yield range(start, place)
            start = None


def looks_of(row: Row, places: range) -> list[list[tuple[int, float]]]:
    """Of each place that something is looked at from, where and how much."""
    found = [[(at, share) for query, at, share in row.looks if query == p] for p in places]
    return [looks for looks in found if looks]


def test_looks_of_all_rows_come_together() -> None:
    rows = [Row((1, 2, 3), (2, 3, 4), (), (), ((2, 0, 1.0),)), Row((1, 2), (2, 3), (), ())]
    looks = collate([*rows, rows[0]], 0).looks
    assert looks.where.tolist() == [[0, 2, 0], [2, 2, 0]]
    assert looks.shares.tolist() == [1.0, 1.0]
    assert len(collate([rows[1]], 0).looks) == 0


def test_what_an_answer_is_read_from_is_in_the_picture_and_in_the_answer() -> None:
    rng, num_told = random.Random(0), 0
    for _ in range(1500):
        scene = sample_scene(rng)
        exchange = ask_about(rng, scene)
        by_place = {item.place: item for item in scene.items}
        for picture, place in set(read_from(exchange)) - {NOWHERE}:
            assert picture == 0
            if place not in by_place:
                assert exchange.skill == "what at"
                continue
            item, said = by_place[place], exchange.question + exchange.answer
            assert item.shape in said or item.colour in said or "shapes" in said, exchange
            num_told += 1
        if exchange.skill in ("colour", "place", "size"):
            assert len(set(read_from(exchange))) == 1
    assert num_told > 500


def read_from(exchange: Exchange) -> list[tuple[int, int]]:
    """Where one looks for some shapes of a picture; not where all that it shows is counted."""
    counts = all_places(0), all_places(1)
    return [each for look in exchange.looks if look.at not in counts for each in look.at]


def test_all_shapes_are_looked_for_in_all_places_alike_where_their_number_comes_first() -> None:
    scene = Scene((Item("star", "red", "large", 4), Item("ring", "red", "large", 5)), "", 0)
    for picture in (0, 1):
        (first, *_) = looks_of_scene(f"The picture shows {contents(scene)}.", scene, picture)
        assert first == Look(len("The picture shows 2 shapes:"), all_places(picture))


def test_what_is_at_a_place_is_read_there_whether_something_is_or_not() -> None:
    rng, answers = random.Random(11), set()
    for _ in range(1500):
        exchange = ask_about(rng, sample_scene(rng))
        if exchange.skill == "what at":
            (look,) = exchange.looks
            ((picture, place),) = look.at
            assert picture == 0
            assert exchange.answer.endswith(f" is {PLACES[place]}.")
            answers.add(exchange.answer.startswith("Nothing"))
    assert answers == {True, False}


def test_each_of_two_pictures_is_read_in_itself() -> None:
    rng, num_read = random.Random(9), 0
    for _ in range(600):
        exchange = ask_about_two(rng, sample_scene(rng), sample_scene(rng))
        if not exchange.answer.startswith("In the first picture I see") or ". In" not in (
            exchange.answer
        ):
            continue
        second = exchange.answer.index("In the second I see")
        for look in exchange.looks:
            pictures = {picture for picture, _ in look.at} - {NOWHERE[0]}
            assert pictures <= {int(look.end > second)}
        num_read += 1
    assert num_read > 100


def test_the_words_for_each_shape_of_a_description_look_at_it_alone() -> None:
    rng, num_described = random.Random(3), 0
    while num_described < 50:
        scene = sample_scene(rng)
        exchange = ask_about(rng, scene)
        if exchange.skill != "describe" or scene.word:
            continue
        num_described += 1
        parts, start = [], 0
        assert exchange.looks[0] == Look(exchange.answer.index(":") + 1, all_places())
        for end, at, _ in exchange.looks:
            if at and at != all_places():
                parts.append((exchange.answer[start:end].strip(), at))
            start = end
        assert parts == [
            (f"{with_article(item.name)} {PLACES[item.place]}", ((0, item.place),))
            for item in scene.items
        ]


def test_parts_of_a_reply_end_where_their_tokens_end() -> None:
    """So that the tokens of its beginning are the beginning of its tokens."""
    rng, tokenizer, num_parts = random.Random(4), small_tokenizer(), 0
    for _ in range(300):
        exchange = ask_about(rng, sample_scene(rng))
        ids = tokenizer.encode_text(exchange.answer)
        for end, *_ in exchange.looks:
            part = tokenizer.encode_text(exchange.answer[:end])
            assert ids[: len(part)] == part
            num_parts += 1
    assert num_parts > 200


def test_a_part_of_a_reply_looks_where_it_is_read_from() -> None:
    reply = "2 shapes: a red star and a ring."
    looks = (Look(9, ()), Look(20, ((0, 4),)), Look(24, ()), Look(len(reply), ((0, 0),)))
    row = encoder().encode(Dialogue((Turn((PictureRef(0), "What?"), reply, looks),)))
    (places,) = spans(row)
    view = row.ids.index(PICTURE_ID) + NUM_CROP_TOKENS
    ends = [len(small_tokenizer().encode_text(reply[: look.end])) for look in looks]
    targets = dict.fromkeys(range(ends[0], ends[1]), 4) | dict.fromkeys(range(ends[2], ends[3]), 0)
    at = {places[number]: view + global_token(place) for number, place in targets.items()}
    assert list(row.looks) == [(query, key, 1.0) for query, key in at.items()]


def test_a_verdict_is_read_from_words_of_the_question_and_of_the_reply() -> None:
    reply = "The star is above and the ring is above, so the star is left: no."
    before = len("The star is above and the ring is above, so the star is left")
    looks = (Look(before, ()), Look(len(reply), (), ("above", "left", "blue")))
    asked = "Is the star above the ring, or Above the star?"
    row = encoder().encode(Dialogue((Turn((PictureRef(0), asked), reply, looks),)))
    (places,) = spans(row)
    tokens = small_tokenizer()
    texts = [tokens.decode([id_]) for id_ in row.ids]
    above, left = texts.index(" above"), texts.index(" left")
    later = [place for place, text in enumerate(texts) if text == " above" and place > above]
    capital = range(texts.index(" or") + 1, texts.index(" the", texts.index(" or")))
    queries = {query for query, _, _ in row.looks}
    assert queries == set(row.verdicts) - set(range(places[0], min(queries)))
    for query in queries:
        found = {key: share for at, key, share in row.looks if at == query}
        assert found.keys() == {above, *capital, later[-1], left}
        assert sum(found.values()) == pytest.approx(1.0)


def test_a_verdict_is_read_from_where_words_were_heard() -> None:
    said = ("is the ring left", ((0,), (1,), (2, 3), (5,)))
    media = replace(encoder().media, said=lambda _: said, sound_tokens=lambda _: 7)
    looks = (Look(3, ()), Look(6, (), ("left", "ring")))
    turn = Turn((PictureRef(0), SoundRef(4)), "It: no.", looks)
    row = RowEncoder(small_tokenizer(), media).encode(Dialogue((turn,)))
    sound = row.ids.index(SOUND_ID)
    assert {key - sound for _, key, _ in row.looks} == {2, 3, 5}


def test_what_follows_from_what_was_seen_counts_for_more() -> None:
    reply = "I see a star, so 1. I see a ring, so no."
    looks = (Look(13, ((0, 4),)), Look(19, ()), Look(32, ((0, 0),)))
    rows = [
        encoder().encode(Dialogue((Turn((PictureRef(0), "What?"), reply, each),)))
        for each in (looks, ())
    ]
    (places,) = spans(rows[0])
    ends = [len(small_tokenizer().encode_text(reply[:end])) for end in (13, 19, 32, len(reply))]
    follows = [*range(ends[0], ends[1]), *range(ends[2], ends[3])]
    assert [places.index(place) for place in rows[0].verdicts] == follows
    assert rows[1].verdicts == ()
    weights = collate(rows, 0).weights
    assert weights is not None
    assert (weights[0] == VERDICT_WEIGHT).nonzero()[:, 0].tolist() == list(rows[0].verdicts)
    assert bool((weights[1] == 1).all())


def test_of_two_pictures_the_right_one_is_looked_at() -> None:
    rng, found = random.Random(1), []
    for _ in range(2000):
        pair = sample_scene(rng), sample_scene(rng)
        exchange = ask_about_two(rng, *pair)
        for picture, place in set(read_from(exchange)) - {NOWHERE}:
            (item,) = [item for item in pair[picture].items if item.place == place]
            assert item.shape in exchange.answer or "shapes" in exchange.question + exchange.answer
        if "first picture is" in exchange.answer and exchange.looks:
            found.append({picture for picture, _ in read_from(exchange)})
    assert {0} in found
    assert len(found) > 20


def test_dialogues_say_where_to_look() -> None:
    rng = random.Random(2)
    for make, share in ((picture_dialogue, 0.3), (pair_dialogue, 0.05)):
        turns = [
            turn
            for _ in range(300)
            for turn in make(rng, "train", lambda rng, _: rng.randrange(500)).turns
        ]
        assert sum(bool(turn.looks) for turn in turns) > share * len(turns)
