"""The ablation: the same dialogues for every arm, figures that say whose they are, two tables."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from PIL import Image

from core.tokenizer import Tokenizer
from core.training import ablation
from core.training.ablation import ADAPTERS, main, markdown_tables
from core.training.ablation_plot import plot_ablation
from core.training.course import Course, DialogueBatches, dialogue_stage
from core.training.dialogues import Dialogue, text_turn
from core.training.exchange import Split
from core.training.loop import Schedule
from core.training.materials import Materials
from tests.training import random_learner, small_raw_tokenizer

RECORD = {
    "routes": {
        "text": dict.fromkeys(ADAPTERS, 0.5) | {"no adapter": 0.98},
        "transcription": dict.fromkeys(ADAPTERS, 0.0) | {"speech": 0.9},
    },
    "right": {"text": "no adapter", "transcription": "speech"},
    "fine_tuning": {
        "before": {"text": 0.98, "transcription": 0.0},
        "speech LoRA": {"text": 0.98, "transcription": 0.7},
        "full fine-tuning at 0.001": {"text": 0.2, "transcription": 0.8},
    },
}


def a_course(folder: Path, first: int = 0) -> Course:
    return Course(
        random_learner(),
        Tokenizer(small_raw_tokenizer().to_str()),
        Materials(folder, 0, 0, 0, lambda *_: None, first),
    )


def typed(rng: random.Random, split: Split) -> Dialogue:
    return Dialogue((text_turn(rng, split),))


def test_stages_that_draw_alike_learn_and_are_asked_the_same(tmp_path: Path) -> None:
    course = a_course(tmp_path)
    one, same, other = (DialogueBatches(course, draw, typed, 8) for draw in ("a", "a", "b"))
    for step in range(6):
        first, second, third = (it.of_step(step) for it in (one, same, other))
        assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, second, strict=True))
        assert not all(a.ids.equal(b.ids) for a, b in zip(first, third, strict=True))
    first, second = one.held_out(12), same.held_out(12)
    assert all(torch.equal(a.ids, b.ids) for a, b in zip(first, second, strict=True))


def test_a_model_that_goes_on_learns_other_dialogues_and_is_asked_the_same(tmp_path: Path) -> None:
    begun, gone_on = (
        DialogueBatches(a_course(tmp_path, first), "a", typed, 8) for first in (0, 1000)
    )
    for one, other in zip(begun.of_step(0), gone_on.of_step(0), strict=True):
        assert not torch.equal(one.ids, other.ids)
    for one, other in zip(begun.held_out(12), gone_on.held_out(12), strict=True):
        assert torch.equal(one.ids, other.ids)


def test_both_arms_of_an_ablation_have_one_loss_before_they_part(tmp_path: Path) -> None:
    course = a_course(tmp_path)
    losses = [
        dialogue_stage(
            course, name, {}, Schedule(1, 0.0), 8, typed, draw="fine-tuning", num_validation=4
        ).loss(3)
        for name in ("speech-LoRA", "full-fine-tuning")
    ]
    assert torch.equal(*losses)


def test_every_row_asks_one_question(tmp_path: Path) -> None:
    make = ablation.skills(a_course(tmp_path))["text"].make
    rng = random.Random(0)
    assert {len(make(rng, "held_out").turns) for _ in range(200)} == {1}


def test_the_tables_show_the_right_adapter_and_every_arm() -> None:
    table = markdown_tables(RECORD).splitlines()
    assert table[0] == "| held-out skill | no adapter | vision | speech | both at once |"
    assert table[2] == "| text | **98.0 %** | 50.0 % | 50.0 % | 50.0 % |"
    assert table[3] == "| transcription | 0.0 % | 0.0 % | **90.0 %** | 0.0 % |"
    assert table[-1] == "| full fine-tuning at 0.001 | 20.0 % | 80.0 % |"


def test_the_plot_is_a_picture(tmp_path: Path) -> None:
    plot_ablation(RECORD, tmp_path / "ablation.png")
    with Image.open(tmp_path / "ablation.png") as picture:
        assert picture.width > 1000
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--num", "0"], "'0' is no number of cases"),
        (["--steps", "-1"], "'-1' is no number: give 0 or more"),
        (["--json", "no/such/folder/x.json"], "there is no such folder"),
    ],
)
def test_bad_options_are_said_at_once(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert said in capsys.readouterr().err


def test_a_model_that_is_not_there_is_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(tmp_path / "none")]) == 2
    assert "none has no tokenizer.json" in capsys.readouterr().err


def test_a_folder_that_is_no_model_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tokenizer.json").write_text("{")
    assert main(["--model", str(tmp_path)]) == 2
    assert "is damaged" in capsys.readouterr().err
