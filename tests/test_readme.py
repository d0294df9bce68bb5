"""The README's figures are those that a command has written, and its files are there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from core.training.ablation import markdown_tables
from core.training.evaluate import markdown_table, weights_sha256
from tests.benchmarks import fidelity, first_token, tables, weights

ROOT: Final = Path(__file__).resolve().parents[1]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
BUNDLED: Final = ROOT / "assets" / "bundled"
EVALUATION: Final = BUNDLED / "evaluation.json"
ABLATION: Final = BUNDLED / "ablation.json"
RESULTS: Final = ROOT / "tests" / "benchmarks" / "results"


def test_table_of_skills_is_the_evaluation_that_is_shipped() -> None:
    assert markdown_table(json.loads(EVALUATION.read_text(encoding="utf-8"))) in README


@pytest.mark.parametrize(
    "skills",
    [
        {"text"},
        {"picture questions", "printed words"},
        {"transcription, unseen voices", "spoken questions"},
        {"spoken questions on a picture"},
    ],
)
def test_shipped_model_is_right_more_often_than_not_in_every_mode(skills: set[str]) -> None:
    scores = json.loads(EVALUATION.read_text(encoding="utf-8"))["scores"]
    asked = [score for score in scores if score["skill"] in skills]
    assert len(asked) == len(skills)
    num_right = sum(score["exact"] * score["num"] for score in asked)
    assert num_right / sum(score["num"] for score in asked) > 0.5


def test_tables_of_the_ablation_are_those_that_are_shipped() -> None:
    assert markdown_tables(json.loads(ABLATION.read_text(encoding="utf-8"))) in README


@pytest.mark.parametrize("path", [EVALUATION, ABLATION])
def test_what_is_shipped_was_measured_on_the_shipped_weights(path: Path) -> None:
    measured = json.loads(path.read_text(encoding="utf-8"))
    assert measured["weights_sha256"] == weights_sha256(BUNDLED)


def test_no_adapter_answers_more_than_the_routers_choice() -> None:
    ablation = json.loads(ABLATION.read_text(encoding="utf-8"))
    for name, row in ablation["routes"].items():
        assert row[ablation["right"][name]] == max(row.values()), name


@pytest.mark.parametrize("benchmark", [fidelity, first_token, weights])
def test_table_is_the_measurement_that_is_shipped(benchmark: ModuleType) -> None:
    name = benchmark.__name__.rpartition(".")[2]
    measured = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert benchmark.markdown_table(measured) in README


@pytest.mark.parametrize("name", ["peers.json", "peers_avx2.json"])
def test_table_of_other_engines_is_the_measurement_that_is_shipped(name: str) -> None:
    measured = json.loads((RESULTS / name).read_text(encoding="utf-8"))
    assert tables.markdown_table(measured) in README


@pytest.mark.parametrize("path", re.findall(r"\]\((?!http)([^)#]+)\)", README))
def test_linked_file_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "path", re.findall(r"^((?:core|app|audio|vision|assets|tests)/[\w/.]*)\s{2,}", README, re.M)
)
def test_file_of_the_tree_exists(path: str) -> None:
    assert (ROOT / path).exists()
