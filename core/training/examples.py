"""Dialogues to training rows: token ids, which of them are learned, where the media go.

Leaves out: how media become embeddings (stages.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import torch

from core.prompt import ASSISTANT, END
from core.tokenizer import Tokenizer
from core.training.as_heard import AsHeard, spread
from core.training.as_seen import AsSeen, tokens_of
from core.training.dialogues import Dialogue, PictureRef, SoundRef, Turn, UserPart
from core.training.exchange import NOWHERE, WORD, Look, Told, words_of
from core.training.heard_in_reply import WordFrames, heard_in
from core.training.pointed import Pointed, PointedPlaces, pointed_places
from core.training.slots import NUM_GLOBAL_TOKENS, global_token

NUM_PARTS: Final = 4  # steps that rows are drawn for together
Said = tuple[str, WordFrames] | None  # a sound's words, and its frames for each; or nobody knows
IGNORED: Final = -100  # the label that cross entropy passes over
VERDICT_WEIGHT: Final = 3.0  # of what follows from what was seen: few words, and all depends on it


@dataclass(frozen=True)
class Row:
    """One dialogue as the model takes it.

    Args:
        ids: token ids, placeholders included.
        labels: the id to predict at each place, or IGNORED; already shifted by one.
        pictures, sounds: the media's indices, in prompt order.
        looks: places from which one should be looked at, that one, and how much, 1 in all.
        verdicts: places whose label follows from what the reply said before.
        pointed: places of media that nobody made, and what they point at.
    """

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    pictures: tuple[int, ...]
    sounds: tuple[int, ...]
    looks: tuple[tuple[int, int, float], ...] = ()
    verdicts: tuple[int, ...] = ()
    pointed: tuple[tuple[int, Pointed], ...] = ()


@dataclass(frozen=True)
class MediaTokens:
    """Which ids placeholders are, and how many each picture and sound takes, by its index.

    Args:
        said: what a sound says, and which of its tokens say each word; None: nobody knows.
    """

    image_id: int
    audio_id: int
    picture_tokens: Callable[[int], int]
    sound_tokens: Callable[[int], int]
    said: Callable[[int], Said] = lambda _: None


class RowEncoder:
    """Turns dialogues into rows by the template of core/prompt.py.

    A training row has several replies to learn, so that it is put together turn by turn here;
    a test holds that its ids equal the prompt's.
    """

    def __init__(self, tokenizer: Tokenizer, media: MediaTokens) -> None:
        self.tokenizer = tokenizer
        self.media = media
        self.user, self.system, self.assistant, self.end = (
            tokenizer.control_id(name) for name in ("<|user|>", "<|system|>", ASSISTANT, END)
        )

    def encode(self, dialogue: Dialogue) -> Row:
        """One row; each reply and the token that ends it are learned, nothing else."""
        ids: list[int] = []
        learned: list[bool] = []
        views: list[int] = []  # where each picture's global view begins
        told: dict[tuple[int, int], list[int]] = {}  # where each place is told of in words
        looks: list[tuple[int, int, float]] = []
        verdicts: list[int] = []
        pointed: list[tuple[int, Pointed]] = []

        def add(new: Sequence[int], learn: bool = False) -> None:
            ids.extend(new)
            learned.extend([learn] * len(new))

        if dialogue.system:
            add([self.system, *self._text(dialogue.system, self.system), self.end])
        for turn in dialogue.turns:
            add([self.user])
            sounds: list[tuple[Said, int]] = []  # of the turn, and where each begins
            asked: dict[str, list[int]] = {}  # where each word of the question stands
            for part in turn.user:
                if isinstance(part, SoundRef | AsHeard):
                    sounds.append((self._said(part), len(ids)))
                if isinstance(part, AsHeard | AsSeen):
                    pointed += enumerate(self._pointed(part), len(ids))
                if not isinstance(part, PictureRef | AsSeen) and turn.looks:
                    asked = self._words_of(part, len(ids), ids[-1])
                if isinstance(part, str):
                    told |= self._told_in(part, len(ids), ids[-1], turn.told)
                add(self._part(part, ids[-1]))
                if isinstance(part, PictureRef | AsSeen):
                    views.append(len(ids) - NUM_GLOBAL_TOKENS)
            add([self.end, self.assistant])
            reply = self._text(turn.reply, self.assistant)
            if turn.looks:
                looks.extend(self._looks(len(ids), turn, partial(_tokens_at, views, told), asked))
                verdicts.extend(self._verdicts(len(ids), turn))
            elif turn.is_heard:
                looks.extend(self._listens(len(ids), turn.reply, sounds))
            add([*reply, self.end], learn=True)
        targets = [id_ if learn else IGNORED for id_, learn in zip(ids, learned, strict=True)]
        parts = [part for turn in dialogue.turns for part in turn.user]
        return Row(
            ids=tuple(ids[:-1]),
            labels=tuple(targets[1:]),
            pictures=tuple(part.index for part in parts if isinstance(part, PictureRef)),
            sounds=tuple(part.index for part in parts if isinstance(part, SoundRef)),
            looks=tuple(looks),
            verdicts=tuple(verdicts),
            pointed=tuple(pointed),
        )

    def _text(self, text: str, after: int) -> list[int]:
        return self.tokenizer.encode_text(text, after=after)

    def _looks(
        self,
        start: int,
        turn: Turn,
        tokens_at: Callable[[tuple[int, int]], Sequence[int]],
        asked: Mapping[str, Sequence[int]],
    ) -> Iterator[tuple[int, int, float]]:
        """Where to look while a reply is said that begins at a place of the row.

        Args:
            tokens_at: which tokens tell of a place in a picture.
            asked: where each word of the question stands.
        """
        said = self._words_of(turn.reply, start, self.assistant)
        for look, queries in self._parts(start, turn):
            at = [tokens_at(place) for place in look.at]
            for word in dict.fromkeys(look.words):
                before = [place for place in said.get(word, ()) if place <= queries.start]
                at += [[it] for it in (*asked.get(word, ()), *before[-look.words.count(word) :])]
            yield from _shared(queries, at)

    def _words_of(
        self, part: str | SoundRef | AsHeard, start: int, after: int
    ) -> dict[str, list[int]]:
        """Where each word of what begins at a place of the row stands: all tokens or frames of it.

        Args:
            after: the token before.
        """
        found: dict[str, list[int]] = {}
        if isinstance(part, SoundRef | AsHeard):
            if (said := self._said(part)) is not None:
                for word, frames in zip(words_of(said[0]).split(), said[1], strict=True):
                    found.setdefault(word, []).extend(start + frame for frame in frames)
            return found
        for match in WORD.finditer(part):
            tokens = self._tokens_of(part, match.start(), match.end(), start, after)
            found.setdefault(match[0].lower(), []).extend(tokens)
        return found

    def _told_in(
        self, text: str, start: int, after: int, told: Sequence[Told]
    ) -> dict[tuple[int, int], list[int]]:
        """Where a text tells what is in each place; arguments as in `_words_of`."""
        return {it.place: self._tokens_of(text, it.start, it.end, start, after) for it in told}

    def _tokens_of(self, text: str, begin: int, end: int, start: int, after: int) -> list[int]:
        """The places in a row of some characters of a text that begins at `start`, after a token.

        A token begins with the space before its word.
        """
        texts = text[:begin].rstrip(), text[:end]
        first, stop = (start + len(self._text(each, after)) for each in texts)
        return list(range(first, stop))

    def _verdicts(self, start: int, turn: Turn) -> Iterator[int]:
        """Places of what is read from nowhere, in a reply that begins at a place of the row."""
        for look, queries in self._parts(start, turn):
            if not look.at:
                yield from queries

    def _parts(self, start: int, turn: Turn) -> Iterator[tuple[Look, range]]:
        """A reply's parts, and from which places they are said; arguments as in `_verdicts`."""
        begin = start - 1  # from a token, the one after it is said
        for look in (*turn.looks, Look(len(turn.reply), ())):
            stop = start - 1 + len(self._text(turn.reply[: look.end], self.assistant))
            yield look, range(begin, stop)
            begin = stop

    def _listens(
        self, start: int, reply: str, sounds: Sequence[tuple[Said, int]]
    ) -> Iterator[tuple[int, int, float]]:
        """As `_looks`, where words of the reply were heard.

        Args:
            sounds: what they say, and where each begins.
        """
        for said, first in sounds:
            if said is None:
                continue
            spoken, frames = said
            for word in filter(lambda word: word.words, heard_in(reply, spoken)):
                before = reply[: word.start].rstrip()  # a token begins with the space before
                begin, stop = (
                    start - 1 + len(self._text(part, self.assistant))
                    for part in (before, reply[: word.end])
                )
                at = [[first + frame] for number in word.words for frame in frames[number]]
                yield from _shared(range(begin, stop), at)

    def _said(self, part: SoundRef | AsHeard) -> Said:
        if isinstance(part, SoundRef):
            return self.media.said(part.index)
        return part.text, spread(part, self.tokenizer).words

    def _pointed(self, part: AsHeard | AsSeen) -> tuple[Pointed, ...]:
        """What each place of a medium that nobody made points at."""
        if isinstance(part, AsSeen):
            return tokens_of(part, self.tokenizer)
        return spread(part, self.tokenizer).frames

    def _part(self, part: UserPart, after: int) -> list[int]:
        match part:
            case PictureRef(index):
                return [self.media.image_id] * self.media.picture_tokens(index)
            case SoundRef(index):
                return [self.media.audio_id] * self.media.sound_tokens(index)
            case AsHeard():
                return [self.media.audio_id] * len(self._pointed(part))
            case AsSeen():
                return [self.media.image_id] * len(self._pointed(part))
            case str():
                return self._text(part, after)


