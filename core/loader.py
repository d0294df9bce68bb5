"""A model folder -> a model, one piece at a time.

A piece is read, packed and dropped before the next is read, so that the unpacked model never
exists as a whole. A large model's packed pieces are kept on disk, where the next start finds them.
Leaves out: how pieces are packed (sources.py) and kept (prepared.py), and what is computed with
them (model.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from transformers import Phi4MultimodalConfig

from core import attention, token_program
from core.adapters import LoraFactors, RoutedLinear
from core.checkpoint import Checkpoint, open_checkpoint
from core.config import ModelOptions
from core.decoder import Decoder, DecoderLayer
from core.encoders import AudioEncoder, VisionEncoder
from core.freed_memory import give_back
from core.head import LARGE_VOCABULARY, ExactHead, Head, TwoStageHead
from core.int4_weight import has_fast_int4_cpu
from core.key_map import DECODER_LINEARS, LoraKey
from core.model import Model
from core.nf4_weight import fits_nf4, is_nf4_quick
from core.prepared import (
    DAMAGE,
    is_short_of_something,
    open_prepared,
    prepared_folder,
    remove_damaged,
)
from core.quantize import Weight
from core.recorder import Recorder
from core.rope import Rope
from core.router import AdapterName
from core.sources import CheckpointSource, Source

LOGGER: Final = logging.getLogger(__name__)
SMALL_MODEL: Final = 16_384  # hidden size times layers; below it all is quick

Progress = Callable[[int, int], None]


def load_model(folder: Path, options: ModelOptions, progress: Progress | None = None) -> Model:
    """Load a model folder of either layout.

    Args:
        folder: where config.json and the safetensors files lie.
        options: type, quantisation and device.
        progress: called with (tensors done, tensors in all) after each tensor.
    Raises:
        BadModelError: the folder is missing, half-written or of another kind.
        BadOptionError: CUDA is asked for where there is none.
    """
    options = options.resolved()
    checkpoint = open_checkpoint(Path(folder))
    options = with_quantization(options, checkpoint.config)
    source: Source = CheckpointSource(checkpoint, options)
    if not is_kept(checkpoint.config, options):
        model = _Loader(checkpoint, source, options, progress).load()
        _compile_ahead(checkpoint.config, options)  # which takes longer than that
        return model
    _compile_ahead(checkpoint.config, options)
    kept_in = prepared_folder(Path(folder), options)
    prepared = open_prepared(kept_in, options.torch_dtype)
    if prepared is not None:
        try:
            return _Loader(checkpoint, prepared, options, progress).load()
        except DAMAGE as error:
            if is_short_of_something(error):
                raise
            remove_damaged(kept_in, error)
    recorder = Recorder(source, Path(folder), options)
    try:
        model = _Loader(checkpoint, recorder, options, progress).load()
    except BaseException:
        recorder.discard()
        raise
    recorder.finish()
    give_back()
    return model


class _Loader:
    """Asks for one piece after the other and puts it into its place."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        source: Source,
        options: ModelOptions,
        progress: Progress | None,
    ) -> None:
        self._checkpoint = checkpoint
        self._source = source
        self._options = options
        self._dtype = options.torch_dtype
        self._device = torch.device(options.device)
        self._progress = progress
        self._num_done = 0
        self._num_tensors = len(checkpoint.base_tensors) + len(checkpoint.lora_tensors)

    @torch.inference_mode()
    def load(self) -> Model:
        """Every part in its place and on its device."""
        checkpoint, config = self._checkpoint, self._checkpoint.config
        embeddings_name = "model.embed_tokens.weight"
        output_name = embeddings_name if config.tie_word_embeddings else "lm_head.weight"
        token_embeddings = self._table(embeddings_name)
        output_matrix = token_embeddings if config.tie_word_embeddings else self._table(output_name)
        decoder = Decoder(
            config,
            [self._layer(f"model.layers.{i}") for i in range(config.num_hidden_layers)],
            self._read("model.norm.weight"),
            self._head(output_name, output_matrix),
            Rope(config, self._device, self._dtype),
        )
        model = Model(
            config,
            self._options,
            dict(checkpoint.adapters),
            token_embeddings,
            VisionEncoder(config, self._read_for_encoder, self._encoder_linear),
            AudioEncoder(config, self._read_for_encoder, self._encoder_linear),
            decoder,
        )
        self._count(self._num_tensors - self._num_done)  # those that are never read
        return model

    def _layer(self, name: str) -> DecoderLayer:
        qkv, o, gate_up, down = (self._linear(f"{name}.{part}") for part in DECODER_LINEARS)
        return DecoderLayer(
            attention_norm=self._read(f"{name}.input_layernorm.weight"),
            qkv_proj=qkv,
            o_proj=o,
            mlp_norm=self._read(f"{name}.post_attention_layernorm.weight"),
            gate_up_proj=gate_up,
            down_proj=down,
        )

    def _linear(self, name: str) -> RoutedLinear:
        loras = {adapter: self._lora(adapter, name) for adapter in self._checkpoint.adapters}
        base = self._source.linear(name)
        self._count(1)
        return RoutedLinear(base, loras)

    def _encoder_linear(self, name: str) -> Weight:
        weight = self._source.encoder_linear(name)
        self._count(1)
        return weight

    def _lora(self, adapter: AdapterName, linear: str) -> LoraFactors:
        down = self._source.lora_factor(LoraKey(adapter, linear, "A"))
        up = self._source.lora_factor(LoraKey(adapter, linear, "B"))
        self._count(2)
        return LoraFactors(down, up)

    @property
    def _has_two_stages(self) -> bool:
        """Whether the output matrix is large, may be quantised and fits every kernel.

        What fits NF4 fits int4 and int8.
        """
        shape = self._checkpoint.config.vocab_size, self._checkpoint.config.hidden_size
        may_be_packed = self._options.quantization != "none" and fits_nf4(shape)
        return may_be_packed and shape[0] >= LARGE_VOCABULARY

    def _table(self, name: str) -> torch.Tensor:
        """Embeddings or an output matrix: as they are stored where only few rows will be read."""
        tensor = self._source.tensor(name)
        self._count(1)
        return self._placed(tensor, tensor.dtype if self._has_two_stages else self._dtype)

    def _head(self, name: str, matrix: torch.Tensor) -> Head:
        if not self._has_two_stages:
            return ExactHead(matrix)
        return TwoStageHead(self._source.coarse_head(name), matrix)

    def _read_for_encoder(self, name: str) -> torch.Tensor:
        return self._read(name, self._options.encoder_dtype)

    def _read(self, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
        tensor = self._placed(self._source.tensor(name), dtype or self._dtype)
        self._count(1)
        return tensor

    def _placed(self, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """On the device and in a type."""
        return tensor.to(self._device, dtype)

    def _count(self, num_tensors: int) -> None:
        self._num_done += num_tensors
        if self._progress is not None and num_tensors:
            try:
                self._progress(self._num_done, self._num_tensors)
            except OSError:  # who watched is gone, such as a terminal; the model is not at fault
                self._progress = None


def _is_large(config: Phi4MultimodalConfig) -> bool:
    return bool(config.hidden_size * config.num_hidden_layers > SMALL_MODEL)


def _compile_ahead(config: Phi4MultimodalConfig, options: ModelOptions) -> None:
    """Let machine code that the first reply will need be made in the background."""
    if options.device != "cpu" or options.torch_dtype != torch.bfloat16:
        return
    if options.quantization == "nf4":
        token_program.compile_ahead(*_head_shape(config))
    if _is_large(config):  # prompts of others are quick without
        attention.compile_ahead(*_head_widths(config))


def _head_widths(config: Phi4MultimodalConfig) -> set[int]:
    """Of the decoder's attention and the vision encoder's."""
    both = config, config.vision_config
    return {each.hidden_size // each.num_attention_heads for each in both}


def _head_shape(config: Phi4MultimodalConfig) -> tuple[int, int, int]:
    """A head's width, how many of its numbers are turned, and queries a head of keys."""
    width = config.hidden_size // config.num_attention_heads
    num_turned = int(width * config.rope_parameters.get("partial_rotary_factor", 1.0))
    return width, num_turned, config.num_attention_heads // config.num_key_value_heads


def is_kept(config: Phi4MultimodalConfig, options: ModelOptions) -> bool:
    """Whether the packed pieces of such a model are kept on disk for the next start.

    Args:
        config: its architecture.
        options: nothing left on "auto".
    """
    is_packed = options.quantization != "none" and options.device == "cpu"
    return is_packed and _is_large(config)


def with_quantization(options: ModelOptions, config: Phi4MultimodalConfig) -> ModelOptions:
    """The same options with the quantisation decided: NF4 where it is quick, else int4."""
    is_quick = options.device != "cpu" or is_nf4_quick(options.torch_dtype)
    if is_quick or not _is_large(config):
        return options if options.quantization != "auto" else replace(options, quantization="nf4")
    if options.quantization == "auto" and has_fast_int4_cpu():
        return replace(options, quantization="int4")
    if options.quantization in ("auto", "nf4"):
        other = "int4" if has_fast_int4_cpu() else "int8"
        LOGGER.warning(
            "NF4 is slow here (it is quick in bfloat16 on a CPU with AVX2): "
            "--quantization %s answers sooner.",
            other,
        )
        return replace(options, quantization="nf4")
    return options
