"""One token each of some rows in one go: what the layers compute, whatever is beside a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F

from core import kv_cache, token_program
from core.adapters import RowAdapters
from core.config import ModelOptions
from core.decoder import Decoder
from core.hub import BUNDLED_FOLDER
from core.int8_kv_cache import Int8KVCache
from core.kv_cache import KVCache
from core.loader import load_model
from core.model import Model
from core.router import AdapterName
from core.token_program import TokenPrograms, can_run

Adapter = AdapterName | None
ROUTES: tuple[Adapter, ...] = (None, "vision", "speech")
LENGTHS = (1, 15, 16, 17, 33, 70)


@pytest.fixture(scope="module")
def packed() -> Model:
    return load_model(BUNDLED_FOLDER, ModelOptions("bfloat16", "nf4", "cpu"))


@pytest.fixture(scope="module")
def decoder(packed: Model) -> Decoder:
    if not can_run(packed._decoder):
        pytest.skip("this CPU has no AVX2")
    return packed._decoder


def random_states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def filled(packed: Model, lengths: Sequence[int], adapters: Sequence[Adapter]) -> KVCache:
    """A cache whose rows have been fed so many tokens each, which say who they are."""
    cache = packed.new_kv_cache(len(lengths), 256)
    for row, (length, adapter) in enumerate(zip(lengths, adapters, strict=True)):
        states = random_states(1, length, packed.config.hidden_size, seed=length)
        packed.forward(states, cache, [row], [adapter])
    return cache


@torch.inference_mode()
def decoded(
    packed: Model, cache: KVCache, rows: Sequence[int], adapters: Sequence[Adapter], num: int = 4
) -> torch.Tensor:
    """Logits of some tokens each, (num, num_rows, vocab); a row's tokens are always the same."""
    tokens = [random_states(num, packed.config.hidden_size, seed=1000 + row) for row in rows]
    steps = torch.stack(tokens, 1)[:, :, None]
    return torch.stack([packed.forward(step, cache, rows, adapters) for step in steps])


@contextmanager
def layer_by_layer() -> Iterator[None]:
    """Inside, nothing has a program, and single tokens attend in float32."""

    def attend(
        queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        own, all_keys, all_values = (each[None].float() for each in (queries, keys, values))
        mixed = F.scaled_dot_product_attention(own, all_keys, all_values, mask, enable_gqa=True)
        return mixed[0].bfloat16()

    with (
        patch.object(TokenPrograms, "of", lambda *_: None),
        patch.object(kv_cache, "grouped_attention", attend),
    ):
        yield


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.float() - wanted.float()).norm() / wanted.float().norm())


@pytest.mark.parametrize("adapter", ROUTES)
@pytest.mark.parametrize("length", LENGTHS)
def test_a_token_is_what_the_layers_make_of_it(
    adapter: Adapter,
    length: int,
    packed: Model,
    decoder: Decoder,
) -> None:
    caches = [filled(packed, [length], [adapter]) for _ in range(2)]
    found = decoded(packed, caches[0], [0], [adapter])
    with layer_by_layer():
        wanted = decoded(packed, caches[1], [0], [adapter])
    assert off(found, wanted) < 0.02
    assert caches[0].lengths == caches[1].lengths == [length + len(found)]
    ours, theirs = (cache.stored(0) for cache in caches)
    new = slice(length, length + len(found))
    for kind in range(2):  # turned and written alike; later layers may be rounded otherwise
        assert torch.equal(ours[kind][0][:, : new.stop], theirs[kind][0][:, : new.stop])
        assert off(ours[kind][-1][:, new], theirs[kind][-1][:, new]) < 0.02


def test_rows_of_all_routes_side_by_side_are_as_alone(packed: Model, decoder: Decoder) -> None:
    adapters = [ROUTES[number % 3] for number in range(6)]
    together = decoded(packed, filled(packed, LENGTHS, adapters), range(6), adapters)
    cache = filled(packed, LENGTHS, adapters)
    for row, adapter in enumerate(adapters):
        alone = decoded(packed, cache, [row], [adapter])
        assert torch.equal(together[:, row], alone[:, 0])


@pytest.mark.parametrize("num_threads", [1, 3, 7])
def test_more_or_fewer_threads_compute_the_same(
    num_threads: int, packed: Model, decoder: Decoder
) -> None:
    before = torch.get_num_threads()
    adapters: list[Adapter] = ["speech", None, "vision"]
    found = decoded(packed, filled(packed, (20, 3, 9), adapters), range(3), adapters)
    cache = filled(packed, (20, 3, 9), adapters)
    torch.set_num_threads(num_threads)
    try:
        assert torch.equal(decoded(packed, cache, range(3), adapters), found)
    finally:
        torch.set_num_threads(before)