def _shared(queries: range, at: Sequence[Sequence[int]]) -> Iterator[tuple[int, int, float]]:
    """Looks from each of some places at all of some others, which may have several tokens each."""
    return (
        (query, key, 1 / (len(at) * len(keys))) for query in queries for keys in at for key in keys
    )


def _tokens_at(
    views: Sequence[int],
    told: Mapping[tuple[int, int], Sequence[int]],
    place: tuple[int, int],
) -> Sequence[int]:
    """Which tokens of a row tell of a place in a picture, which is shown or told in words.

    Args:
        views: where the pictures' global views begin.
        told: where places are told of; nobody tells of one where nothing is.
    """
    picture, number = place
    if place != NOWHERE and picture < len(views):
        return [views[picture] + global_token(number)]
    return told.get(place, [0])


@dataclass(frozen=True)
class Looks:
    """Where the words of replies should look (looking.py).

    Args:
        where: int64, shape (num, 3): a row, a place in it, and a place before to be looked at.
        shares: float32, shape (num,): how much of the look, 1 for each row and place.
    """

    where: torch.Tensor = field(default_factory=lambda: torch.empty(0, 3, dtype=torch.int64))
    shares: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    def __len__(self) -> int:
        return len(self.shares)


@dataclass(frozen=True)
class Batch:
    """Rows side by side, padded on the right, where no causal row looks.

    Args:
        ids, labels: int64, shape (num_rows, num_tokens).
        pictures, sounds: all media's indices, row by row.
        looks: of all rows.
        weights: how much each label counts, float32, like `labels`; none: all the same.
        pointed: of all rows.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    pictures: tuple[int, ...]
    sounds: tuple[int, ...]
    looks: Looks = field(default_factory=Looks)
    weights: torch.Tensor | None = None
    pointed: PointedPlaces = field(default_factory=PointedPlaces)


def collate(rows: Sequence[Row], pad_id: int) -> Batch:
    """Put rows into one batch."""
    longest = max(len(row.ids) for row in rows)
    longest += -longest % 8  # few different shapes: the matrix kernels are made for each anew
    ids = torch.full((len(rows), longest), pad_id)
    labels = torch.full((len(rows), longest), IGNORED)
    weights = torch.ones(len(rows), longest)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        labels[index, : len(row.ids)] = torch.tensor(row.labels)
        weights[index, list(row.verdicts)] = VERDICT_WEIGHT
    pictures = tuple(index for row in rows for index in row.pictures)
    sounds = tuple(index for row in rows for index in row.sounds)
    looks = [(index, *look) for index, row in enumerate(rows) for look in row.looks]
    where = torch.tensor([look[:3] for look in looks], dtype=torch.int64).view(-1, 3)
    shares = torch.tensor([look[3] for look in looks])
    pointed = pointed_places([row.pointed for row in rows])
    return Batch(ids, labels, pictures, sounds, Looks(where, shares), weights, pointed)


def collate_by_length(rows: Sequence[Row], pad_id: int, num_parts: int) -> list[Batch]:
    """Put rows into batches of rows of about the same length, so that little is padding."""
    ordered = sorted(rows, key=lambda row: len(row.ids))
    size = -(-len(ordered) // num_parts)
    return [collate(ordered[i : i + size], pad_id) for i in range(0, len(ordered), size)]


def pooled_batches(rows: Sequence[Row], part: int, pad_id: int) -> list[Batch]:
    """One step's share of rows that were drawn for several steps: two batches, of like lengths.

    The rows are cut by length into twice as many batches as there are steps; each step takes one
    of the short ones and one of the long ones, so that little is padding and no step is all short.

    Args:
        rows: of NUM_PARTS steps.
        part: which of the steps.
    """
    ordered = sorted(rows, key=lambda row: len(row.ids))
    size = -(-len(ordered) // (2 * NUM_PARTS))
    starts = (part * size, (2 * NUM_PARTS - 1 - part) * size)
    return [collate(ordered[start : start + size], pad_id) for start in starts]
