"""Operators that act on each element: arithmetic, exponentials, clamps, and their backward formulas."""

from __future__ import annotations

from typing import Any

import sympy as sp
import torch

from oracle.reading.atoms import Array, Select, Unread, condition, each, number
from oracle.reading.operators.table import rule


def unary(function: Any) -> Any:
    """A rule from a function of one number."""
    return lambda a, *_, **__: each(lambda x: function(number(x)), a)


def binary(function: Any) -> Any:
    """A rule from a function of two numbers."""
    return lambda a, b, *_, **__: each(lambda x, y: function(number(x), number(y)), a, b)


def sigmoid(x: Any) -> Any:
    """1 / (1 + e^-x)."""
    return 1 / (1 + sp.exp(-x))


def absolute(x: Any) -> Any:
    """|x| by its two branches."""
    return Select(sp.Ge(x, 0), x, -x)


def sign(x: Any) -> Any:
    """The sign of x, 0 at 0."""
    return Select(sp.Gt(x, 0), sp.Integer(1), Select(sp.Lt(x, 0), sp.Integer(-1), sp.Integer(0)))


def smaller(x: Any, y: Any) -> Any:
    """min(x, y) by its two branches."""
    return Select(sp.Le(x, y), x, y)


def larger(x: Any, y: Any) -> Any:
    """max(x, y) by its two branches."""
    return Select(sp.Ge(x, y), x, y)


def power(x: Any, y: Any) -> Any:
    """x^y, for real x: an even root of a square is an absolute value."""
    return x**y


def exponential(x: Any) -> Any:
    """e^x, taken into the branches of a selection so that products of exponentials still combine."""
    return sp.exp(x)


UNARY = {
    "neg": lambda x: -x, "exp": exponential, "expm1": lambda x: exponential(x) - 1, "exp2": lambda x: 2**x,
    "log": sp.log, "log1p": lambda x: sp.log(1 + x), "log2": lambda x: sp.log(x) / sp.log(2),
    "log10": lambda x: sp.log(x) / sp.log(10), "sqrt": sp.sqrt, "rsqrt": lambda x: 1 / sp.sqrt(x),
    "square": lambda x: x**2, "reciprocal": lambda x: 1 / x, "abs": absolute, "sgn": sign, "sign": sign,
    "tanh": sp.tanh, "sinh": sp.sinh, "cosh": sp.cosh, "sin": sp.sin, "cos": sp.cos, "atan": sp.atan, "erf": sp.erf,
    "asinh": sp.asinh, "sigmoid": sigmoid, "relu": lambda x: Select(sp.Gt(x, 0), x, sp.Integer(0)), "positive": lambda x: x,
}  # fmt: skip
for _name, _function in UNARY.items():
    rule(_name)(unary(_function))

for _name, _function in {
    "minimum": smaller, "maximum": larger, "fmin": smaller, "fmax": larger, "atan2": sp.atan2,
    "logaddexp": lambda x, y: sp.log(sp.exp(x) + sp.exp(y)), "logaddexp2": lambda x, y: sp.log(2**x + 2**y) / sp.log(2),
    "mul": lambda x, y: x * y, "pow": power, "hypot": lambda x, y: sp.sqrt(x**2 + y**2),
}.items():  # fmt: skip
    rule(_name)(binary(_function))


@rule("add")
def _add(a: Array, b: Any, alpha: Any = 1) -> Array:
    return each(lambda x, y: number(x) + number(y) * number(alpha), a, b)


@rule("sub")
def _sub(a: Array, b: Any, alpha: Any = 1) -> Array:
    return each(lambda x, y: number(x) - number(y) * number(alpha), a, b)


@rule("rsub")
def _rsub(a: Array, b: Any, alpha: Any = 1) -> Array:
    return each(lambda x, y: number(y) - number(x) * number(alpha), a, b)


@rule("div", "true_divide")
def _div(a: Array, b: Any, rounding_mode: str | None = None) -> Array:
    if rounding_mode is not None:
        raise Unread(f"a division that rounds ({rounding_mode})")
    return each(lambda x, y: number(x) / number(y), a, b)


@rule("addcmul")
def _addcmul(a: Array, b: Array, c: Array, value: Any = 1) -> Array:
    return each(lambda x, y, z: number(x) + number(value) * number(y) * number(z), a, b, c)