def test_a_row_goes_on_where_it_was_moved_to(packed: Model, decoder: Decoder) -> None:
    """A row that grows lies elsewhere, and so does one that another takes the place of."""
    wanted = decoded(packed, filled(packed, [40], ["speech"]), [0], ["speech"], 6)
    cache = filled(packed, [40], ["speech"])
    found = []
    steps = random_states(6, packed.config.hidden_size, seed=1000)
    for number, step in enumerate(steps):
        if number % 2:
            cache.reserve(0, cache.capacity(0) + 600)
        found.append(packed.forward(step[None, None], cache, [0], ["speech"]))
    assert torch.equal(torch.stack(found), wanted)


def test_what_was_written_of_memory_never_filled_is_not_looked_at(
    packed: Model, decoder: Decoder
) -> None:
    caches = [filled(packed, [21], [None]) for _ in range(2)]
    for layers in caches[1].stored(0):
        for layer in layers:
            layer[:, 21:] = torch.nan
    assert torch.equal(*(decoded(packed, cache, [0], [None]) for cache in caches))


@pytest.mark.parametrize("capacity", [496, 500, 511, 512, 1024])
def test_a_row_that_is_full_writes_nothing_beside_its_memory(
    capacity: int, packed: Model, decoder: Decoder
) -> None:
    cache = packed.new_kv_cache(1, capacity)
    num_fed = capacity - 2
    packed.forward(random_states(1, num_fed, packed.config.hidden_size), cache, [0], [None])
    programs = TokenPrograms()
    hidden = random_states(1, 1, packed.config.hidden_size)
    program = programs.of(decoder, hidden, cache, RowAdapters.of_rows([None]))
    assert program is not None
    program._find_memory(cache, [0])
    assert program._scores.shape[2] >= capacity + 16
    decoded(packed, cache, [0], [None], 2)
    assert cache.length(0) == capacity


def test_keys_that_tower_over_others_take_all_of_a_look(packed: Model, decoder: Decoder) -> None:
    """Softmax neither overflows nor divides by nothing."""
    cache = filled(packed, [30], [None])
    for layer in cache.stored(0)[0]:
        layer[:, 7] = 3e4
        layer[:, 11] = -3e4
    assert bool(decoded(packed, cache, [0], [None]).isfinite().all())


def test_only_single_tokens_of_a_cache_in_bfloat16_have_a_program(
    packed: Model, decoder: Decoder
) -> None:
    programs, adapters = TokenPrograms(), RowAdapters.of_rows([None])
    cache = packed.new_kv_cache(1, 64)
    states = random_states(1, 2, packed.config.hidden_size)
    assert programs.of(decoder, states[:, :1], cache, adapters) is not None
    assert programs.of(decoder, states, cache, adapters) is None
    assert programs.of(decoder, states[:, :1].float(), cache, adapters) is None
    in_int8 = Int8KVCache(packed.config, 1, 64, torch.bfloat16, torch.device("cpu"))
    assert programs.of(decoder, states[:, :1], in_int8, adapters) is None


def test_programs_are_kept_for_the_next_token_but_not_too_many(
    packed: Model, decoder: Decoder
) -> None:
    programs, cache = TokenPrograms(), packed.new_kv_cache(1, 64)

    def of(num_rows: int) -> token_program.TokenProgram | None:
        states = random_states(num_rows, 1, packed.config.hidden_size)
        return programs.of(decoder, states, cache, RowAdapters.of_rows([None] * num_rows))

    first = of(1)
    assert of(2) is not first
    for num_rows in range(2, token_program.NUM_KEPT + 1):
        of(num_rows)
        assert of(1) is first
    of(token_program.NUM_KEPT + 1)
    assert of(1) is first
    assert len(programs._kept) == token_program.NUM_KEPT


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_other_matrices_go_without(quantization: str) -> None:
    options = ModelOptions("bfloat16", quantization, "cpu")  # type: ignore[arg-type]
    assert not can_run(load_model(BUNDLED_FOLDER, options)._decoder)


def test_a_machine_without_the_instructions_goes_without(
    packed: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_program, "can_run_loops", lambda: False)
    assert not can_run(packed._decoder)


@pytest.mark.parametrize(("dtype", "quantization"), [("bfloat16", "nf4"), ("float32", "nf4")])
def test_loops_are_compiled_when_a_model_has_loaded_that_needs_them(
    dtype: str, quantization: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, ...]] = []
    monkeypatch.setattr(token_program, "compile_ahead", lambda *shape: asked.append(shape))
    load_model(BUNDLED_FOLDER, ModelOptions(dtype, quantization, "cpu"))  # type: ignore[arg-type]
    assert asked == ([(64, 48, 2)] if dtype == "bfloat16" else [])


def test_they_are_compiled_in_the_background(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Event()
    monkeypatch.setattr(token_program, "_attention", lambda *shape: done.set())
    token_program.compile_ahead(32, 16, 1)
    assert done.wait(60)
