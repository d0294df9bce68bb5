"""One assistant: a model, its processor and its engine. The file to read first.

A turn, top to bottom: `submit` queues the conversation; the engine's worker has the router choose
the adapter (router.py), the processor prepare text and media (processor.py, prompt.py), the model
encode and prefill them (model.py), then decodes token by token (sampler.py, detokenize.py) and
emits events (events.py) that any thread or event loop reads from the Turn (turn.py).
Leaves out: pages, HTTP and the terminal (app/).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.config import ModelOptions
from core.engine import Engine, EngineOptions
from core.hub import BUNDLED_FOLDER, model_folder
from core.loader import load_model
from core.messages import Conversation
from core.processor import Processor
from core.router import InputMode
from core.sampling_options import SamplingOptions
from core.tokenizer import Tokenizer
from core.turn import Turn

LOGGER: Final = logging.getLogger(__name__)
GREEDY: Final = SamplingOptions()
ABOUT_BUNDLED: Final = (
    "It knows a small world, and says so beyond it: shapes, colours, numbers, animals, days, "
    "months, opposites and capitals; pictures of coloured shapes and printed words; the same "
    "questions spoken in English; and plain sentences into German, French, Spanish and Italian."
)
ABOUT_OTHER: Final = "It reads, sees and hears whatever it was trained on."


@dataclass(frozen=True)
class ModelInfo:
    """What people are told about the loaded model.

    Args:
        name: the folder's name, the hub name, or "Triad bundled model".
        is_bundled: True for the model in assets/.
        about: what it knows, one or two sentences.
        device, dtype, quantization: how it is loaded.
        num_context_tokens: the longest conversation, media included.
    """

    name: str
    is_bundled: bool
    about: str
    device: str
    dtype: str
    quantization: str
    num_context_tokens: int


class Assistant:
    """Answers conversations. Made by `open_assistant`; every caller shares its engine.

    Args:
        engine: owns the model.
        info: what people are told about the model.
    """

    def __init__(self, engine: Engine, info: ModelInfo) -> None:
        self._engine = engine
        self._info = info

    @property
    def info(self) -> ModelInfo:
        """What is loaded."""
        return self._info

    @property
    def is_ready(self) -> bool:
        """True while turns can be submitted."""
        return self._engine.is_open

    def submit(self, conversation: Conversation, options: SamplingOptions = GREEDY) -> Turn:
        """Begin to answer a conversation; returns at once.

        Raises:
            QueueFullError: too many turns are waiting.
            EngineClosedError: the assistant is closed.
        """
        return self._engine.submit(conversation, options)

    def prepare(self, conversation: Conversation, mode: InputMode | None = None) -> Turn:
        """Feed ahead of time what is known of a turn to come (Engine.prepare).

        Raises:
            QueueFullError: too many turns are waiting.
            EngineClosedError: the assistant is closed.
        """
        return self._engine.prepare(conversation, mode)

    def close(self) -> None:
        """Cancel what is under way and free the model."""
        self._engine.close()


def open_assistant(
    model: str | None,
    options: ModelOptions,
    progress: Callable[[int, int], None] | None = None,
    engine_options: EngineOptions | None = None,
) -> Assistant:
    """Load a model and start its engine.

    Args:
        model: None for the bundled model, a folder, or a hub name.
        options: how to load it.
        progress: called with (tensors done, tensors in all).
        engine_options: how many turns side by side.
    Raises:
        BadModelError: the model is missing, half-written or of another kind.
        BadOptionError: the device is not there.
    """
    begun_s = time.monotonic()
    folder = model_folder(model)
    tokenizer = Tokenizer.from_folder(folder)
    loaded = load_model(folder, options, progress)
    processor = Processor.from_folder(folder, tokenizer, loaded.config)
    engine = Engine(loaded, processor, engine_options)
    LOGGER.info("loaded %s in %.1f s", folder.name, time.monotonic() - begun_s)
    # A hub's model lies in a folder that is named by a checksum: people know it by its hub name.
    is_local = model is None or folder == Path(model).expanduser()
    name = folder.resolve().name if is_local else str(model)
    info = _info(name, folder, loaded.options, loaded.config.max_position_embeddings)
    return Assistant(engine, info)


def _info(name: str, folder: Path, options: ModelOptions, num_context_tokens: int) -> ModelInfo:
    is_bundled = folder.resolve() == BUNDLED_FOLDER
    return ModelInfo(
        name="Triad bundled model" if is_bundled else name,
        is_bundled=is_bundled,
        about=ABOUT_BUNDLED if is_bundled else ABOUT_OTHER,
        device=options.device,
        dtype=options.dtype,
        quantization=options.quantization,
        num_context_tokens=int(num_context_tokens),
    )
