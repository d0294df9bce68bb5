"""The whole recipe in a few minutes: few media, layers and steps; what they learn beats chance.

The projectors' dozen steps are too few for that; test_word_alignment.py and test_heard_words.py see
them learn.
"""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from core.training import course, recipe, speech_stages, vision_stages
from core.training.dialogues import Dialogue, picture_dialogue, text_dialogue
from core.training.items import COLOURS
from core.training.recipe import main
from core.training.stages import STAGES
from tests.training import needs_voices, small_tokenizer, with_few_layers, without_compiler

SHARE_OF_MEDIA = "0.012"
SHARE_OF_STEPS = "0.015"
ALONE = (  # without the language model
    "vision_encoder",
    "vision_projector",
    "speech_encoder",
    "speech_projector",
)
REPLYING = tuple(name for name in STAGES if name not in ALONE)


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """What every stage says of held-out media at its end."""
    needs_voices("trained")
    needs_voices("unseen voice")
    folder = tmp_path_factory.mktemp("miniature")
    work, out = folder / "work", folder / "out"
    with pytest.MonkeyPatch.context() as patch:
        without_compiler(patch)
        with_few_layers(patch)
        patch.setattr("core.training.vocabulary.NUM_DIALOGUES", 2000)
        patch.setattr(recipe, "NUM_HELD_OUT", 100)
        for module in (course, speech_stages, vision_stages):
            patch.setattr(module, "NUM_VALIDATION", 100)
        shares = ["--scale", SHARE_OF_STEPS, "--materials", SHARE_OF_MEDIA]
        assert main(["--device", "cpu", "--work", str(work), "--out", str(out), *shares]) == 0
    return {name: json.loads((work / f"{name}.json").read_text())["figures"] for name in STAGES}


def best_guess(dialogues: list[Dialogue]) -> float:
    """The share of reply tokens that the most frequent one makes: what always guessing it gets."""
    tokenizer = small_tokenizer()
    replies = [turn.reply for dialogue in dialogues for turn in dialogue.turns]
    counts = Counter(id_ for reply in replies for id_ in tokenizer.encode_text(reply))
    return counts.most_common(1)[0][1] / (counts.total() + len(replies))  # and one end each


@pytest.mark.espeak
@pytest.mark.parametrize("stage", REPLYING)
def test_replies_are_better_than_the_best_blind_guess(
    figures: dict[str, dict[str, float]], stage: str
) -> None:
    rng = random.Random("blind")
    written = [text_dialogue(rng, "held_out") for _ in range(300)]
    shown = [
        picture_dialogue(rng, "held_out", lambda rng, split: rng.randrange(300)) for _ in range(300)
    ]
    assert figures[stage]["tokens"] > 2 * max(best_guess(written), best_guess(shown))


@pytest.mark.espeak
def test_the_vision_encoder_sees_colours(figures: dict[str, dict[str, float]]) -> None:
    assert figures["vision_encoder"]["colour"] > 2 / len(COLOURS)  # shapes take it longer


@pytest.mark.espeak
def test_the_audio_encoder_hears_words(figures: dict[str, dict[str, float]]) -> None:
    assert figures["speech_encoder"]["token_error_rate"] < 0.97  # silence is wrong in all of them
