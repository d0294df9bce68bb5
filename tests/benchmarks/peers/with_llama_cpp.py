"""llama.cpp on the text twin: Q4_0, the tied embedding and head in Q8_0.

The twin becomes a GGUF file once, beside it. Runs in its own environment.
Source: the architecture "phi3" of llama.cpp, and its gguf package.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quants
from llama_cpp import Llama
from safetensors import safe_open
from worker import NUM_CONTEXT, NUM_THREADS, PROMPT_ID, serve

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class LlamaCpp:
    """The twin in llama.cpp.

    Args:
        folder: the text twin.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / "q4_0.gguf"
        if not path.exists():
            write_gguf(folder, path)
        self._llama = Llama(
            str(path), n_ctx=NUM_CONTEXT, n_threads=NUM_THREADS, verbose=False, n_batch=512
        )

    def reply_ms(self, num_prompt: int, num_new: int, case: str) -> list[float]:
        assert case == "text"
        self._llama.reset()
        fed = [[PROMPT_ID] * num_prompt, *[[PROMPT_ID]] * (num_new - 1)]
        return [self._taken_ms(ids) for ids in fed]

    def _taken_ms(self, ids: list[int]) -> float:
        begun = time.perf_counter()
        self._llama.eval(ids)
        return 1e3 * (time.perf_counter() - begun)


def write_gguf(folder: Path, path: Path) -> None:
    """Quantize a twin, tensor by tensor; the file appears whole or not at all."""
    config = json.loads((folder / "config.json").read_text())
    partial = path.with_suffix(".part")
    writer = GGUFWriter(partial, "phi3", use_temp_file=True)
    _write_sizes(writer, config)
    for name, tensor in _tensors(folder):
        kind = GGMLQuantizationType.F32
        if tensor.ndim == 2:
            is_table = name.startswith("token_embd")
            kind = GGMLQuantizationType.Q8_0 if is_table else GGMLQuantizationType.Q4_0
            tensor = quants.quantize(tensor, kind)
        writer.add_tensor(name, tensor, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _write_sizes(writer: GGUFWriter, config: dict[str, Any]) -> None:
    head_dim = config["hidden_size"] // config["num_attention_heads"]
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_rope_scaling_orig_ctx_len(config["original_max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(int(head_dim * config["partial_rotary_factor"]))
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_sliding_window(0)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")  # token ids go in and come out
    scaling = config["rope_scaling"]
    for kind in ("long", "short"):
        factors = np.array(scaling[f"{kind}_factor"], dtype=np.float32)
        writer.add_tensor(f"rope_factors_{kind}.weight", factors)


def _tensors(folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Each tensor by llama.cpp's name for it, in float32."""
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as opened:
            for name in opened.keys():  # noqa: SIM118
                yield gguf_name(name), opened.get_tensor(name).float().numpy()


def gguf_name(name: str) -> str:
    """llama.cpp's name for one of the twin's tensors."""
    stem = name.removesuffix(".weight")
    if stem in NAMES:
        return f"{NAMES[stem]}.weight"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.weight"


if __name__ == "__main__":
    sys.exit(serve(LlamaCpp, ("llama-cpp-python", "gguf")))
