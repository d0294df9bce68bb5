"""How often replies were right, and how sure one can be of that: shares, intervals, word errors.

A reply is right when its words are, whatever their case and punctuation. Leaves out: asking
(evaluate.py).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from core.training.edit_distance import edit_distance
from core.training.exchange import capitalised, words_of

Z: Final = 1.96  # of a 95 % interval
NUM_RESAMPLED: Final = 2000
MAX_WRONG: Final = 20  # kept in the record
MINUS: Final = "−"


@dataclass(frozen=True)
class Answer:
    """What was said, the right reply, and the model's: "" where it gave none, for the reason told.

    A turn that fails counts as a wrong reply. `kind` is the question's, as in Case.
    """

    said: str
    expected: str
    reply: str
    failure: str = ""
    kind: str = ""

    @property
    def is_right(self) -> bool:
        """Whether every word is the right one."""
        return words_of(self.expected) == words_of(self.reply)

    @property
    def num_words(self) -> int:
        """How many words the right reply has."""
        return len(words_of(self.expected).split())

    @property
    def num_edits(self) -> int:
        """Fewest words inserted, left out or exchanged in the reply."""
        return edit_distance(words_of(self.expected).split(), words_of(self.reply).split())


@dataclass(frozen=True)
class Score:
    """How one skill went.

    Args:
        skill: its name.
        num: cases asked.
        exact: share of right replies; low, high: its 95 % Wilson interval.
        word_error_rate: word edits by words said, for transcription, else None;
            word_error_low, word_error_high: its 95 % bootstrap interval over the cases.
        wrong: some of the wrong replies: what was said, expected and replied.
        rights: of every case, whether it was right.
        failures: why turns failed, those that did.
        kinds: of each kind of question, its name, how many replies were right, of how many.
    """

    skill: str
    num: int
    exact: float
    low: float
    high: float
    word_error_rate: float | None = None
    word_error_low: float | None = None
    word_error_high: float | None = None
    wrong: tuple[tuple[str, str, str], ...] = ()
    rights: tuple[bool, ...] = ()
    failures: tuple[str, ...] = ()
    kinds: tuple[tuple[str, int, int], ...] = ()


def score(skill: str, answers: Sequence[Answer], counts_words: bool) -> Score:
    """The score of one skill's answers; at least one.

    Args:
        counts_words: whether the word error rate says something of this skill.
    """
    rights = tuple(answer.is_right for answer in answers)
    num, num_right = len(answers), sum(rights)
    wrong = [(item.said, item.expected, item.reply) for item in answers if not item.is_right]
    low, high = wilson_interval(num_right, num)
    plain = Score(
        skill,
        num,
        num_right / num,
        low,
        high,
        wrong=tuple(wrong[:MAX_WRONG]),
        rights=rights,
        failures=tuple(answer.failure for answer in answers if answer.failure),
        kinds=_by_kind(answers),
    )
    if not counts_words:
        return plain
    rate, rate_low, rate_high = word_error_rate(answers)
    return replace(plain, word_error_rate=rate, word_error_low=rate_low, word_error_high=rate_high)


def _by_kind(answers: Sequence[Answer]) -> tuple[tuple[str, int, int], ...]:
    """Each kind's name, right replies and replies, the worst first; nothing where there is one."""
    rights: dict[str, list[bool]] = {}
    for answer in answers:
        rights.setdefault(answer.kind, []).append(answer.is_right)
    if len(rights) == 1:
        return ()
    kinds = ((kind, sum(each), len(each)) for kind, each in rights.items())
    return tuple(sorted(kinds, key=lambda kind: (kind[1] / kind[2], kind[0])))


