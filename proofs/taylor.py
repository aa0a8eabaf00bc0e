"""Taylor coefficients at 0 by power-series arithmetic, exact or to many digits.

The recurrences for exp, log and powers are those of Knuth, The Art of Computer Programming 2,
section 4.7: each follows from the differential equation that the function satisfies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from sympy import Expr, Symbol, exp, log

_HYPERBOLIC = (sp.tanh, sp.cosh, sp.sinh, sp.coth, sp.sech, sp.csch)


class NotAnalytic(ArithmeticError):
    """No power series at 0 is known for this expression."""


@dataclass(frozen=True)
class _Numbers:
    """The numbers that a series is computed with."""

    of: Callable[[Expr], Any]
    exp: Callable[[Any], Any]
    log: Callable[[Any], Any]
    power: Callable[[Any, Any], Any]


def exact_taylor(expr: Expr, symbol: Symbol, order: int) -> list[Expr]:
    """Return the coefficients of 1, x, ..., x^order as exact numbers."""
    numbers = _Numbers(lambda e: e, sp.exp, sp.log, lambda a, b: a**b)
    return [sp.expand(c) for c in _series(expr, symbol, order, numbers)]


def numeric_taylor(expr: Expr, symbol: Symbol, order: int, digits: int = 60) -> list[mpmath.mpf]:
    """Return the coefficients of 1, x, ..., x^order to about this many digits."""
    with mpmath.workdps(digits + 20):
        numbers = _Numbers(lambda e: to_mpf(e, digits + 20), mpmath.exp, mpmath.log, mpmath.power)
        return _series(expr, symbol, order, numbers)


def to_mpf(number: Expr, digits: int) -> mpmath.mpf:
    """Return a real number of SymPy as one of mpmath, correct to this many digits."""
    return mpmath.mpf(sp.Float(number.evalf(digits), digits)._mpf_)


def _series(expr: Expr, symbol: Symbol, order: int, numbers: _Numbers) -> list[Any]:
    zero = numbers.of(sp.Integer(0))

    def constant(value: Any) -> list[Any]:
        return [value] + [zero] * order

    def times(a: list[Any], b: list[Any]) -> list[Any]:
        return [sum((a[k] * b[n - k] for k in range(n + 1) if a[k] != 0), zero) for n in range(order + 1)]

    def exponential(f: list[Any]) -> list[Any]:
        g = [numbers.exp(f[0])]
        for n in range(1, order + 1):
            g.append(sum((k * f[k] * g[n - k] for k in range(1, n + 1)), zero) / n)
        return g

    def logarithm(f: list[Any]) -> list[Any]:
        if not f[0] > 0:
            raise NotAnalytic("the logarithm of what is not positive at 0")
        g = [numbers.log(f[0])]
        for n in range(1, order + 1):
            known = sum((k * g[k] * f[n - k] for k in range(1, n)), zero)
            g.append((n * f[n] - known) / (n * f[0]))
        return g

    def power(f: list[Any], rational: Expr) -> list[Any]:
        if rational.is_Integer and rational >= 0:
            g = constant(numbers.of(sp.Integer(1)))
            for _ in range(int(rational)):
                g = times(g, f)
            return g
        if f[0] == 0 or (not rational.is_Integer and not f[0] > 0):
            raise NotAnalytic("a power of what is not positive at 0")
        a = numbers.of(rational)
        g = [numbers.power(f[0], a)]
        for n in range(1, order + 1):
            known = sum(((k * a - (n - k)) * f[k] * g[n - k] for k in range(1, n + 1)), zero)
            g.append(known / (n * f[0]))
        return g

    def walk(e: Expr) -> list[Any]:
        if not e.has(symbol):
            if not e.is_number:
                raise NotAnalytic(f"{e} is no number")
            return constant(numbers.of(e))
        if e == symbol:
            return [zero, numbers.of(sp.Integer(1)), *[zero] * (order - 1)][: order + 1]
        if e.is_Add:
            return [sum(column, zero) for column in zip(*map(walk, e.args), strict=True)]
        if e.is_Mul:
            product = walk(e.args[0])
            for factor in e.args[1:]:
                product = times(product, walk(factor))
            return product
        if isinstance(e, exp):
            return exponential(walk(e.args[0]))
        if isinstance(e, log):
            return logarithm(walk(e.args[0]))
        if e.is_Pow and e.exp.is_Rational:
            return power(walk(e.base), e.exp)
        if isinstance(e, _HYPERBOLIC):
            return walk(e.rewrite(exp))
        raise NotAnalytic(f"no power series of {e}")

    return walk(expr)
