"""One token for each of some rows, through all layers in one go.

Decoding a token starts some thousand small pieces of work, and to start one from Python takes
longer than most of them. So all that is to be done is written down once, as a program: which loops
run on which memory. For each token its threads go through it without coming back.
It computes what `Decoder.through_layers` computes, by the same loops; only attention is its own.
Leaves out: the loops (row_loops.py, int8_loops.py, token_attention_loops.py), embeddings and head.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from ctypes import Array, addressof, c_int64
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

import torch

from core import int8_products, openmp, quick_rows
from core.adapters import LoraFactors, RoutedLinear, RowAdapters
from core.instructions import can_run_loops
from core.int8_products import Int8Product, Rounded
from core.int8_weight import Int8RowsWeight
from core.kv_cache import KVCache
from core.nf4_rows_weight import Nf4RowsWeight
from core.once import once

if TYPE_CHECKING:
    from core.decoder import Decoder, DecoderLayer

NUM_KEPT: Final = 8  # programs
_TASK_WORDS: Final = 16  # as many as the longest task has fields
_GRAIN_KEYS: Final = 512  # memory for scores grows by it
_KEYS_BEHIND: Final = 16  # scores of no key that are written behind those of a row's last
_Key = tuple[int, tuple[tuple[str, int, int], ...], int]


class _Attention:
    """The machine code for heads of a width, and of how many queries a head of keys is asked."""

    def __init__(self, width: int, num_turned: int, num_shared: int) -> None:
        from core import token_attention_loops
        from core.vector_code import Compiled

        self.task = token_attention_loops.Task
        self._compiled = Compiled(token_attention_loops.module(width, num_turned, num_shared))
        self.address = self._compiled.address("attend_tokens")


_attention = once(_Attention)


class _Shape(NamedTuple):
    """What a program has to know of a decoder: how many numbers a row has, by what they are."""

    num_layers: int
    hidden: int
    qkv: int
    mixed: int
    gate_up: int
    num_kv_heads: int
    num_shared: int  # queries for each head of keys and values
    head_dim: int
    num_turned: int  # of a head
    eps: float  # of the norms


class TokenPrograms:
    """Finds or writes the program for some rows, always of the same decoder."""

    def __init__(self) -> None:
        self._kept: dict[_Key, TokenProgram] = {}  # the one unused for longest first
        self._can_run: bool | None = None

    def of(
        self, decoder: Decoder, hidden: torch.Tensor, kv_cache: KVCache, adapters: RowAdapters
    ) -> TokenProgram | None:
        """The program for rows of hidden states (num_rows, num_tokens, hidden), or None.

        There is none for several tokens of a row, and where something is multiplied otherwise.
        """
        if self._can_run is None:
            self._can_run = can_run(decoder)
        is_one_token = hidden.shape[1] == 1 and type(kv_cache) is KVCache
        if not (self._can_run and is_one_token and hidden.dtype == torch.bfloat16):
            return None
        runs = tuple((name, rows.start, rows.stop) for name, rows in adapters.runs)
        key = (len(hidden), runs, torch.get_num_threads())
        program = self._kept.pop(key, None)
        if program is None:
            program = TokenProgram(decoder, len(hidden), adapters)
        self._kept[key] = program
        if len(self._kept) > NUM_KEPT:
            del self._kept[next(iter(self._kept))]
        return program


def compile_ahead(width: int, num_turned: int, num_shared: int) -> None:
    """Let the loops be compiled in the background, before the first token needs them.

    Args:
        width, num_turned: of a head of the decoder, and how many of its numbers are turned.
        num_shared: queries for each head of keys and values.
    """

    def compile_() -> None:
        int8_products.compile_ahead()
        quick_rows.loops()
        if _fits(width, num_turned):
            _attention(width, num_turned, num_shared)

    if can_run_loops():
        Thread(target=compile_, daemon=True).start()


def _fits(width: int, num_turned: int) -> bool:
    """Whether heads are such as the loops take."""
    from core.token_attention_loops import TURNED_MULTIPLE, WIDTH_MULTIPLE

    return width % WIDTH_MULTIPLE == 0 and num_turned % TURNED_MULTIPLE == 0


def can_run(decoder: Decoder) -> bool:
    """Whether the machine has the loops, and a decoder's matrices are all multiplied by them."""
    if not (can_run_loops() and decoder.norm.shape[0] % quick_rows.MULTIPLE == 0):
        return False
    is_fit = _fits(decoder.head_dim, decoder.rope.num_turned)
    return is_fit and all(map(_is_in_int8, _linears(decoder.layers)))


