"""Functions of vectors that no instruction has: powers of e, and what activations make of them.

Leaves out: loops over numbers (row_loops.py, attention_loops.py).
"""

from __future__ import annotations

from typing import Final

from core.vector_code import FLOATS, INTS, Code, Value, same

_MOST_POWER: Final = 126.0  # of 2, and as little below 1: float32 holds both
_LOG2_E: Final = 1.4426950408889634
# 2 ** x between -1/2 and 1/2, from the highest power of x down: its Taylor series.
_POWER_OF_2: Final = (0.0013333558, 0.0096181291, 0.0555041087, 0.2402265070, 0.6931471806, 1.0)
# GELU by the logistic function: tanh(y) is 2 * logistic(2 * y) - 1.
_GELU: Final = 2 * 0.7978845608028654
_GELU_CUBED: Final = 0.044715


def exponential(code: Code, x: Value) -> Value:
    """e ** x of 16 numbers in float32; below 2 ** -126 it is that, above 2 ** 126 likewise."""
    builder = code.builder
    y = builder.fmul(x, same(FLOATS, _LOG2_E))
    y = code.call("llvm.maxnum.v16f32", FLOATS, y, same(FLOATS, -_MOST_POWER))
    y = code.call("llvm.minnum.v16f32", FLOATS, y, same(FLOATS, _MOST_POWER))
    whole = code.call("llvm.rint.v16f32", FLOATS, y)
    rest = builder.fsub(y, whole)
    power = same(FLOATS, _POWER_OF_2[0])
    for factor in _POWER_OF_2[1:]:
        power = code.call("llvm.fma.v16f32", FLOATS, power, rest, same(FLOATS, factor))
    exponent = builder.shl(builder.fptosi(whole, INTS), same(INTS, 23))
    return builder.bitcast(builder.add(builder.bitcast(power, INTS), exponent), FLOATS)


def silu(code: Code, x: Value) -> Value:
    """x times the logistic function of x."""
    return _times_logistic(code, x, x)


def gelu_tanh(code: Code, x: Value) -> Value:
    """x times the normal distribution's share below x, nearly.

    Source: Hendrycks and Gimpel, arXiv 1606.08415; PyTorch's `approximate="tanh"`.
    """
    builder = code.builder
    squared = builder.fmul(x, x)
    inner = code.call(
        "llvm.fma.v16f32", FLOATS, squared, same(FLOATS, _GELU * _GELU_CUBED), same(FLOATS, _GELU)
    )
    return _times_logistic(code, x, builder.fmul(x, inner))


def _times_logistic(code: Code, x: Value, y: Value) -> Value:
    """x times the logistic function of y; far below 0, where x might tower over it, nothing."""
    builder = code.builder
    power = exponential(code, builder.fneg(y))
    product = builder.fdiv(x, builder.fadd(power, same(FLOATS, 1.0)))
    is_far = builder.fcmp_ordered(">=", power, same(FLOATS, 2.0**_MOST_POWER))
    return builder.select(is_far, same(FLOATS, 0.0), product)
