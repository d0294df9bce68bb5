"""What packing costs: each packing's logits against those of the bundled model in bfloat16.

    .venv/bin/python -m tests.benchmarks.fidelity [--num N] [--json FILE]

Feeds held-out questions with their right replies and compares the distributions that predict each
token of a reply: their mean KL divergence from bfloat16's, and how often the likeliest token is the
same. NF4 is multiplied in int8, but in one column; the encoders' matrices are too small for that by
themselves, but in another. Needs a CPU with AVX512-BF16.
Leaves out: how often replies are right (launch.py eval --compare).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import torch

from core import quantize, sources
from core.config import ModelOptions, Quantization
from core.hub import BUNDLED_FOLDER
from core.loader import load_model
from core.model import Model
from core.nf4_kernel import has_fused_kernel
from core.processor import Processor
from core.tokenizer import Tokenizer
from core.training.cases import Case, cases
from core.training.command import positive

SKILLS: Final = (
    *("text", "translation, typed", "picture questions", "printed words"),
    *("transcription, unseen voices", "spoken questions"),
)
SEED: Final = 1
Scores = list[torch.Tensor]  # of each case: log probabilities, (reply tokens, vocab)


def main(argv: Sequence[str]) -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description="What does each packing cost in exactness?")
    parser.add_argument(
        "--num", type=positive, default=100, help="questions a skill (default: 100)"
    )
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    if not has_fused_kernel():
        print("This needs a CPU with AVX512-BF16.", file=sys.stderr)
        return 2
    record = {skill: compared(list(cases(skill, options.num, SEED)), load) for skill in SKILLS}
    print(markdown_table(record))
    print(json.dumps(record))
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


def load(quantization: Quantization) -> Model:
    """The bundled model in bfloat16, packed or not."""
    return load_model(BUNDLED_FOLDER, ModelOptions("bfloat16", quantization, "cpu"))


def compared(
    asked: Sequence[Case], load: Callable[[Quantization], Model]
) -> dict[str, dict[str, float]]:
    """Every packing against none: "kl" in nats, "same" as a share of the replies' tokens."""
    reference, packed = scores(load("none"), asked), load("nf4")
    found = {"NF4": scores(packed, asked)}
    with decoder_in_bfloat16():
        found["NF4, products in bfloat16"] = scores(load("nf4"), asked)
    with encoders_in_int8():
        found["NF4, encoders in int8"] = scores(load("nf4"), asked)
    with patch.object(packed, "options", replace(packed.options, kv_cache="int8")):
        found["NF4, keys and values in int8"] = scores(packed, asked)
    return {name: apart(reference, each) for name, each in found.items()}


@contextmanager
def decoder_in_bfloat16() -> Iterator[None]:
    """Inside, models are loaded whose decoder multiplies what is not rounded to int8."""
    with patch.object(quantize, "is_int8_quick", lambda _: False):
        yield


@contextmanager
def encoders_in_int8() -> Iterator[None]:
    """Inside, models are loaded whose encoders are in int8."""
    with patch.object(sources, "ENCODER_LEAST_NUMBERS", 0):
        yield


def scores(model: Model, asked: Sequence[Case]) -> Scores:
    """Log probabilities of every token of each right reply, and of its end."""
    tokenizer = Tokenizer.from_folder(BUNDLED_FOLDER)
    processor = Processor.from_folder(BUNDLED_FOLDER, tokenizer, model.config)
    found = []
    for case in asked:
        inputs = processor.inputs(case.conversation)
        last = int(inputs.token_ids[-1])
        reply = torch.tensor(tokenizer.encode_text(case.expected, after=last))
        embeddings = torch.cat((model.embed(inputs), model.embed_token_ids(reply)))[None]
        cache = model.new_kv_cache(1, embeddings.shape[1])
        logits = model.score(embeddings, cache, 0, inputs.route.adapter)
        found.append(logits[-len(reply) - 1 :].log_softmax(-1))
    return found


def apart(reference: Scores, others: Scores) -> dict[str, float]:
    """How far distributions are from the reference's."""
    exact, other = torch.cat(reference).double(), torch.cat(others).double()
    divergence = (exact.exp() * (exact - other)).sum(-1).mean()
    same = (exact.argmax(-1) == other.argmax(-1)).double().mean()
    return {"kl": round(float(divergence), 5), "same": round(float(same), 4)}


def markdown_table(record: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """A row a skill: each packing's KL divergence and agreement."""
    packings = list(next(iter(record.values())))
    lines = [f"| skill | {' | '.join(packings)} |", "|---" * (len(packings) + 1) + "|"]
    for skill, by_packing in record.items():
        cells = (
            f"{100 * each['same']:.2f} % the same, KL {each['kl']:.4f}"
            for each in by_packing.values()
        )
        lines.append(f"| {skill} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