def _linears(layers: Iterable[DecoderLayer]) -> Iterable[RoutedLinear]:
    for layer in layers:
        yield from (layer.qkv_proj, layer.o_proj, layer.gate_up_proj, layer.down_proj)


def _is_in_int8(linear: RoutedLinear) -> bool:
    """Whether a linear's matrices are all multiplied by loops of ours."""
    factors = [factor for lora in linear.loras.values() for factor in (lora.down, lora.up)]
    is_base = isinstance(linear.base, Nf4RowsWeight)
    return is_base and all(isinstance(factor, Int8RowsWeight) for factor in factors)


class TokenProgram:
    """What is done for one token each of so many rows, of which some take some adapters.

    Args:
        decoder: whose layers they go through; one that `can_run`.
        num_rows: of hidden states.
        adapters: which of them take which.
    """

    def __init__(self, decoder: Decoder, num_rows: int, adapters: RowAdapters) -> None:
        # Not the decoder: it holds its programs, and would wait for the collector.
        self._num_rows, self._adapters = num_rows, adapters
        self._rows = quick_rows.loops()
        self._shape = shape = _shape(decoder)
        self._attention = _attention(shape.head_dim, shape.num_turned, shape.num_shared)
        self._tasks: list[Array[c_int64]] = []
        self._counters: list[tuple[Array[c_int64], int]] = []
        self._loops: list[int] = []  # each loop's address and its task's
        self._make_room()
        self._attending = [self._write_layer(*each) for each in enumerate(decoder.layers)]
        self._written = (c_int64 * len(self._loops))(*self._loops)
        self._program = (c_int64 * len(self._rows.program))()
        field = self._rows.program
        self._program[field.NUM_LOOPS] = len(self._loops) // 2
        self._program[field.LOOPS] = addressof(self._written)
        self._program[field.TEAM_SIZE] = openmp.team_size()
        # Of each row: where its keys begin, and its values, all layers' behind; its capacity.
        self._memory: list[tuple[int, ...]] = []

    def run(
        self,
        hidden: torch.Tensor,
        rotation: tuple[torch.Tensor, torch.Tensor],
        kv_cache: KVCache,
        rows: Sequence[int],
    ) -> torch.Tensor:
        """What comes out of the layers; keys and values are written behind the rows' others.

        Args:
            hidden: embeddings, (num_rows, 1, hidden).
            rotation: from `Rope.tables`.
            kv_cache, rows: which of its rows each row of `hidden` continues.
        Returns:
            bfloat16, of the embeddings' shape; good until the next token.
        """
        self._hidden.copy_(hidden[:, 0])
        for kept, table in zip((self._cosines, self._sines), rotation, strict=True):
            kept.copy_(table.view(self._num_rows, -1))
        self._lengths.copy_(torch.tensor([kv_cache.lengths[row] for row in rows]))
        self._find_memory(kv_cache, rows)
        for task, place in self._counters:
            task[place] = 0
        self._program[self._rows.program.NUM_ARRIVED] = 0
        openmp.run(self._rows.run_all, addressof(self._program))
        return self._hidden[:, None]

    def _make_room(self) -> None:
        """Memory for what a token is on its way through a layer."""
        shape, num = self._shape, self._num_rows
        widest = max(shape.qkv, shape.gate_up, shape.hidden)

        def numbers(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
            return torch.zeros(*shape, dtype=dtype)

        self._hidden, self._normed = numbers(num, shape.hidden), numbers(num, shape.hidden)
        self._qkv, self._mixed = numbers(num, shape.qkv), numbers(num, shape.mixed)
        self._gate_up, self._gated = numbers(num, shape.gate_up), numbers(num, shape.gate_up // 2)
        self._product, self._lora = numbers(num, shape.hidden), numbers(num, widest)
        self._low_rank = numbers(num, widest)
        # Of what a base matrix is multiplied by, and of what a LoRA's second factor is.
        self._rounded = [
            tuple(
                numbers(num, widest, dtype=kind) for kind in (torch.int8, torch.int32, torch.float)
            )
            for _ in range(2)
        ]
        self._cosines, self._sines = (numbers(num, shape.num_turned) for _ in range(2))
        self._lengths, self._capacities = (numbers(num, dtype=torch.int64) for _ in range(2))
        self._places = numbers(shape.num_layers, 2, num, dtype=torch.int64)
        self._scores = torch.empty(0)

    def _new_task(self, *counters: int) -> Array[c_int64]:
        """A task, of which some fields are counted up by its loops."""
        task = (c_int64 * _TASK_WORDS)()
        self._tasks.append(task)
        self._counters += [(task, counter) for counter in counters]
        return task

    def _then(self, loop: int, task: Array[c_int64]) -> None:
        self._loops += [loop, addressof(task)]

    def _write_layer(self, number: int, layer: DecoderLayer) -> Array[c_int64]:
        """All that a layer does; returns the task of its attention."""
        self._write_norm(layer.attention_norm)
        self._write_linear(layer.qkv_proj, self._normed, self._qkv)
        task = self._write_attention(number)
        self._write_linear(layer.o_proj, self._mixed, self._product)
        self._write_residual()
        self._write_norm(layer.mlp_norm)
        self._write_linear(layer.gate_up_proj, self._normed, self._gate_up)
        self._write_rows(self._rows.gate, self._gate_up, self._gated)
        self._write_linear(layer.down_proj, self._gated, self._product)
        self._write_residual()
        return task

    def _write_norm(self, weight: torch.Tensor) -> None:
        task = self._write_rows(self._rows.norm, self._hidden, self._normed)
        self._rows.describe_norm(task, self._num_rows, weight.data_ptr(), self._shape.eps)

    def _write_rows(self, loop: int, rows: torch.Tensor, result: torch.Tensor) -> Array[c_int64]:
        task = self._new_task(self._rows.task.NEXT_ITEM)
        self._rows.describe(
            task, self._num_rows, result.shape[1], rows.data_ptr(), result.data_ptr()
        )
        self._then(loop, task)
        return task

    def _write_residual(self) -> None:
        """What a product gave is added to the hidden states."""
        rows, result = self._product.data_ptr(), self._hidden.data_ptr()
        self._write_sum(rows, result, self._num_rows, self._shape.hidden)

    def _write_sum(self, rows: int, result: int, num_rows: int, num_columns: int) -> None:
        """Rows are added to others; arguments as in `Loops.describe`."""
        task = self._new_task(self._rows.task.NEXT_ITEM)
        self._rows.describe(task, num_rows, num_columns, rows, result)
        self._then(self._rows.add, task)

    def _write_linear(self, linear: RoutedLinear, x: torch.Tensor, y: torch.Tensor) -> None:
        """A base matrix times all rows, and each adapter's LoRA times its own."""
        assert isinstance(linear.base, Nf4RowsWeight)
        base, given = linear.base.in_int8, x.shape[1]
        task = self._write_product(
            base, self._num_rows, x.data_ptr(), given, self._rounding(0, base), y.data_ptr()
        )
        self._then(base.round_rows, task)
        self._then(base.loop, task)
        for adapter, rows in self._adapters.runs:
            self._write_lora(linear.loras[adapter], base, rows, x, y)

    def _write_lora(
        self, lora: LoraFactors, base: Int8Product, rows: slice, x: torch.Tensor, y: torch.Tensor
    ) -> None:
        """What a LoRA adds for some rows, which the base's product has rounded already."""
        assert isinstance(lora.down, Int8RowsWeight) and isinstance(lora.up, Int8RowsWeight)
        down, up = lora.down.in_int8, lora.up.in_int8
        num, low_rank, added = rows.stop - rows.start, self._low_rank, self._lora
        task = self._write_product(
            down,
            num,
            x[rows.start].data_ptr(),
            x.shape[1],
            self._rounding(0, base, rows.start),
            low_rank.data_ptr(),
        )
        self._then(down.loop, task)
        task = self._write_product(
            up,
            num,
            low_rank.data_ptr(),
            down.num_out,
            self._rounding(1, up),
            added.data_ptr(),
        )
        self._then(up.round_rows, task)
        self._then(up.loop, task)
        self._write_sum(added.data_ptr(), y[rows.start].data_ptr(), num, y.shape[1])

    def _write_product(
        self, product: Int8Product, num: int, rows: int, given: int, rounded: Rounded, result: int
    ) -> Array[c_int64]:
        field = product.task
        task = self._new_task(field.NEXT_ITEM, field.NEXT_ROUNDED)
        product.describe(task, num, rows, given, rounded, result)
        return task

    def _rounding(self, which: int, product: Int8Product, first: int = 0) -> Rounded:
        """Where rows from one on are rounded to, by a product of all of them."""
        widths = product.num_in, 4 * product.num_blocks, 4 * product.num_blocks
        return Rounded(
            *(
                kept.data_ptr() + first * width
                for kept, width in zip(self._rounded[which], widths, strict=True)
            )
        )

    def _write_attention(self, layer: int) -> Array[c_int64]:
        field = self._attention.task
        task = self._new_task(field.NEXT_ITEM, field.NEXT_THREAD)
        num_kv_heads = self._shape.num_kv_heads
        task[field.NUM_ITEMS] = self._num_rows * num_kv_heads
        task[field.NUM_KV_HEADS] = num_kv_heads
        scale = self._shape.head_dim**-0.5
        (task[field.SCALE],) = struct.unpack("<q", struct.pack("<fi", scale, 0))
        for place, tensor in (
            (field.HEADS, self._qkv),
            (field.COSINES, self._cosines),
            (field.SINES, self._sines),
            (field.LENGTHS, self._lengths),
            (field.CAPACITIES, self._capacities),
            (field.KEYS, self._places[layer, 0]),
            (field.VALUES, self._places[layer, 1]),
            (field.MIXED, self._mixed),
        ):
            task[place] = tensor.data_ptr()
        self._then(self._attention.address, task)
        return task

    def _find_memory(self, kv_cache: KVCache, rows: Sequence[int]) -> None:
        """Where the rows' keys and values lie, which is elsewhere when a row has grown."""
        stored = [kv_cache.stored(row) for row in rows]
        capacities = [kv_cache.capacity(row) for row in rows]
        memory = [
            (*(layers[0].data_ptr() for layers in kinds), capacity)
            for kinds, capacity in zip(stored, capacities, strict=True)
        ]
        if memory == self._memory:
            return
        self._memory = memory
        self._capacities.copy_(torch.tensor(capacities))
        places = [
            [[kinds[kind][layer].data_ptr() for kinds in stored] for kind in range(2)]
            for layer in range(len(self._attending))
        ]
        self._places.copy_(torch.tensor(places))
        most_keys = -(-(max(capacities) + _KEYS_BEHIND) // _GRAIN_KEYS) * _GRAIN_KEYS
        self._scores = torch.empty(torch.get_num_threads(), self._shape.num_shared, most_keys)
        field = self._attention.task
        for task in self._attending:
            task[field.SCORES], task[field.MOST_KEYS] = self._scores.data_ptr(), most_keys


def _shape(decoder: Decoder) -> _Shape:
    layer = decoder.layers[0]
    return _Shape(
        num_layers=len(decoder.layers),
        hidden=decoder.norm.shape[0],
        qkv=layer.qkv_proj.base.shape[0],
        mixed=layer.o_proj.base.shape[1],
        gate_up=layer.gate_up_proj.base.shape[0],
        num_kv_heads=decoder.num_kv_heads,
        num_shared=decoder.num_heads // decoder.num_kv_heads,
        head_dim=decoder.head_dim,
        num_turned=decoder.rope.num_turned,
        eps=decoder.eps,
    )
