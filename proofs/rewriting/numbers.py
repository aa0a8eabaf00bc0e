"""Numbers for expressions: in intervals where a difference has to be certain, to many digits elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp
from mpmath import MPContext, MPIntervalContext
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K, sg

Number = Any
"""A number of one of the two contexts; mpmath has no types."""
Values = Mapping[Symbol, Number]

DIGITS: Any = MPContext()
DIGITS.dps = 40
INTERVALS: Any = MPIntervalContext()
INTERVALS.prec = 120
"""A context of its own: the precision of `mpmath.iv` belongs to everybody."""


def exactly(context: Any, number: Any) -> Number:
    """Return a rational number in a context, in intervals the smallest one around it."""
    return context.mpf(int(number.numerator)) / int(number.denominator)


def evaluate(expr: Expr, values: Values, context: Any, detached: Values | None = None) -> Number:
    """Return the expression's number. `detached` are the values inside sg(), the same ones if None.

    The arbitrary estimator k is the cube. Raises CannotExpress for a function that is not here, and for
    a switch whose argument may have either sign.
    """
    held = values if detached is None else detached
    if expr.is_Symbol:
        return values[expr]
    if expr.is_Rational:
        return exactly(context, sp.Rational(expr))
    if expr is sp.E:
        return context.exp(context.mpf(1))
    if isinstance(expr, sg):
        return evaluate(expr.args[0], held, context)
    parts = [evaluate(part, values, context, detached) for part in expr.args]
    if expr.is_Add:
        return sum(parts, context.mpf(0))
    if expr.is_Mul:
        result = context.mpf(1)
        for part in parts:
            result = result * part
        return result
    if expr.is_Pow:
        whole = expr.exp.is_Integer
        return parts[0] ** int(expr.exp) if whole else context.exp(parts[1] * context.log(parts[0]))
    function = _FUNCTIONS.get(type(expr))
    if function is None:
        raise CannotExpress(f"no number for {type(expr).__name__}")
    return function(context, *parts)


def sign(number: Number) -> int:
    """Return -1 or 1 where it is certain, 0 for the number 0 itself. Raises CannotExpress otherwise."""
    low, high = (number.a, number.b) if hasattr(number, "a") else (number, number)
    if low > 0:
        return 1
    if high < 0:
        return -1
    if low == high == 0:
        return 0
    raise CannotExpress("a switch at its own edge")


def certainly_apart(one: Number, other: Number) -> bool:
    """Whether two intervals have no point in common."""
    return bool(one.b < other.a or other.b < one.a)


def _tanh(context: Any, x: Number) -> Number:
    double = context.exp(2 * x)
    return (double - 1) / (double + 1)


_FUNCTIONS: Mapping[type, Callable[..., Number]] = {
    sp.exp: lambda context, x: context.exp(x),
    sp.log: lambda context, x: context.log(x),
    sp.sinh: lambda context, x: (context.exp(x) - context.exp(-x)) / 2,
    sp.cosh: lambda context, x: (context.exp(x) + context.exp(-x)) / 2,
    sp.tanh: _tanh,
    sp.Abs: lambda _context, x: sign(x) * x,
    sp.sign: lambda context, x: context.mpf(sign(x)),
    sp.Heaviside: lambda context, x, at_zero: at_zero if sign(x) == 0 else context.mpf((1 + sign(x)) // 2),
    sp.Max: lambda _context, *xs: _extreme(xs, 1),
    sp.Min: lambda _context, *xs: _extreme(xs, -1),
    K: lambda _context, x: x**3,
    DK: lambda _context, x: 3 * x**2,
}


def _extreme(xs: tuple[Number, ...], which: int) -> Number:
    best = xs[0]
    for other in xs[1:]:
        best = other if sign(other - best) == which else best
    return best
