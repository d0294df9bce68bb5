"""OpenVINO on the text twin: int4 in groups of 128, exported by optimum-intel, for low latency.

The twin is exported once, beside it. Runs in its own environment.
Source: optimum-intel's documentation of OVModelForCausalLM.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from optimum.intel import OVModelForCausalLM, OVWeightQuantizationConfig
from worker import NUM_THREADS, PROMPT_ID, generated_ms, serve

FOR_LATENCY = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": str(NUM_THREADS)}


class OpenVino:
    """The twin in OpenVINO.

    Args:
        folder: the text twin.
    """

    def __init__(self, folder: Path) -> None:
        exported = folder / "openvino-int4"
        if not exported.exists():
            export(folder, exported)
        self._model = OVModelForCausalLM.from_pretrained(exported, ov_config=FOR_LATENCY)

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        assert case == "text"
        return generated_ms(self._model, torch.full((1, num_prompt), PROMPT_ID), num_new)


def export(folder: Path, exported: Path) -> None:
    """Export and quantize; the folder appears whole or not at all."""
    partial = exported.with_name(f"{exported.name}.part")
    int4 = OVWeightQuantizationConfig(bits=4, group_size=128, sym=False, ratio=1.0)
    OVModelForCausalLM.from_pretrained(
        folder, export=True, quantization_config=int4, compile=False
    ).save_pretrained(partial)
    partial.replace(exported)


if __name__ == "__main__":
    sys.exit(serve(OpenVino, ("openvino", "optimum-intel", "nncf")))
