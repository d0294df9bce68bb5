"""The instructions that our products are made of, and what stands in for them on other CPUs.

Bytes are looked up in a table of 16, and multiplied four at a time and added up; numbers in
bfloat16 likewise, two at a time. AVX512-BW, -VNNI and -BF16 have an instruction for each. Without
them a vector of 512 bits is two of 256, and several of AVX2's instructions do the same.
Leaves out: what is multiplied (int8_loops.py, attention_loops.py).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

from llvmlite import ir

from core.vector_code import BYTE, FLOATS, INT, INTS, LANES, SHORT, Code, Value, cpu_features, same

LARGEST_SMALL: Final = 8  # 16 times two products by 127 are less than 2 ** 15
BYTES: Final = ir.VectorType(BYTE, 4 * LANES)
_SHORTS: Final = ir.VectorType(SHORT, 2 * LANES)
_HALF_BYTES: Final = ir.VectorType(BYTE, 2 * LANES)
_HALF_SHORTS: Final = ir.VectorType(SHORT, LANES)
_HALF_INTS: Final = ir.VectorType(INT, LANES // 2)
_UPPER_HALF: Final = -(2**16)  # of 32 bits


class ByteProducts(Protocol):
    """How levels, bytes that lie higher than they mean, are multiplied by bytes with a sign.

    Sums are carried as INTS, and mean what each way has them mean.
    """

    def begin(self, code: Code, start: Value) -> Value:
        """Sums of nothing.

        Args:
            start: an INT: less than 0 by as much as each sum will be too large.
        """

    def added(self, code: Code, sums: Value, levels: Value, others: Value) -> Value:
        """Sums, and the products of four bytes each with four others.

        Args:
            sums, levels, others: INTS; the others are steps, up to `largest_step`.
        """

    def ended(self, code: Code, sums: Value, start: Value) -> Value:
        """The sums of 16 such steps, as whole numbers of 32 bits."""


class _Vnni512:
    """By VPDPBUSD, which wants the first factor without a sign."""

    def begin(self, code: Code, start: Value) -> Value:
        """As in `ByteProducts`."""
        return code.spread(start)

    def added(self, code: Code, sums: Value, levels: Value, others: Value) -> Value:
        """As in `ByteProducts`."""
        return code.call("llvm.x86.avx512.vpdpbusd.512", INTS, sums, levels, others)

    def ended(self, code: Code, sums: Value, start: Value) -> Value:
        """As in `ByteProducts`."""
        return sums


class _Vnni256(_Vnni512):
    """The same by halves, on CPUs with AVX-VNNI."""

    def added(self, code: Code, sums: Value, levels: Value, others: Value) -> Value:
        """As in `ByteProducts`."""
        factors = sums, levels, others
        return _by_halves(code, "llvm.x86.avx512.vpdpbusd.256", _HALF_INTS, *factors)


class _Pairs(_Vnni512):
    """By sums of two products, which 16 bits hold where steps are small."""

    def added(self, code: Code, sums: Value, levels: Value, others: Value) -> Value:
        """As in `ByteProducts`."""
        return code.builder.add(sums, _in_fours(code, _in_twos(code, levels, others)))


class _SmallPairs:
    """Of levels up to LARGEST_SMALL: 16 bits hold all that is added up."""

    def begin(self, code: Code, start: Value) -> Value:
        """As in `ByteProducts`."""
        return same(INTS, 0)

    def added(self, code: Code, sums: Value, levels: Value, others: Value) -> Value:
        """As in `ByteProducts`: of twice as many numbers of 16 bits."""
        shorts = code.builder.bitcast(sums, _SHORTS)
        return code.builder.bitcast(code.builder.add(shorts, _in_twos(code, levels, others)), INTS)

    def ended(self, code: Code, sums: Value, start: Value) -> Value:
        """As in `ByteProducts`."""
        fours = _in_fours(code, code.builder.bitcast(sums, _SHORTS))
        return code.builder.add(fours, code.spread(start))


def largest_step() -> int:
    """The largest whole number that activations are rounded to.

    Without VNNI a small one, so that 16 bits hold two of them times 255: an eighth bit would take
    more instructions, and seven cost less than NF4 does by far.
    """
    features = cpu_features()
    has_vnni = features >= {"avx512bw", "avx512vnni"} or "avxvnni" in features
    return 127 if has_vnni else 63


def byte_products(largest: int = 255) -> ByteProducts:
    """The quickest way on this CPU.

    Args:
        largest: of the levels, without a sign.
    """
    features = cpu_features()
    if features >= {"avx512bw", "avx512vnni"}:
        return _Vnni512()
    if "avxvnni" in features:
        return _Vnni256()
    return _SmallPairs() if largest <= LARGEST_SMALL else _Pairs()


def _in_twos(code: Code, ones: Value, others: Value) -> Value:
    """Products of bytes, the first without a sign, two by two added up, in 16 bits."""
    factors = [code.builder.bitcast(each, BYTES) for each in (ones, others)]
    if is_wide():
        return code.call("llvm.x86.avx512.pmaddubs.w.512", _SHORTS, *factors)
    return _by_halves(code, "llvm.x86.avx2.pmadd.ub.sw", _HALF_SHORTS, *factors)


def _in_fours(code: Code, twos: Value) -> Value:
    """Sums of two numbers of 16 bits each, in 32."""
    if is_wide():
        return code.call("llvm.x86.avx512.pmaddw.d.512", INTS, twos, same(_SHORTS, 1))
    return _by_halves(code, "llvm.x86.avx2.pmadd.wd", _HALF_INTS, twos, same(_SHORTS, 1))


def is_wide() -> bool:
    """Whether this CPU has 32 registers of 512 bits, and not 16 of 256."""
    return cpu_features() >= {"avx512f", "avx512bw"}


def looked_up(code: Code, table: Value, places: Value) -> Value:
    """Of a table of 16 bytes, four times side by side, those at some places: BYTES each."""
    if is_wide():
        return code.call("llvm.x86.avx512.pshuf.b.512", BYTES, table, places)
    return _by_halves(code, "llvm.x86.avx2.pshuf.b", _HALF_BYTES, table, places)


def added_pairs(code: Code, sums: Value, ones: Value, others: Value) -> Value:
    """Sums, FLOATS, and the products of two numbers in bfloat16 each with two others, INTS."""
    builder = code.builder
    if cpu_features() >= {"avx512f", "avx512bf16"}:
        factors = [builder.bitcast(each, _PAIRS) for each in (ones, others)]
        return code.call("llvm.x86.avx512bf16.dpbf16ps.512", FLOATS, sums, *factors)
    for widened in (_even_widened, _odd_widened):
        sums = code.call(
            "llvm.fma.v16f32", FLOATS, widened(code, ones), widened(code, others), sums
        )
    return sums


def _even_widened(code: Code, pairs: Value) -> Value:
    """The first of each two numbers, which lies in the lower half, in float32."""
    return code.builder.bitcast(code.builder.shl(pairs, same(INTS, 16)), FLOATS)


def _odd_widened(code: Code, pairs: Value) -> Value:
    """The second of each two numbers, in float32."""
    return code.builder.bitcast(code.builder.and_(pairs, same(INTS, _UPPER_HALF)), FLOATS)


class _BFloat(ir.Type):
    """LLVM's bfloat, which llvmlite has no name for."""

    def __str__(self) -> str:
        return "bfloat"


_PAIRS: Final = ir.VectorType(_BFloat(), 2 * LANES)


def _by_halves(code: Code, name: str, half: Any, *vectors: Value) -> Value:
    """What an intrinsic makes of the first halves of vectors, and of the second ones, side by side.

    Args:
        half: the type of what it makes.
    """
    made = []
    for number in range(2):
        counts = (each.type.count // 2 for each in vectors)
        parts = (
            code.pick(each, range(number * count, (number + 1) * count))
            for each, count in zip(vectors, counts, strict=True)
        )
        made.append(code.call(name, half, *parts))
    mask = ir.Constant(ir.VectorType(INT, 2 * half.count), list(range(2 * half.count)))
    return code.builder.shuffle_vector(*made, mask)
