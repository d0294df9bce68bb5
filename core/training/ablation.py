"""`launch.py ablation`: what the mixture of LoRAs is for, shown on one model and one budget.

First the routes: every skill is asked with no adapter, with each one and with both at once; only
the matching one should answer. Then what fine-tuning would have cost: from the same beginning, on
the same dialogues and for the same number of steps, a fresh speech LoRA learns, and after it the
whole base model, at several rates; text is asked before and after.
A reply counts when the likeliest token is right at every place, as greedy decoding has it.
Leaves out: the shipped model's scores (evaluate.py).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from core.errors import TriadError
from core.tokenizer import Tokenizer
from core.training.ablation_plot import plot_ablation
from core.training.command import not_negative, positive, problem_with_file
from core.training.course import Course, MakeDialogue, dialogue_stage
from core.training.dialogues import Dialogue, picture_turn, text_turn
from core.training.evaluate import weights_sha256
from core.training.exchange import Split
from core.training.learner import Adapters, Learner
from core.training.loop import Schedule, learn
from core.training.materials import Materials, fingerprint
from core.training.recipe import ROOT, check_device, check_tools, print_progress
from core.training.scene_list import scene_at
from core.training.scenes import ask_about
from core.training.sound_dialogues import SoundDialogues
from core.training.speech_stages import speech_projector_parameters
from core.training.start_from import start_from, tokenizer_of

ADAPTERS: Final[dict[str, Adapters]] = {
    "no adapter": None,
    "vision": "vision",
    "speech": "speech",
    "both at once": ("vision", "speech"),
}
HERE: Final = Path(__file__).parent
BOTH_SPLITS_NUM: Final = 2000  # media to learn from, where the recipe's are not at hand
LORA_RATE: Final = 1e-3
FULL_RATES: Final = (1e-4, 3e-4, 1e-3)  # fine-tuning that forgets less learns less: both are shown


@dataclass(frozen=True)
class Skill:
    """What is asked, and which route the router takes for it.

    Args:
        make: a held-out dialogue of one turn.
        right: the adapter that the router activates, by its name in ADAPTERS.
        projector: the audio projector of the route.
    """

    make: MakeDialogue
    right: str
    projector: str = "speech"


def skills(course: Course) -> dict[str, Skill]:
    """Every skill of the ablation, by name."""
    talk = SoundDialogues(course.materials)

    def alone(make: Callable[[random.Random, Split], Any]) -> MakeDialogue:
        return lambda rng, split: Dialogue((make(rng, split),))

    def picture(rng: random.Random, split: Split) -> Dialogue:
        index = rng.choice(course.materials.scenes(split))
        return Dialogue((picture_turn(rng, index, ask_about(rng, scene_at(split, index))),))

    return {
        "text": Skill(alone(text_turn), "no adapter"),
        "picture questions": Skill(picture, "vision"),
        "transcription": Skill(alone(talk.transcription), "speech"),
        "spoken questions": Skill(alone(talk.answer), "speech"),
        "translation from speech": Skill(alone(talk.translation), "speech"),
        "spoken questions on a picture": Skill(talk.about_picture, "vision", "vision"),
    }


def exact(course: Course, skill: Skill, adapter: Adapters, num: int) -> float:
    """Share of `num` held-out dialogues that are right with an adapter."""
    stage = dialogue_stage(
        course,
        "ablation",
        {},
        Schedule(1, 0.0),
        1,
        skill.make,
        adapter,
        skill.projector,
        num_validation=num,
    )
    return stage.validate()["exact"]


def route_table(course: Course, num: int) -> dict[str, dict[str, float]]:
    """Share of right replies by skill and adapter."""
    table: dict[str, dict[str, float]] = {}
    for name, skill in skills(course).items():
        table[name] = {
            label: exact(course, skill, adapter, num) for label, adapter in ADAPTERS.items()
        }
        figures = "  ".join(f"{label} {100 * value:5.1f}" for label, value in table[name].items())
        print(f"{name:<32}{figures}", flush=True)
    return table


def fine_tuning_table(
    course: Course, folder: Path, num_steps: int, num: int, work: Path
) -> dict[str, dict[str, float]]:
    """Text and speech before learning, after a fresh LoRA, and after full fine-tuning."""
    asked = skills(course)
    measured = {name: asked[name] for name in ("text", "spoken questions", "transcription")}
    table: dict[str, dict[str, float]] = {}

    def note(label: str, adapter: Adapters) -> None:
        table[label] = {
            name: exact(course, skill, adapter if name != "text" else None, num)
            for name, skill in measured.items()
        }
        print(f"{label:<32}{table[label]}", flush=True)

    learner = course.learner
    arms: list[tuple[str, Adapters, float]] = [("speech LoRA", "speech", LORA_RATE)]
    arms += [(f"full fine-tuning at {rate:g}", None, rate) for rate in FULL_RATES]
    for label, adapter, rate in arms:
        start_from(learner, folder)
        learner.reset_adapter("speech")
        if not table:
            note("before", "speech")
        learned = (
            learner.parameters("lora.speech.")
            if adapter
            else learner.parameters("model.embed_tokens.", "model.layers.", "model.norm.")
        )
        stage = dialogue_stage(
            course,
            label.replace(" ", "-"),
            {**speech_projector_parameters(learner, "speech"), **learned},
            Schedule(num_steps, rate),
            64,
            SoundDialogues(course.materials, course.splice).speech,
            adapter,
            draw="fine-tuning",
        )
        learn(stage, work)
        note(label, adapter)
    return table


def main(argv: Sequence[str]) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if problem := problem_with_file(options.json):
        parser.error(f"--json {options.json}: {problem}")
    path = options.json or options.model / "ablation.json"
    try:
        check_tools()
        check_device(options.device)
        raw = tokenizer_of(options.model)
        learner = Learner(raw, 0, options.device)
        start_from(learner, options.model)
    except TriadError as error:
        print(error, file=sys.stderr)
        return 2
    num = BOTH_SPLITS_NUM
    materials = Materials(options.work / "materials", num, num, num, print_progress)
    course = Course(learner, Tokenizer(raw.to_str()), materials)
    print("Right replies, in percent, by the adapter that is active:")
    weights = weights_sha256(options.model)
    record: dict[str, Any] = {
        "weights_sha256": weights,
        "device": options.device,
        "dtype": str(learner.dtype).removeprefix("torch."),
        "num": options.num,
        "routes": route_table(course, options.num),
        "right": {name: skill.right for name, skill in skills(course).items()},
    }
    if options.steps:
        print(f"Learning to hear for {options.steps} steps:")
        record["num_steps"] = options.steps
        # Never what was learned from another model, in another number of steps, by other code.
        code = fingerprint(f"core/training/{it.name}" for it in sorted(HERE.glob("*.py")))
        work = options.work / f"stages-{weights[:12]}-{options.steps}-{code[:12]}"
        record["fine_tuning"] = fine_tuning_table(
            course, options.model, options.steps, options.num, work
        )
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    plot_ablation(record, path.with_suffix(".png"))
    print(markdown_tables(record))
    print(f"Wrote {path} and {path.with_suffix('.png')}.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="launch.py ablation",
        description="Ask every skill with no, the wrong, both and the right adapter; then learn "
        "speech with a LoRA and with the whole base, and see what becomes of text.",
    )
    bundled = ROOT / "assets" / "bundled"
    parser.add_argument("--model", type=Path, default=bundled, help="a model of the recipe")
    parser.add_argument("--num", type=positive, default=400, help="questions a cell (default: 400)")
    parser.add_argument(
        "--steps",
        type=not_negative,
        default=200,
        help="of learning to hear, each way; 0 leaves it out (default: 200)",
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "ablation", help="media and checkpoints"
    )
    parser.add_argument(
        "--json", type=Path, help="also a plot beside it (default: ablation.json in the model)"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser


def markdown_tables(record: dict[str, Any]) -> str:
    """Both tables of the README, from what was written."""
    labels = list(ADAPTERS)
    lines = [f"| held-out skill | {' | '.join(labels)} |", "|---" * (len(labels) + 1) + "|"]
    for name, row in record["routes"].items():
        cells = [
            f"**{100 * row[label]:.1f} %**"
            if label == record["right"][name]
            else f"{100 * row[label]:.1f} %"
            for label in labels
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    if "fine_tuning" not in record:
        return "\n".join(lines)
    names = list(next(iter(record["fine_tuning"].values())))
    lines += ["", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for label, row in record["fine_tuning"].items():
        lines.append(f"| {label} | {' | '.join(f'{100 * row[n]:.1f} %' for n in names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
