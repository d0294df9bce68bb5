"""onnxruntime-genai on the text twin: int4, built by its own model builder.

The twin is built once, beside it. Runs in its own environment.
Source: onnxruntime-genai's documentation of its builder and its Python API.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnxruntime_genai as genai
from worker import NUM_CONTEXT, NUM_THREADS, PROMPT_ID, apart_ms, serve


class OnnxGenAi:
    """The twin in onnxruntime-genai.

    Args:
        folder: the text twin.
    """

    def __init__(self, folder: Path) -> None:
        built = folder / "onnx-int4"
        if not built.exists():
            build(folder, built)
        config = genai.Config(str(built))
        threads = {"session_options": {"intra_op_num_threads": NUM_THREADS}}
        config.overlay(json.dumps({"model": {"decoder": threads}}))
        self._model = genai.Model(config)

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        assert case == "text"
        options = genai.GeneratorParams(self._model)
        options.set_search_options(max_length=NUM_CONTEXT, do_sample=False)
        generator = genai.Generator(self._model, options)
        moments = [time.perf_counter()]
        generator.append_tokens([PROMPT_ID] * num_prompt)
        for _ in range(num_new):
            generator.generate_next_token()
            moments.append(time.perf_counter())
        return apart_ms(moments)


def build(folder: Path, built: Path) -> None:
    """Build the int4 model; the folder appears whole or not at all."""
    partial = built.with_name(f"{built.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as cache:
        builder = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
        paths = ["-i", str(folder), "-o", str(partial), "-c", cache]
        subprocess.run([*builder, *paths, "-p", "int4", "-e", "cpu"], check=True)
    partial.replace(built)


if __name__ == "__main__":
    sys.exit(serve(OnnxGenAi, ("onnxruntime-genai", "onnxruntime")))