@rule("addcdiv")
def _addcdiv(a: Array, b: Array, c: Array, value: Any = 1) -> Array:
    return each(lambda x, y, z: number(x) + number(value) * number(y) / number(z), a, b, c)


@rule("lerp")
def _lerp(a: Array, b: Array, weight: Any) -> Array:
    return each(lambda x, y, w: number(x) + number(w) * (number(y) - number(x)), a, b, weight)


@rule("xlogy")
def _xlogy(a: Array, b: Array) -> Array:
    return each(lambda x, y: number(x) * sp.log(number(y)), a, b)


def _clamp_one(x: Any, low: Any, high: Any) -> Any:
    capped = x if high is None else Select(sp.Gt(x, high), high, x)
    return capped if low is None else Select(sp.Lt(x, low), low, capped)


@rule("clamp", "clip")
def _clamp(a: Array, min: Any = None, max: Any = None) -> Array:  # noqa: A002 - torch's own names
    none = object()
    low, high = (none if min is None else min), (none if max is None else max)

    def one(x: Any, lo: Any, hi: Any) -> Any:
        return _clamp_one(number(x), None if lo is none else number(lo), None if hi is none else number(hi))

    return each(one, a, low, high)


@rule("clamp_min")
def _clamp_min(a: Array, low: Any) -> Array:
    return each(lambda x, lo: _clamp_one(number(x), number(lo), None), a, low)


@rule("clamp_max")
def _clamp_max(a: Array, high: Any) -> Array:
    return each(lambda x, hi: _clamp_one(number(x), None, number(hi)), a, high)


@rule("softplus")
def _softplus(a: Array, beta: Any = 1, threshold: Any = 20) -> Array:
    b, t = number(beta), number(threshold)
    return each(lambda x: Select(sp.Gt(number(x) * b, t), number(x), sp.log(1 + sp.exp(number(x) * b)) / b), a)


@rule("softplus_backward")
def _softplus_backward(grad: Array, a: Array, beta: Any, threshold: Any) -> Array:
    b, t = number(beta), number(threshold)
    return each(lambda g, x: Select(sp.Gt(x * b, t), g, g * sigmoid(x * b)), grad, a)


@rule("log_sigmoid_forward")
def _log_sigmoid(a: Array) -> tuple[Array, Array]:
    return each(lambda x: -sp.log(1 + sp.exp(-number(x))), a), each(lambda x: sp.Integer(0), a)


@rule("log_sigmoid_backward")
def _log_sigmoid_backward(grad: Array, a: Array, buffer: Array) -> Array:
    return each(lambda g, x: g * sigmoid(-x), grad, a)


@rule("tanh_backward")
def _tanh_backward(grad: Array, out: Array) -> Array:
    return each(lambda g, y: g * (1 - y**2), grad, out)


@rule("sigmoid_backward")
def _sigmoid_backward(grad: Array, out: Array) -> Array:
    return each(lambda g, y: g * y * (1 - y), grad, out)


@rule("threshold_backward")
def _threshold_backward(grad: Array, a: Array, threshold: Any) -> Array:
    return each(lambda g, x: Select(sp.Gt(x, number(threshold)), g, sp.Integer(0)), grad, a)


@rule("nan_to_num")
def _nan_to_num(a: Array, *_: Any, **__: Any) -> Array:
    return a  # for real inputs nothing is NaN or infinite; what is so in the tails is probed


_EXACT = {torch.float64, torch.float32}


@rule("_to_copy")
def _to_copy(a: Array, dtype: Any = None, **_: Any) -> Array:
    if dtype is None:
        return a
    if dtype is torch.bool:
        return each(condition, a)
    values = each(number, a)
    if dtype in _EXACT or all(_is_small_integer(v) for v in values.flat):
        return values
    raise Unread(f"a cast to {str(dtype).removeprefix('torch.')}")


def _is_small_integer(v: Any) -> bool:
    """Whether every format holds the value exactly: an integer up to 256, or a condition counted as 0 or 1."""
    if v.is_Integer:
        return bool(abs(v) <= 256)
    return isinstance(v, Select) and all(_is_small_integer(x) for x in v.args[1:])


@rule("copy")
def _copy(a: Array, source: Array, *_: Any) -> Array:
    return each(lambda _, y: y, a, source)


@rule("fill")
def _fill(a: Array, value: Any) -> Array:
    return each(lambda _, y: number(y), a, value)


@rule("zero")
def _zero(a: Array) -> Array:
    return each(lambda _: sp.Integer(0), a)
