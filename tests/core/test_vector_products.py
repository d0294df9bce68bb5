"""Products on CPUs with fewer instructions: exact sums of bytes, and nearly PyTorch's attention."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from llvmlite import binding, ir

from core import attention, int8_loops, int8_products, vector_products
from core.attention import attend
from core.instructions import NEEDED, can_run_loops
from core.int8_layout import (
    in_fours,
    in_stretches,
    out_of_fours,
    out_of_stretches,
    packed,
    unpacked,
)
from core.int8_products import Int8Product, int8_product, two_bit_product
from core.nf4_codes import levels
from core.nf4_rows_weight import Nf4RowsWeight
from core.vector_code import cpu_features
from core.vector_products import byte_products, is_wide, largest_step

pytestmark = pytest.mark.skipif(not can_run_loops(), reason="this CPU has no AVX2")

WIDE = frozenset(("avx512f", "avx512bw"))
SETS = {
    "AVX2": NEEDED,
    "AVX-VNNI": NEEDED | {"avxvnni"},
    "AVX512": NEEDED | WIDE,
    "AVX512-VNNI": NEEDED | WIDE | {"avx512vnni"},
    "AVX512-BF16": NEEDED | WIDE | {"avx512vnni", "avx512bf16"},
}
CPUS = {"AVX2": "haswell", "AVX-VNNI": "alderlake", "AVX512": "skylake-avx512"}
CPUS |= {"AVX512-VNNI": "icelake-server", "AVX512-BF16": "cooperlake"}


@pytest.fixture(params=[name for name, features in SETS.items() if features <= cpu_features()])
def features(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Bytes are multiplied as on each kind of CPU whose instructions this one has."""
    name: str = request.param
    pretend(name, monkeypatch)
    monkeypatch.setattr(int8_products, "_loops", lambda: byte_loops(name))
    return name


@cache
def byte_loops(name: str) -> int8_products._Loops:
    return int8_products._Loops()


def pretend(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_products, "cpu_features", lambda: SETS[name])


def random_numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def rounded(rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whole numbers of 64 columns each, and their sizes."""
    blocks = rows.float().unflatten(1, (-1, 64))
    sizes = blocks.abs().amax(2, keepdim=True)
    return torch.round(blocks * torch.tensor(float(largest_step())).div(sizes)), sizes


def exact(rows: torch.Tensor, levels: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
    """The product of whole numbers, block by block.

    Args:
        levels: (out, in), whole numbers.
        largest: (out, in / 64).
    """
    steps, sizes = rounded(rows)
    sums = torch.einsum("rbc,obc->rob", steps.double(), levels.unflatten(1, (-1, 64)).double())
    return (sums * sizes[:, None, :, 0] * largest.double() / (127 * largest_step())).sum(2)


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5, 8, 13, 130])
def test_bytes_are_multiplied_exactly(num_rows: int, features: str) -> None:
    """The largest numbers of either sign among them, whose sums would not fit 16 bits."""
    levels = torch.randint(-127, 128, (96, 192), generator=torch.Generator().manual_seed(1))
    levels[:, :64], levels[::2, 64:128] = 127, -127
    rows = random_numbers(num_rows, 192).bfloat16()
    rows[:, :64], rows[::2, 64:96] = 1.0, -3.0
    largest = random_numbers(96, 3).abs().bfloat16()
    laid_out = in_fours((levels + int8_products.LEVEL_ZERO).to(torch.uint8))
    assert_near(int8_product(laid_out, in_stretches(largest)), rows, exact(rows, levels, largest))


def assert_near(product: Int8Product, rows: torch.Tensor, expected: torch.Tensor) -> None:
    """Rounded to bfloat16 once, and to float32 on the way: a product off by one whole number, in
    one block of one row, is further away than that.
    """
    found = product(rows).double()
    assert torch.allclose(found, expected, rtol=2**-8, atol=1e-4)


@pytest.mark.parametrize("num_rows", [1, 4, 7])
def test_codes_are_looked_up(num_rows: int, features: str) -> None:
    weight = Nf4RowsWeight(random_numbers(160, 128), torch.bfloat16)
    rows = random_numbers(num_rows, 128).bfloat16()
    meant = torch.round(levels() * 127)[out_of_fours(unpacked(weight._codes, 4)).long()]
    assert_near(weight.in_int8, rows, exact(rows, meant, out_of_stretches(weight._largest)))


@pytest.mark.parametrize("num_rows", [1, 4, 7])
def test_two_bits_are_multiplied_exactly(num_rows: int, features: str) -> None:
    codes = torch.randint(4, (64, 128), generator=torch.Generator().manual_seed(2))
    codes[:, :64] = 3
    largest, rows = random_numbers(64, 2).abs().bfloat16(), random_numbers(num_rows, 128).bfloat16()
    rows[0, :64] = 1.0
    laid_out = packed(in_fours(codes.to(torch.uint8)), 2)
    product = two_bit_product(laid_out, in_stretches(largest))
    assert_near(product, rows, exact(rows, 2 * codes - 3, largest))


def test_attention_is_nearly_pytorchs(features: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loops = attention._Loops(64)
    monkeypatch.setattr(attention, "_loops", lambda _: loops)
    queries, keys, values = (
        random_numbers(1, 4, 70, 64 + n)[..., :64].bfloat16() for n in (0, 1, 2)
    )
    found = attend(queries, keys, values, is_causal=True)
    expected = torch.nn.functional.scaled_dot_product_attention(
        queries.float(), keys.float(), values.float(), is_causal=True
    )
    assert torch.allclose(found.float(), expected, atol=0.02)


@pytest.mark.parametrize(
    ("name", "instruction"),
    [
        ("AVX2", "vpmaddubsw"),
        ("AVX-VNNI", "vpdpbusd"),
        ("AVX512", "vpmaddubsw"),
        ("AVX512-VNNI", "vpdpbusd"),
        ("AVX512-BF16", "vpdpbusd"),
    ],
)
def test_each_kind_of_cpu_gets_its_own_instruction(
    name: str, instruction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(name, monkeypatch)
    written = assembly(int8_loops.module(), CPUS[name])
    assert instruction in written
    assert ("zmm" in written) == is_wide()
    assert ("vpmaddubsw" in written) == isinstance(byte_products(), vector_products._Pairs)
    assert largest_step() == (63 if instruction == "vpmaddubsw" else 127)


def assembly(module: ir.Module, cpu: str) -> str:
    """What LLVM makes of a module for some CPU."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple("x86_64-unknown-linux-gnu")
    machine = target.create_target_machine(cpu=cpu, opt=2)
    return str(machine.emit_assembly(binding.parse_assembly(str(module))))
