"""Recorded steps: they say what plain steps say, and where they do not they are left.

On a CPU the recording is the step itself, run again; on a GPU (--device cuda) it is a CUDA graph.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from core import step_graphs
from core.config import Device, ModelOptions
from core.kv_cache import KVCache
from core.loader import load_model
from core.model import Model
from core.router import AdapterName
from core.static_step import StaticStep
from core.step_graphs import NUM_KEPT, NUM_PLAIN_STEPS, Run, StepGraphs
from tests.tiny_checkpoint import ROPE_SWITCH, VOCAB_SIZE

ADAPTERS: tuple[AdapterName | None, ...] = (None, "speech", "vision", "speech")
LENGTHS = (3, 20, 7, ROPE_SWITCH + 5)
CAPACITY = ROPE_SWITCH + 60
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def model(native_folder: Path, device: Device) -> Model:
    """Tiny, in float32, without recordings of its own."""
    model = load_model(native_folder, ModelOptions("float32", "none", device))
    model._graphs = None
    return model


def itself(run: Run) -> Run:
    """What stands for a recording where there is no GPU."""
    return run


def graphs(model: Model, record: step_graphs.Record | None = None) -> StepGraphs:
    own = step_graphs.recorded if model.device.type == "cuda" else itself
    return StepGraphs(model._decoder, model.forward, record or own)


def tokens(num_rows: int, seed: int = 0, num: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, VOCAB_SIZE - 20, (num_rows, num), generator=generator)


def filled_cache(model: Model) -> KVCache:
    """Rows of different lengths, adapters and rope regimes, in memory that held anything."""
    cache = model.new_kv_cache(len(LENGTHS), CAPACITY)
    for row, length in enumerate(LENGTHS):
        for by_layer in cache.stored(row):
            for tensor in by_layer:
                tensor.fill_(torch.nan)
        cache.clear(row, "long" if row == 3 else "short")
        embeddings = model.embed_token_ids(tokens(1, row, length))
        model.forward(embeddings, cache, [row], [ADAPTERS[row]])
    return cache


def step(
    forward: StepGraphs | Model, model: Model, cache: KVCache, seed: int, rows: Sequence[int]
) -> torch.Tensor:
    embeddings = model.embed_token_ids(tokens(len(rows), 100 + seed))
    return forward.forward(embeddings, cache, rows, [ADAPTERS[row] for row in rows])


@pytest.mark.parametrize("rows", [[0], [1], [2, 0, 3, 1], [3, 1]])
def test_recorded_steps_say_what_plain_ones_say(model: Model, rows: list[int]) -> None:
    plain_cache, cache, graphs_ = filled_cache(model), filled_cache(model), graphs(model)
    for number in range(NUM_PLAIN_STEPS + 6):
        plain = step(model, model, plain_cache, number, rows)
        found = step(graphs_, model, cache, number, rows)
        assert float((found - plain).abs().max()) < TOLERANCE
        assert cache.lengths == plain_cache.lengths
    assert graphs_.num_kept == 1
    for row in rows:
        length = cache.length(row)
        for kept, plain_kept in zip(cache.stored(row), plain_cache.stored(row), strict=True):
            assert torch.allclose(kept[1][:, :length], plain_kept[1][:, :length], atol=TOLERANCE)


def test_a_recording_serves_other_lengths_regimes_and_orders_of_adapters(model: Model) -> None:
    graphs_, cache = graphs(model), filled_cache(model)
    for number in range(NUM_PLAIN_STEPS + 1):
        step(graphs_, model, cache, number, [0, 1, 2])
    cache.clear(1, "long")
    prompt = model.embed_token_ids(tokens(1, 9, 12))
    model.forward(prompt, cache, [1], ["vision"])
    embeddings = model.embed_token_ids(tokens(3, 50))
    adapters: list[AdapterName | None] = ["speech", "vision", None]
    plain = model.forward(embeddings, cache, [0, 1, 2], adapters)
    for row in (0, 1, 2):
        cache.truncate(row, cache.length(row) - 1)
    found = graphs_.forward(embeddings, cache, [0, 1, 2], adapters)
    assert graphs_.num_kept == 1
    assert float((found - plain).abs().max()) < TOLERANCE


def test_rows_that_do_not_stay_together_are_not_recorded(model: Model) -> None:
    graphs_, cache = graphs(model), filled_cache(model)
    for number in range(2 * NUM_PLAIN_STEPS):
        step(graphs_, model, cache, number, [0] if number % 2 else [0, 1])
    assert graphs_.num_kept == 0


def test_a_row_that_gets_other_memory_is_recorded_anew_and_its_old_memory_is_free(
    model: Model,
) -> None:
    graphs_, cache = graphs(model), filled_cache(model)
    for number in range(NUM_PLAIN_STEPS + 2):
        step(graphs_, model, cache, number, [0])
    assert graphs_.num_kept == 1
    cache.reserve(0, 3 * CAPACITY)
    twin = filled_cache(model)
    for number in range(NUM_PLAIN_STEPS + 2):
        step(model, model, twin, number, [0])
    plain = step(model, model, twin, 99, [0])
    found = step(graphs_, model, cache, 99, [0])
    assert graphs_.num_kept <= 1
    assert float((found - plain).abs().max()) < TOLERANCE
    cache.release(0)
    gc.collect()
    step(graphs_, model, cache, 0, [1])
    assert graphs_.num_kept == 0


def test_another_cache_with_the_same_rows_is_not_taken_for_the_recorded_one(model: Model) -> None:
    graphs_, cache, other, twin = graphs(model), *(filled_cache(model) for _ in range(3))
    for number in range(NUM_PLAIN_STEPS + 2):
        step(graphs_, model, cache, number, [0])
    assert graphs_.num_kept == 1
    for number in range(3):  # the second one reads what the first one should have written
        found, plain = (
            step(forward, model, its, 50 + number, [0])
            for forward, its in ((graphs_, other), (model, twin))
        )
        assert float((found - plain).abs().max()) < TOLERANCE


def test_only_the_latest_recordings_are_kept(model: Model) -> None:
    cache = model.new_kv_cache(NUM_KEPT + 2, 20)
    graphs_ = graphs(model)
    for row in range(NUM_KEPT + 2):
        for number in range(NUM_PLAIN_STEPS + 1):
            embeddings = model.embed_token_ids(tokens(1, number))
            graphs_.forward(embeddings, cache, [row], [None])
    assert graphs_.num_kept == NUM_KEPT


def wrong(run: Run) -> Run:
    return lambda: run() + 1.0


def not_a_number(run: Run) -> Run:
    return lambda: run() * torch.nan


def spoiling(run: Run) -> Run:
    """Leaves keys and values behind that are no numbers, as a broken recording could."""

    def replay() -> torch.Tensor:
        logits = run()
        step: StaticStep = run.__self__  # type: ignore[attr-defined]
        for row, position in zip(step._rows, step._positions.flatten().tolist(), strict=True):
            for by_layer in step._kv_cache.stored(row):
                for tensor in by_layer:
                    tensor[..., position, :] = torch.nan
        return logits + 1.0

    return replay


def refused(run: Run) -> Run:
    raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("record", [wrong, not_a_number, spoiling, refused])
def test_what_cannot_be_recorded_right_is_decoded_plainly(
    model: Model, record: step_graphs.Record, caplog: pytest.LogCaptureFixture
) -> None:
    plain_cache, cache = filled_cache(model), filled_cache(model)
    graphs_ = graphs(model, record)
    with caplog.at_level(logging.WARNING):
        for number in range(NUM_PLAIN_STEPS + 4):
            plain = step(model, model, plain_cache, number, [0, 2])
            found = step(graphs_, model, cache, number, [0, 2])
            assert float((found - plain).abs().max()) < TOLERANCE
    assert graphs_.num_kept == 0
    assert len([record for record in caplog.records if "CUDA graphs" in record.message]) == 1


def test_where_memory_is_short_steps_are_plain_until_there_is_some(
    model: Model, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(step_graphs, "NUM_STEPS_OF_PATIENCE", 3)
    errors = [torch.OutOfMemoryError("CUDA out of memory.")]

    def record(run: Run) -> Run:
        if errors:
            raise errors.pop()
        return run

    plain_cache, cache, graphs_ = filled_cache(model), filled_cache(model), graphs(model, record)
    for number in range(2 * NUM_PLAIN_STEPS + 6):
        plain = step(model, model, plain_cache, number, [0])
        found = step(graphs_, model, cache, number, [0])
        assert float((found - plain).abs().max()) < TOLERANCE
    assert graphs_.num_kept == 1
    assert not caplog.records
    graphs_.forget()
    assert graphs_.num_kept == 0


def test_a_full_row_is_refused_before_anything_is_written(model: Model) -> None:
    cache = model.new_kv_cache(1, 4)
    embeddings = model.embed_token_ids(tokens(1))
    model.forward(model.embed_token_ids(tokens(1, 1, 4)), cache, [0], [None])
    static = StaticStep(model._decoder, cache, [0], (), embeddings)
    with pytest.raises(AssertionError, match="full"):
        static.set(embeddings, [None])