def wilson_interval(num_right: int, num: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share = num_right / num
    centre = (share + Z * Z / (2 * num)) / (1 + Z * Z / num)
    reach = Z / (1 + Z * Z / num) * math.sqrt(share * (1 - share) / num + Z * Z / (4 * num * num))
    return max(0.0, centre - reach), min(1.0, centre + reach)


def word_error_rate(answers: Sequence[Answer]) -> tuple[float, float, float]:
    """Word edits by words said, and the 95 % interval of that share.

    The interval is the percentile bootstrap over whole cases, always of the same random numbers.
    Source: Bisani and Ney, ICASSP 2004.
    """
    edits = np.array([answer.num_edits for answer in answers])
    words = np.array([answer.num_words for answer in answers])
    drawn = np.random.default_rng(0).integers(len(answers), size=(NUM_RESAMPLED, len(answers)))
    rates = edits[drawn].sum(1) / words[drawn].sum(1)  # (NUM_RESAMPLED,)
    low, high = np.percentile(rates, (2.5, 97.5))
    return float(edits.sum() / words.sum()), float(low), float(high)


def paired_interval(ones: Sequence[bool], others: Sequence[bool]) -> tuple[float, float]:
    """The 95 % interval, in points, of how much oftener the ones are right on the same cases.

    Source: Agresti and Min, "Simple improved confidence intervals for comparing matched
    proportions" (2005): Wald's, with half a case added to each of the four outcomes.
    """
    pairs = list(zip(ones, others, strict=True))
    num = len(pairs) + 2
    gained, lost = pairs.count((True, False)) + 0.5, pairs.count((False, True)) + 0.5
    middle = (gained - lost) / num
    reach = Z * math.sqrt(gained + lost - (gained - lost) ** 2 / num) / num
    return 100 * max(-1.0, middle - reach), 100 * min(1.0, middle + reach)


def row(item: Score, other: Score | None = None) -> dict[str, Any]:
    """A score as the record keeps it, with the one it is compared to.

    Returns:
        The score's fields but for `rights`; with `other`, also that one's under "compared", and in
        points what this one has more: "difference" with its 95 % interval "difference_low" and
        "difference_high", and for transcription "word_error_difference".
    """
    fields = _kept(item)
    if other is None:
        return fields
    fields["compared"] = _kept(other)
    fields["difference"] = 100 * (item.exact - other.exact)
    low, high = paired_interval(item.rights, other.rights)
    fields |= {"difference_low": low, "difference_high": high}
    if item.word_error_rate is not None and other.word_error_rate is not None:
        fields["word_error_difference"] = 100 * (item.word_error_rate - other.word_error_rate)
    return fields


def _kept(item: Score) -> dict[str, Any]:
    fields = asdict(item)
    del fields["rights"]
    return fields


HEADING: Final = f"{'skill':<36}{'right':>7}   95 % interval    n"


def line(item: Mapping[str, Any]) -> str:
    """One row as the terminal shows it, under HEADING."""
    interval = f"{item['low'] * 100:5.1f} to {item['high'] * 100:5.1f}"
    parts = [f"{item['skill']:<36}{item['exact'] * 100:>5.1f} %  {interval:<14}{item['num']:>4}"]
    if item["word_error_rate"] is not None:
        parts.append(_word_errors(item))
    if "compared" in item:
        parts.append(f"{_compared(item)}, difference {_difference(item)}")
    return "   ".join(parts)


def kinds_line(item: Mapping[str, Any]) -> str:
    """How each kind of a row's questions went, the worst first; "" where there is only one."""
    kinds = item.get("kinds", ())
    return ", ".join(f"{kind} {100 * right / num:.0f} % of {num}" for kind, right, num in kinds)


def identity_line(record: Mapping[str, Any]) -> str:
    """What the record says of text logits with the adapters attached and without them."""
    counts = record["identical_text_logits"]
    return (
        "text logits with the adapters attached and without them: bit-identical in "
        f"{counts['num_identical']} of {counts['num']} conversations"
    )


def markdown_table(record: Mapping[str, Any]) -> str:
    """The table of the README, from what `launch.py eval --json` wrote."""
    is_compared = any("compared" in item for item in record["scores"])
    heads = ["held-out skill", "exactly right", "95 % interval", "questions"]
    heads += ["unquantised", "difference"] if is_compared else []
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for item in record["scores"]:
        extra = "" if item["word_error_rate"] is None else f" ({_word_errors(item)})"
        cells = [
            f"{item['skill']}{extra}",
            f"{item['exact'] * 100:.1f} %",
            f"{item['low'] * 100:.1f} to {item['high'] * 100:.1f}",
            str(item["num"]),
        ]
        if is_compared:
            cells += [_compared(item).removeprefix("unquantised "), _difference(item)]
        lines.append(f"| {' | '.join(cells)} |")
    if "identical_text_logits" in record:
        lines += ["", f"{capitalised(identity_line(record))}."]
    return "\n".join(lines)


def _word_errors(item: Mapping[str, Any]) -> str:
    text = f"word error rate {item['word_error_rate'] * 100:.1f} %"
    low, high = item.get("word_error_low"), item.get("word_error_high")
    return text if low is None or high is None else f"{text}, {low * 100:.1f} to {high * 100:.1f}"


def _compared(item: Mapping[str, Any]) -> str:
    """The other model's figures: "unquantised 95.0 % (word error rate 1.2 %, ...)"."""
    other = item["compared"]
    extra = "" if other["word_error_rate"] is None else f" ({_word_errors(other)})"
    return f"unquantised {other['exact'] * 100:.1f} %{extra}"


def _difference(item: Mapping[str, Any]) -> str:
    low, high = (_signed(item[f"difference_{end}"]) for end in ("low", "high"))
    text = f"{_signed(item['difference'])} points, {low} to {high}"
    if "word_error_difference" in item:
        text += f" (word error rate {_signed(item['word_error_difference'])})"
    return text


def _signed(points: float) -> str:
    rounded = round(points, 1)
    sign = "+" if rounded > 0 else MINUS if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"
