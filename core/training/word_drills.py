"""Sentences with some of their words exchanged for any others, to be heard and written down.

In whole sentences many words come seldom, and always in the same company: what is heard there is
soon known by heart, and a country or an animal that is not understood is guessed. In a drill each
word of the world is as frequent as any other, and its neighbours tell nothing about it.
Leaves out: who speaks (voices.py) and what else is said (materials.py).
"""

from __future__ import annotations

import random
from functools import cache
from typing import Final

from core.training.exchange import WORD
from core.training.translation import sample_translation
from core.training.world import sample_spoken

NUM_LISTENED_TO: Final = 20_000  # sentences of each kind, whose words are those of the drills
LEAST_EXCHANGED: Final = 0.25  # of a sentence's words; at most all


def word_drill(rng: random.Random) -> str:
    """A sentence that says nothing, as long as those of the world are."""
    share = rng.uniform(LEAST_EXCHANGED, 1)
    words = drilled_words()
    return WORD.sub(
        lambda found: rng.choice(words) if rng.random() < share else found[0], _sentence(rng)
    )


@cache
def drilled_words() -> tuple[str, ...]:
    """The words that are said in the world, as they are written inside a sentence."""
    rng = random.Random("drills")
    sentences = [sample_spoken(rng, "train").spoken for _ in range(NUM_LISTENED_TO)]
    sentences += [sample_translation(rng, "train").english for _ in range(NUM_LISTENED_TO)]
    return tuple(sorted({word for said in sentences for word in WORD.findall(said)[1:]}))


def _sentence(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return sample_spoken(rng, "train").spoken
    return sample_translation(rng, "train").english
