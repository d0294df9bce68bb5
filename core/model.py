"""A model on one device: embed a prompt, feed it to the decoder, get logits.

The decoder's linears are what is quantised, with their LoRAs in 8 bits and a large output matrix
beside the exact one; embeddings, norms and projectors are not, encoders in int8 where it is quick.
Leaves out: loading (loader.py), scheduling and chunking (engine.py), sampling (sampler.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import torch
import torch.nn.functional as F
from transformers import Phi4MultimodalConfig

from core.adapters import RowAdapters
from core.bounded_cache import BoundedCache
from core.config import AdapterConfig, ModelOptions
from core.decoder import Decoder
from core.encoders import AudioEncoder, Check, VisionEncoder
from core.errors import BadModelError, OutOfMemoryError
from core.inputs import ModelInputs, Picture, PlacedMedium, Sound, placeholder_ids
from core.int8_kv_cache import Int8KVCache
from core.kv_cache import KVCache
from core.rope import RopeRegime
from core.router import AdapterName, AudioProjector
from core.step_graphs import StepGraphs

KEPT_MEDIA_BYTES: Final = 256 * 2**20  # of embeddings: some 80 full-size pictures of one crop


def go_on() -> None:
    """The check of those who never stop an encoding."""


class Model:
    """Phi-4-multimodal on one device: the frozen base, its encoders and its adapters.

    Made by `loader.load_model`. Every method computes without gradients.

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
        self._num_bytes: dict[AdapterName | None, int] = {}
        self.placeholder_ids = placeholder_ids(config)
        self._graphs: StepGraphs | None = None
        if self.device.type == "cuda" and options.kv_cache != "int8":
            self._graphs = StepGraphs(decoder, self._forward)

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

    def forget_recordings(self) -> None:
        """Give back the memory of recorded decoding steps."""
        if self._graphs is not None:
            self._graphs.forget()

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
        return embeddings.to(self.dtype)

    @torch.inference_mode()
    def encode_sound(
        self, sound: Sound, projector: AudioProjector, check: Check = go_on
    ) -> torch.Tensor:
        """One sound's embeddings, shape (sound.num_tokens, hidden)."""
        embeddings = self._audio_encoder.encode(sound, projector, check)
        _check_num_tokens("sound", embeddings, sound.num_tokens)
        return embeddings.to(self.dtype)

    def new_kv_cache(self, num_rows: int, num_tokens: int) -> KVCache:
        """An empty cache for `num_rows` sequences of up to `num_tokens` tokens.

        Raises:
            OutOfMemoryError: there is not enough memory for it.
        """
        kind = Int8KVCache if self.options.kv_cache == "int8" else KVCache
        try:
            return kind(self.config, num_rows, num_tokens, self.dtype, self.device)
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
        if self._graphs is not None and embeddings.shape[1] == 1:
            return self._graphs.forward(embeddings, kv_cache, rows, adapters)
        return self._forward(embeddings, kv_cache, rows, adapters)

    def _forward(
        self,
        embeddings: torch.Tensor,
        kv_cache: KVCache,
        rows: Sequence[int],
        adapters: Sequence[AdapterName | None],
    ) -> torch.Tensor:
        """`forward`, each kernel started when its turn comes."""
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

    @torch.inference_mode()
    def score(
        self, embeddings: torch.Tensor, kv_cache: KVCache, row: int, adapter: AdapterName | None
    ) -> torch.Tensor:
        """Feed new tokens to one row, as `forward` does, for the logits behind each of them.

        Args:
            embeddings: shape (1, num_tokens, hidden).
        Returns:
            float32, shape (num_tokens, vocab).
        """
        self._check_adapters([adapter])
        adapters = RowAdapters.of_rows([adapter])
        return self._decoder.forward(embeddings, kv_cache, [row], adapters, scores_all=True)

    def num_bytes(self, adapter: AdapterName | None) -> int:
        """What decoding one token under an adapter reads, the cache aside."""
        if adapter not in self._num_bytes:
            self._num_bytes[adapter] = self._decoder.num_bytes(adapter)
        return self._num_bytes[adapter]

    def _check_adapters(self, adapters: Sequence[AdapterName | None]) -> None:
        for adapter in adapters:
            if adapter is not None and adapter not in self.adapters:
                raise BadModelError(
                    f"This model has no {adapter} adapter: "
                    "load a model folder that has it, or leave such media out."
                )


def _check_num_tokens(what: str, embeddings: torch.Tensor, num_tokens: int) -> None:
    assert len(embeddings) == num_tokens, (
        f"a {what} counted as {num_tokens} tokens has {len(embeddings)} embeddings"
    )
