"""Evaluation: what counts as right, how sure one can be, and what is printed and recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from core.config import ModelOptions
from core.errors import BadModelError
from core.messages import Conversation
from core.training import evaluate as module
from core.training.cases import Case
from core.training.evaluate import OPTIONS, ask, main, markdown_table, weights_sha256
from core.training.packages import Missing
from core.training.scores import (
    Answer,
    kinds_line,
    line,
    paired_interval,
    row,
    score,
    wilson_interval,
    word_error_rate,
)
from tests.fakes import FakeAssistant, FakeModelInfo

RIGHT = Answer("Two plus two?", "2 plus 2 is 4.", "2 Plus 2 is 4")
WRONG = Answer("Two plus two?", "2 plus 2 is 4.", "2 plus 2 is 5.")
TRANSCRIPTS = (
    Answer("", "one two three four", "one two three four"),
    Answer("", "one two three four", "one two tree four"),
    Answer("", "one two three four", "one three four five"),
)


def test_a_reply_is_right_by_its_words_alone() -> None:
    assert RIGHT.is_right
    assert not WRONG.is_right
    assert Answer("", "¿Dónde está?", "dónde está").is_right
    assert not Answer("", "¿Dónde está?", "Donde esta").is_right


def test_a_score_counts_right_replies_and_keeps_wrong_ones() -> None:
    found = score("text", [RIGHT, WRONG, RIGHT, RIGHT], counts_words=False)
    assert (found.num, found.exact, found.word_error_rate) == (4, 0.75, None)
    assert found.low < 0.75 < found.high
    assert found.wrong == ((WRONG.said, WRONG.expected, WRONG.reply),)


def test_kinds_of_questions_are_told_apart_the_worst_first() -> None:
    answers = [
        replace(answer, kind=kind)
        for kind, answer in (("colour", RIGHT), ("place", WRONG), ("place", RIGHT), ("size", WRONG))
    ]
    found = score("picture questions", answers, counts_words=False)
    assert found.kinds == (("size", 0, 1), ("place", 1, 2), ("colour", 1, 1))
    assert kinds_line(row(found)) == "size 0 % of 1, place 50 % of 2, colour 100 % of 1"


def test_a_long_line_of_kinds_is_broken_between_them(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = [(f"kind {number}", number, 20) for number in range(12)]
    module._print_kinds({"kinds": kinds})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert all(re.fullmatch(r"    (kind \d+ \d+ % of 20(, |,|$))+", line) for line in lines)
    module._print_kinds({"kinds": ()})
    assert capsys.readouterr().out == ""


def test_one_kind_of_questions_is_what_its_row_says() -> None:
    found = row(score("translation, typed", [RIGHT, WRONG], counts_words=False))
    assert (found["kinds"], kinds_line(found), kinds_line({})) == ((), "", "")


@pytest.mark.parametrize(
    ("num_right", "num", "low", "high"),
    # Reference: the closed formula, by hand.
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_intervals_of_shares_are_wilsons(num_right: int, num: int, low: float, high: float) -> None:
    assert wilson_interval(num_right, num) == pytest.approx((low, high), abs=1e-4)


def test_word_errors_are_counted_by_words_said_and_have_an_interval() -> None:
    rate, low, high = word_error_rate(TRANSCRIPTS)
    assert rate == pytest.approx(3 / 12)
    assert low == 0.0
    assert high == 0.5
    assert word_error_rate(TRANSCRIPTS) == (rate, low, high)


def test_more_cases_make_a_word_error_rate_surer() -> None:
    _, low, high = word_error_rate(TRANSCRIPTS)
    rate, surer_low, surer_high = word_error_rate(TRANSCRIPTS * 50)
    assert low < surer_low < rate < surer_high < high


def test_a_row_says_what_quantisation_costs_in_points() -> None:
    name = "transcription, unseen voices"
    packed = score(name, TRANSCRIPTS, counts_words=True)
    whole = score(name, [TRANSCRIPTS[0]] * 3, counts_words=True)
    found = row(packed, whole)
    assert found["difference"] == pytest.approx(-200 / 3)
    assert found["word_error_difference"] == pytest.approx(25.0)
    assert "rights" not in found
    assert found["compared"] == {k: v for k, v in asdict(whole).items() if k != "rights"}
    assert line(found).endswith(
        "word error rate 25.0 %, 0.0 to 50.0   "
        "unquantised 100.0 % (word error rate 0.0 %, 0.0 to 0.0), "
        "difference −66.7 points, −98.1 to +18.1 (word error rate +25.0)"
    )


def test_a_difference_is_as_sure_as_its_pairs_are() -> None:
    ones, others = [True, True, False, True] * 25, [True, True, True, False] * 25
    low, high = paired_interval(ones, others)
    # Reference: the closed formula, by hand: 1.96 sqrt(51) / 102.
    assert (low, high) == pytest.approx((-13.723, 13.723), abs=1e-3)
    surer_low, surer_high = paired_interval(ones * 4, others * 4)
    assert low < surer_low < 0 < surer_high < high


def test_no_difference_is_not_certainly_none_and_none_is_above_100_points() -> None:
    low, high = paired_interval([True] * 2, [True] * 2)
    assert low < -40
    assert high > 40
    low, high = paired_interval([True] * 400, [True] * 400)
    assert -1 < low < 0 < high < 1
    assert paired_interval([False] * 3, [True] * 3)[0] == -100.0


def test_a_turn_that_fails_is_wrong_and_says_nothing() -> None:
    answers = [TRANSCRIPTS[0], Answer("what was said", "what was said", "", failure="no memory")]
    found = score("transcription, unseen voices", answers, counts_words=True)
    assert found.exact == 0.5
    assert found.failures == ("no memory",)
    num_words = answers[0].num_words
    assert found.word_error_rate == pytest.approx(3 / (3 + num_words))


def test_the_table_has_columns_for_the_comparison_where_there_is_one() -> None:
    one, other = (score("text", [RIGHT, item], counts_words=False) for item in (WRONG, RIGHT))
    assert markdown_table({"scores": [row(one)]}).splitlines() == [
        "| held-out skill | exactly right | 95 % interval | questions |",
        "|---|---|---|---|",
        "| text | 50.0 % | 9.5 to 90.5 | 2 |",
    ]
    assert markdown_table({"scores": [row(one, other)]}).splitlines() == [
        "| held-out skill | exactly right | 95 % interval | questions | unquantised | difference |",
        "|---|---|---|---|---|---|",
        "| text | 50.0 % | 9.5 to 90.5 | 2 | 100.0 % | −50.0 points, −89.8 to +39.8 |",
    ]


def test_a_record_without_an_interval_of_word_errors_has_a_table_too() -> None:
    item = {"skill": "transcription", "num": 2, "exact": 0.5, "low": 0.1, "high": 0.9}
    table = markdown_table({"scores": [{**item, "word_error_rate": 0.021}]})
    assert "| transcription (word error rate 2.1 %) | 50.0 % |" in table


def three(skill: str, num: int, seed: int) -> Iterator[Case]:
    """Cases whose right reply is their number."""
    return (
        Case(skill, str(number), f"Say {number}.", kind="odd" if number % 2 else "even")
        for number in range(num)
    )


def parrot(conversation: Conversation) -> str:
    """Says the number it is told, but 1."""
    number = conversation.messages[-1].text.split()[1].rstrip(".")
    return number if number != "1" else "many"


def test_cases_are_asked_in_order_with_room_for_long_replies() -> None:
    assistant = FakeAssistant(parrot, pause_s=0)
    found = ask(assistant, "text", three("text", 9, 0), 9)
    assert found.exact == pytest.approx(8 / 9)
    assert found.wrong == (("Say 1.", "1", "many"),)
    assert found.kinds == (("odd", 3, 4), ("even", 5, 5))
    assert [turn.conversation.messages[0].text for turn in assistant.turns] == [
        f"Say {number}." for number in range(9)
    ]
    assert assistant.options == [OPTIONS] * 9
    assert OPTIONS.max_new_tokens == 160


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ModelOptions, FakeAssistant]]:
    """What was loaded; packed models are wrong about 1."""
    found: list[tuple[ModelOptions, FakeAssistant]] = []

    def open_assistant(model: str | None, options: ModelOptions) -> FakeAssistant:
        is_packed = options.quantization != "none"
        script = parrot if is_packed else lambda it: it.messages[-1].text.split()[1].rstrip(".")
        info = FakeModelInfo(quantization=options.quantization)
        found.append((options, FakeAssistant(script, pause_s=0, info=info)))
        return found[-1][1]

    monkeypatch.setattr(module, "open_assistant", open_assistant)
    monkeypatch.setattr(module, "cases", three)
    monkeypatch.setattr(module, "num_identical", lambda folder, options, asked: len([*asked]))
    return found


def test_comparing_asks_both_models_the_same_and_closes_them(
    opened: list[tuple[ModelOptions, FakeAssistant]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "scores.json"
    arguments = ["--skill", "text", "--num", "4", "--compare", "--json", str(path)]
    assert main([*arguments, "--show-wrong"]) == 0
    assert [options.quantization for options, _ in opened] == ["nf4", "none"]
    packed, whole = (assistant for _, assistant in opened)
    assert [turn.conversation for turn in packed.turns] == [
        turn.conversation for turn in whole.turns
    ]
    assert packed.is_closed
    assert whole.is_closed
    record: dict[str, Any] = json.loads(path.read_text())
    assert record["model"]["quantization"] == "nf4"
    assert record["compared_model"]["quantization"] == "none"
    assert record["synthesizers"] == []
    assert record["scores"][0]["difference"] == -25.0
    assert record["identical_text_logits"] == {"num": 4, "num_identical": 4}
    shown = capsys.readouterr().out
    assert "unquantised 100.0 %, difference −25.0 points" in shown
    assert "    'Say 1.': 'many', not '1'" in shown
    assert "bit-identical in 4 of 4 conversations" in shown
    assert markdown_table(record) in shown


@pytest.mark.parametrize(("name", "why"), [(".", "this is a folder"), ("no/x", "no such folder")])
def test_a_file_that_cannot_be_written_is_said_before_the_questions(
    name: str,
    why: str,
    opened: list[tuple[ModelOptions, FakeAssistant]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / name)])
    assert why in capsys.readouterr().err
    assert opened == []


def test_the_answers_are_kept_when_the_last_step_fails(
    opened: list[tuple[ModelOptions, FakeAssistant]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(folder: Path, options: ModelOptions, asked: object) -> int:
        raise BadModelError("There is no memory for a second model.")

    monkeypatch.setattr(module, "num_identical", fail)
    path = tmp_path / "scores.json"
    assert main(["--skill", "text", "--num", "4", "--json", str(path)]) == 2
    assert json.loads(path.read_text())["scores"][0]["exact"] == 0.75


def test_a_record_names_the_weights_it_is_of(tmp_path: Path) -> None:
    (tmp_path / "speech-lora").mkdir()
    (tmp_path / "model.safetensors").write_bytes(b"one")
    first = weights_sha256(tmp_path)
    (tmp_path / "README.md").write_text("no weights")
    assert weights_sha256(tmp_path) == first
    (tmp_path / "speech-lora" / "adapter_model.safetensors").write_bytes(b"two")
    assert weights_sha256(tmp_path) != first


def test_comparing_an_unquantised_model_with_itself_is_refused(
    opened: list[tuple[ModelOptions, FakeAssistant]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--compare", "--quantization", "none"])
    assert stopped.value.code == 2
    assert "give --quantization nf4, int4 or int8" in capsys.readouterr().err
    assert opened == []


def test_missing_packages_are_named_before_the_model_loads(
    opened: list[tuple[ModelOptions, FakeAssistant]], capsys: pytest.CaptureFixture[str]
) -> None:
    def provide(missing: Missing) -> tuple[str, ...]:
        return ("flite", "festival")

    assert main([], provide) == 2
    assert capsys.readouterr().err == (
        "Some voices or typefaces are missing; install them with: "
        "sudo apt-get install flite festival\n"
    )
    assert opened == []


@pytest.mark.parametrize("num", ["0", "-3", "many"])
def test_a_number_of_questions_is_above_0(num: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([f"--num={num}"])
    assert f"'{num}' is no number of cases" in capsys.readouterr().err


def test_a_record_that_cannot_be_written_is_noticed_first(
    opened: list[tuple[ModelOptions, FakeAssistant]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--json", str(tmp_path / "gone" / "scores.json")])
    assert "there is no such folder" in capsys.readouterr().err
    assert opened == []
