"""Operators that act on each element: arithmetic, exponentials, clamps, and their backward formulas."""

from __future__ import annotations

from typing import Any

import sympy as sp

from oracle.reading.atoms import INFINITE, Array, Select, Unread, each, number
from oracle.reading.formats import fit
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


def logarithm(x: Any) -> Any:
    """log x; minus infinity at 0, as in floating point."""
    return -sp.oo if x.is_zero else sp.log(x)


def product(x: Any, y: Any) -> Any:
    """x y; 0 times what may be infinite is NaN, which ends the reading, as SymPy would make it 0."""
    if (x.is_zero and y.has(*INFINITE)) or (y.is_zero and x.has(*INFINITE)):
        return sp.nan
    return x * y


UNARY = {
    "neg": lambda x: -x, "exp": sp.exp, "expm1": lambda x: sp.exp(x) - 1, "exp2": lambda x: 2**x,
    "log": logarithm, "log1p": lambda x: logarithm(1 + x), "log2": lambda x: logarithm(x) / sp.log(2),
    "log10": lambda x: logarithm(x) / sp.log(10), "sqrt": sp.sqrt, "rsqrt": lambda x: 1 / sp.sqrt(x),
    "square": lambda x: x**2, "reciprocal": lambda x: 1 / x, "abs": absolute, "sgn": sign, "sign": sign,
    "tanh": sp.tanh, "sinh": sp.sinh, "cosh": sp.cosh, "sin": sp.sin, "cos": sp.cos, "atan": sp.atan, "erf": sp.erf,
    "asinh": sp.asinh, "sigmoid": sigmoid, "relu": lambda x: Select(sp.Gt(x, 0), x, sp.Integer(0)),
}  # fmt: skip
for _name, _function in UNARY.items():
    rule(_name)(unary(_function))

for _name, _function in {
    "minimum": smaller, "maximum": larger, "fmin": smaller, "fmax": larger, "atan2": sp.atan2,
    "logaddexp": lambda x, y: sp.log(sp.exp(x) + sp.exp(y)), "logaddexp2": lambda x, y: sp.log(2**x + 2**y) / sp.log(2),
    "mul": product, "pow": lambda x, y: x**y, "hypot": lambda x, y: sp.sqrt(x**2 + y**2),
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
    def one(x: Any, y: Any) -> Any:
        if x.is_zero:
            return x
        log = logarithm(y)
        return Select(sp.Eq(x, 0), sp.Integer(0), x * log) if log.has(*INFINITE) else x * log

    return each(lambda x, y: one(number(x), number(y)), a, b)


def _clamp_one(x: Any, low: Any, high: Any) -> Any:
    if low is not None and high is not None and not (low.is_number and high.is_number and low <= high):
        raised = Select(sp.Lt(x, low), low, x)
        return Select(sp.Gt(raised, high), high, raised)  # the upper bound holds where the two cross
    capped = x if high is None else Select(sp.Gt(x, high), high, x)
    return capped if low is None else Select(sp.Lt(x, low), low, capped)


@rule("clamp", "clip")
def _clamp(a: Array, min: Any = None, max: Any = None) -> Array:
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
def _nan_to_num(a: Array, nan: Any = None, posinf: Any = None, neginf: Any = None) -> Array:
    def one(x: Any) -> Any:
        if not x.has(*INFINITE):
            return x  # for real inputs nothing else is NaN or infinite; what is so in the tails is probed
        if isinstance(x, Select):
            return Select(x.args[0], one(x.args[1]), one(x.args[2]))
        if x is sp.nan:
            return number(0 if nan is None else nan)
        given = posinf if x is sp.oo else neginf if x == -sp.oo else None
        if given is None:
            raise Unread("an infinity replaced by nan_to_num")
        return number(given)

    return each(lambda x: one(number(x)), a)


@rule("_to_copy")
def _to_copy(a: Array, dtype: Any = None, **_: Any) -> Array:
    return a if dtype is None else fit(a, dtype)


@rule("copy")
def _copy(a: Array, source: Array, *_: Any) -> Array:
    return each(lambda _, y: y, a, source)


@rule("fill")
def _fill(a: Array, value: Any) -> Array:
    return each(lambda _, y: number(y), a, value)


@rule("zero")
def _zero(a: Array) -> Array:
    return each(lambda _: sp.Integer(0), a)
