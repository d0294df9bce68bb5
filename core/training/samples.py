"""The sample pictures and clips that people can click, drawn and spoken by the recipe's code.

`python3 -m core.training.samples` writes assets/samples anew. Of each kind they show one that the
bundled model gets right; how often it does is the evaluation's matter, not theirs.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Final

from audio.save import wav_bytes
from core.training.cases import png_bytes
from core.training.draw import draw
from core.training.items import Item, Scene
from core.training.prompts import DESCRIBE, TRANSCRIBE, translate
from core.training.room import record
from core.training.voices import Voice, synthesize

FOLDER: Final = Path(__file__).resolve().parents[2] / "assets" / "samples"
LEFT, CENTRE, RIGHT, TOP_LEFT, BOTTOM_RIGHT = 3, 4, 5, 0, 8

PICTURES: Final = {
    "circle-and-star": Scene(
        (Item("circle", "red", "large", LEFT), Item("star", "blue", "large", RIGHT)), "", 9
    ),
    "three-shapes": Scene(
        (
            Item("triangle", "green", "large", TOP_LEFT),
            Item("heart", "purple", "small", CENTRE),
            Item("square", "orange", "large", BOTTOM_RIGHT),
        ),
        "",
        4,
    ),
    "piano": Scene((), "piano", 5),
}
CLIPS: Final = {
    "triangle": ("How many sides does a triangle have?", Voice("espeak-ng", "en-us+f2", 150)),
    "france": ("What is the capital of France?", Voice("espeak-ng", "en-gb+m3", 150)),
    "circle-colour": ("What colour is the circle?", Voice("espeak-ng", "en-us+f5", 150, 55)),
    "brown-dog": ("The brown dog is behind the house.", Voice("espeak-ng", "en-us+m1", 150)),
}
SAMPLES: Final = (
    {"title": "A sum", "text": "What is 7 plus 5?"},
    {"title": "A triangle's sides", "text": "How many sides does a triangle have?"},
    {
        "title": "Describe a picture",
        "image": "three-shapes.png",
        "text": DESCRIBE,
    },
    {
        "title": "A colour in a picture",
        "image": "circle-and-star.png",
        "text": "What colour is the circle?",
    },
    {"title": "Read a word", "image": "piano.png", "text": "What word is written?"},
    {
        "title": "Compare two pictures",
        "image": "circle-and-star.png",
        "second_image": "three-shapes.png",
        "text": "Which picture has more shapes?",
    },
    {"title": "A spoken question", "audio": "triangle.wav"},
    {
        "title": "Write down what is said",
        "audio": "france.wav",
        "text": TRANSCRIBE,
    },
    {
        "title": "Translate what is said",
        "audio": "brown-dog.wav",
        "text": translate("German"),
    },
    {
        "title": "A spoken question on a picture",
        "image": "circle-and-star.png",
        "audio": "circle-colour.wav",
    },
)


def main() -> int:
    """Write every sample; returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, scene in PICTURES.items():
        (FOLDER / f"{name}.png").write_bytes(png_bytes(draw(scene).picture))
    for name, (text, voice) in CLIPS.items():
        waveform = record(synthesize(text, voice), random.Random(name))
        (FOLDER / f"{name}.wav").write_bytes(wav_bytes(waveform))
    listing = json.dumps(list(SAMPLES), indent=2) + "\n"
    (FOLDER / "samples.json").write_text(listing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
