"""A checkpoint -> a model on one device: embed a prompt, feed it to the decoder, get logits.

Loading streams: a tensor is read, brought to its device and type, quantised and dropped before
the next is read. The decoder's linears are what is quantised, with their LoRAs in 8 bits and a
large output matrix beside the exact one; embeddings, norms, encoders and projectors are not.
Leaves out: scheduling and chunking (engine.py), sampling (sampler.py), downloading.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import torch
import torch.nn.functional as F
from transformers import Phi4MultimodalConfig

from core.adapters import LoraFactors, RoutedLinear, RowAdapters
from core.bounded_cache import BoundedCache
from core.checkpoint import Checkpoint, open_checkpoint
from core.config import AdapterConfig, ModelOptions, Quantization
from core.decoder import Decoder, DecoderLayer
from core.encoders import AudioEncoder, Check, VisionEncoder
from core.errors import BadModelError, OutOfMemoryError
from core.head import LARGE_VOCABULARY, ExactHead, Head, TwoStageHead
from core.inputs import ModelInputs, Picture, PlacedMedium, Sound, placeholder_ids
from core.int4_weight import has_fast_int4_cpu
from core.key_map import DECODER_LINEARS
from core.kv_cache import KVCache
from core.quantize import Weight, has_fast_nf4_cpu, quantize
from core.rope import Rope, RopeRegime
from core.router import AdapterName, AudioProjector

LOGGER: Final = logging.getLogger(__name__)
SMALL_MODEL: Final = 16_384  # hidden size times layers; below it every kernel is quick
KEPT_MEDIA_BYTES: Final = 256 * 2**20  # of embeddings: some 80 full-size pictures of one crop

Progress = Callable[[int, int], None]


def go_on() -> None:
    """The check of those who never stop an encoding."""


class Model:
    """Phi-4-multimodal on one device: the frozen base, its encoders and its adapters.

    Made by `load_model`. Every method computes without gradients.

    Args:
        config: the architecture.
        options: how it was loaded, nothing left on "auto".
        adapters: the LoRAs it has.
        token_embeddings: shape (vocab, hidden).
        vision_encoder, audio_encoder: pictures and sounds -> embeddings.
        decoder: the stack with its head.
    """

    def __init__(
        self,
        config: Phi4MultimodalConfig,
        options: ModelOptions,
        adapters: dict[AdapterName, AdapterConfig],
        token_embeddings: torch.Tensor,
        vision_encoder: VisionEncoder,
        audio_encoder: AudioEncoder,
        decoder: Decoder,
    ) -> None:
        self.config = config
        self.options = options
        self.adapters = adapters
        self.device = torch.device(options.device)
        self.dtype = options.torch_dtype
        self._token_embeddings = token_embeddings
        self._vision_encoder = vision_encoder
        self._audio_encoder = audio_encoder
        self._decoder = decoder
        self._media = BoundedCache[torch.Tensor](KEPT_MEDIA_BYTES, lambda made: made.nbytes)
        self.placeholder_ids = placeholder_ids(config)

    @torch.inference_mode()
    def embed(self, inputs: ModelInputs, check: Check = go_on, start: int = 0) -> torch.Tensor:
        """A prompt's embeddings, its media in their places, shape (num_tokens - start, hidden).

        Encodes the pictures and sounds whose tokens are wanted, but for those that are known by
        their hash; sounds go through the route's projector.

        Args:
            inputs: the prompt.
            check: called between crops and windows of sound; what it raises ends the encoding.
            start: the first token that is wanted.
        """
        embeddings = self.embed_token_ids(inputs.token_ids[start:])
        for placed in inputs.placed(self.placeholder_ids):
            first = max(start, placed.start)
            if first < placed.end:
                encoded = self._encoded(placed, inputs.route.audio_projector, check)
                embeddings[first - start : placed.end - start] = encoded[first - placed.start :]
        return embeddings

    def _encoded(
        self, placed: PlacedMedium, projector: AudioProjector | None, check: Check
    ) -> torch.Tensor:
        """A medium's embeddings, kept for the next prompt that has it."""
        medium = placed.medium
        if not isinstance(medium, Sound):
            projector, encode = None, partial(self.encode_picture, medium, check)
        else:
            assert projector is not None, "the route has no audio projector"
            encode = partial(self.encode_sound, medium, projector, check)
        if placed.content_hash is None:
            return encode()
        return self._media.get((placed.content_hash, projector), encode)

    def forget_media(self) -> None:
        """Encode every picture and sound anew from now on."""
        self._media.clear()

    @torch.inference_mode()
    def embed_token_ids(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Text tokens' embeddings: ids of any shape (...,) -> (..., hidden)."""
        return F.embedding(token_ids.to(self.device), self._token_embeddings).to(self.dtype)

    @torch.inference_mode()
    def encode_picture(self, picture: Picture, check: Check = go_on) -> torch.Tensor:
        """One picture's embeddings, shape (picture.num_tokens, hidden)."""
        embeddings = self._vision_encoder.encode(picture, check)
        _check_num_tokens("picture", embeddings, picture.num_tokens)
        return embeddings

    @torch.inference_mode()
    def encode_sound(
        self, sound: Sound, projector: AudioProjector, check: Check = go_on
    ) -> torch.Tensor:
        """One sound's embeddings, shape (sound.num_tokens, hidden)."""
        embeddings = self._audio_encoder.encode(sound, projector, check)
        _check_num_tokens("sound", embeddings, sound.num_tokens)
        return embeddings

    def new_kv_cache(self, num_rows: int, num_tokens: int) -> KVCache:
        """An empty cache for `num_rows` sequences of up to `num_tokens` tokens.

        Raises:
            OutOfMemoryError: there is not enough memory for it.
        """
        try:
            return KVCache(self.config, num_rows, num_tokens, self.dtype, self.device)
        except (RuntimeError, MemoryError) as error:
            raise OutOfMemoryError(
                f"There is no memory for {num_rows} conversations of {num_tokens} tokens: "
                "ask for fewer or shorter ones."
            ) from error

    def rope_regime(self, num_tokens: int) -> RopeRegime:
        """The rope regime of a sequence of so many tokens, for `KVCache.clear`."""
        return self._decoder.rope.regime(num_tokens)

    @torch.inference_mode()
    def forward(
        self,
        embeddings: torch.Tensor,
        kv_cache: KVCache,
        rows: Sequence[int],
        adapters: Sequence[AdapterName | None],
    ) -> torch.Tensor:
        """Feed new tokens to some rows of a cache.

        A row's rope regime is the one its cache row was cleared with; a row of the short regime
        must be cleared and prefilled again before it outgrows it.

        Args:
            embeddings: shape (num_rows, num_tokens, hidden): a chunk of a prompt, or the last
                token of each of several rows.
            kv_cache: the rows' earlier tokens; the new ones are appended.
            rows: which cache row each row of `embeddings` continues.
            adapters: the adapter of each row, None for the bare base model.
        Returns:
            float32 logits of each row's last position, shape (num_rows, vocab).
        Raises:
            BadModelError: the checkpoint has no such adapter.
        """
        assert len(rows) == len(adapters) == embeddings.shape[0], "one adapter for each row"
        self._check_adapters(adapters)
        # Rows of one adapter side by side: each adapter is then read from memory once.
        order = sorted(range(len(rows)), key=lambda i: adapters[i] or "")
        if order == list(range(len(rows))):
            return self._decoder.forward(embeddings, kv_cache, rows, RowAdapters.of_rows(adapters))
        logits = self._decoder.forward(
            embeddings[order],
            kv_cache,
            [rows[i] for i in order],
            RowAdapters.of_rows([adapters[i] for i in order]),
        )
        return logits[torch.tensor(order, device=logits.device).argsort()]

    def _check_adapters(self, adapters: Sequence[AdapterName | None]) -> None:
        for adapter in adapters:
            if adapter is not None and adapter not in self.adapters:
                raise BadModelError(
                    f"This model has no {adapter} adapter: "
                    "load a model folder that has it, or leave such media out."
                )


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
    options = _with_quantization(options, checkpoint.config)
    return _Loader(checkpoint, options, progress).load()


class _Loader:
    """Reads one tensor after the other into its place."""

    def __init__(
        self, checkpoint: Checkpoint, options: ModelOptions, progress: Progress | None
    ) -> None:
        self._checkpoint = checkpoint
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
        token_embeddings = self._table("model.embed_tokens.weight")
        is_tied = config.tie_word_embeddings
        output_matrix = token_embeddings if is_tied else self._table("lm_head.weight")
        decoder = Decoder(
            config,
            [self._layer(f"model.layers.{i}") for i in range(config.num_hidden_layers)],
            self._read("model.norm.weight"),
            self._head(output_matrix),
            Rope(config, self._device, self._dtype),
        )
        model = Model(
            config,
            self._options,
            dict(checkpoint.adapters),
            token_embeddings,
            VisionEncoder(config, self._read),
            AudioEncoder(config, self._read),
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
        loras = {adapter: self._lora(config, name) for adapter, config in self._adapters()}
        base = quantize(
            self._checkpoint.tensor(f"{name}.weight").to(self._device),
            self._options.quantization,
            self._dtype,
            name,
        )
        self._count(1)
        return RoutedLinear(base, loras)

    def _adapters(self) -> list[tuple[AdapterName, AdapterConfig]]:
        return list(self._checkpoint.adapters.items())

    def _lora(self, config: AdapterConfig, linear: str) -> LoraFactors:
        down, up = self._checkpoint.lora(config.name, linear)
        self._count(2)
        return LoraFactors(
            self._lora_factor(down, linear), self._lora_factor(up.float() * config.scale, linear)
        )

    def _lora_factor(self, factor: torch.Tensor, linear: str) -> Weight:
        """In 8 bits where the matrices are in 8 or fewer."""
        held_in: Quantization = "none" if self._options.quantization == "none" else "int8"
        return quantize(factor.to(self._device), held_in, self._dtype, f"the LoRA on {linear}")

    @property
    def _has_two_stages(self) -> bool:
        """Whether the output matrix is large, and may be quantised."""
        is_large = self._checkpoint.config.vocab_size >= LARGE_VOCABULARY
        return is_large and self._options.quantization != "none"

    def _table(self, name: str) -> torch.Tensor:
        """Embeddings or an output matrix: as they are stored where only few rows will be read."""
        tensor = self._checkpoint.tensor(name)
        self._count(1)
        return self._placed(tensor, tensor.dtype if self._has_two_stages else self._dtype)

    def _head(self, matrix: torch.Tensor) -> Head:
        if not self._has_two_stages:
            return ExactHead(matrix)
        coarse = quantize(matrix, self._options.quantization, self._dtype, "lm_head")
        return TwoStageHead(coarse, matrix)

    def _read(self, name: str) -> torch.Tensor:
        tensor = self._placed(self._checkpoint.tensor(name))
        self._count(1)
        return tensor

    def _placed(self, tensor: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """A copy of its own: a view of the file would break when the file is replaced."""
        return tensor.to(self._device, dtype or self._dtype, copy=True)

    def _count(self, num_tensors: int) -> None:
        self._num_done += num_tensors
        if self._progress is not None and num_tensors:
            self._progress(self._num_done, self._num_tensors)


def _with_quantization(options: ModelOptions, config: Phi4MultimodalConfig) -> ModelOptions:
    """The same options with the quantisation decided: NF4 where it is quick, else int4."""
    is_large = config.hidden_size * config.num_hidden_layers > SMALL_MODEL
    is_quick = options.dtype == "bfloat16" and has_fast_nf4_cpu()
    if options.device != "cpu" or not is_large or is_quick:
        return options if options.quantization != "auto" else replace(options, quantization="nf4")
    if options.quantization == "auto" and has_fast_int4_cpu():
        return replace(options, quantization="int4")
    if options.quantization in ("auto", "nf4"):
        other = "int4" if has_fast_int4_cpu() else "int8"
        LOGGER.warning(
            "NF4 is slow here (it is quick in bfloat16 on a CPU with AVX512-BF16): "
            "--quantization %s answers sooner.",
            other,
        )
        return replace(options, quantization="nf4")
    return options


def _check_num_tokens(what: str, embeddings: torch.Tensor, num_tokens: int) -> None:
    assert len(embeddings) == num_tokens, (
        f"a {what} counted as {num_tokens} tokens has {len(embeddings)} embeddings"
    )
