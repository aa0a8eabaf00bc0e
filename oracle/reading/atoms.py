"""The few symbols and functions a reading adds to SymPy."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanAtom, BooleanFunction

Array = np.ndarray[Any, np.dtype[Any]]
"""An array of SymPy expressions (or Booleans), in the shape of the tensor it mirrors."""


LOGICAL = (BooleanAtom, BooleanFunction, Relational)
"""What counts as a condition (a SymPy Symbol is a Boolean too, so ``Boolean`` would not tell)."""


INFINITE = (sp.oo, -sp.oo, sp.zoo, sp.nan)
"""The atoms that are no real number."""


class Select(sp.Function):
    """``Select(condition, a, b)``: a where the condition holds, b elsewhere.

    Clamps, minima and masks stay in this form while reading (SymPy's Piecewise and Max compare their arguments on
    construction, which is slow); ``regimes`` resolves them afterwards.
    """

    nargs = 3

    @classmethod
    def eval(cls, condition: Any, a: Any, b: Any) -> Any:
        if condition is sp.true:
            return a
        if condition is sp.false:
            return b
        return a if a == b else None

    def _eval_is_extended_real(self) -> bool | None:
        return True

    def _eval_is_finite(self) -> bool | None:
        return None if self.has(*INFINITE) else True


class Unread(Exception):
    """The reading cannot go on; the message is the first cause."""


def unknown(cause: str) -> sp.Symbol:
    """A fresh value about which nothing is known; its name keeps the cause."""
    return sp.Dummy(f"unknown: {cause}", real=True)


def causes(expression: Any) -> list[str]:
    """The causes of the unknown values in an expression, oldest first."""
    found = [s for s in expression.free_symbols if isinstance(s, sp.Dummy) and s.name.startswith("unknown: ")]
    return [s.name[len("unknown: ") :] for s in sorted(found, key=lambda s: s.dummy_index)]


@lru_cache(maxsize=4096)
def exact(x: float, ulp: float = 0.0) -> sp.Expr:
    """The number a program means by a float: a small fraction where it rounds to ``x``, else its decimal digits.

    ``ulp`` is half the spacing of the format it is stored in at 1; 0 asks for the float64 itself.
    """
    x = float(x)
    if x != x:
        return sp.nan
    if x in (float("inf"), float("-inf")):
        return sp.oo if x > 0 else -sp.oo
    if x == int(x):
        return sp.Integer(int(x))
    if ulp:
        return _shortest(x, math.ldexp(ulp, math.frexp(x)[1] - 1) * (1 - 1e-9))
    near = Fraction(x).limit_denominator(10**6)
    if float(near) == x:
        return sp.Rational(near.numerator, near.denominator)
    return sp.Rational(repr(x))


def _shortest(x: float, room: float) -> sp.Expr:
    """The shortest decimal within ``room`` of x (.1, 1e-8), or a simpler fraction there (1/3)."""
    digits = next(d for d in range(17) if abs(float(f"{x:.{d}e}") - x) <= room)
    decimal = Fraction(f"{x:.{digits}e}")
    most = 1
    while most <= min(10**6, decimal.denominator):
        near = Fraction(x).limit_denominator(most)
        if near and abs(float(near) - x) <= room:
            return sp.Rational(near.numerator, near.denominator)
        most *= 2
    return sp.Rational(decimal.numerator, decimal.denominator)


def constant(value: Any, ulp: float = 0.0) -> Any:
    """A Python or NumPy number as SymPy sees it; booleans stay Boolean."""
    if isinstance(value, bool):
        return sp.true if value else sp.false
    if isinstance(value, int):
        return sp.Integer(value)
    if isinstance(value, float):
        return exact(value, ulp)
    return value


def number(x: Any) -> Any:
    """An element as a number: a condition counts 1 where it holds."""
    if isinstance(x, bool):
        return sp.Integer(int(x))
    if isinstance(x, LOGICAL):
        return (
            sp.Integer(1)
            if x is sp.true
            else sp.Integer(0)
            if x is sp.false
            else Select(x, sp.Integer(1), sp.Integer(0))
        )
    return constant(x)


def is_logical(x: Any) -> bool:
    """Whether an element is a condition rather than a number."""
    return isinstance(x, (bool, *LOGICAL))


def condition(x: Any) -> Any:
    """An element as a condition: a number holds where it is not zero."""
    x = constant(x)
    return x if isinstance(x, LOGICAL) else sp.Ne(x, 0)


def each(function: Any, *arrays: Any) -> Array:
    """Apply a function to the elements of arrays that broadcast together."""
    shaped = np.broadcast_arrays(*[np.asarray(a, dtype=object) for a in arrays])
    out = np.empty(shaped[0].shape, dtype=object)
    flat = [a.ravel() for a in shaped]
    out_flat = out.reshape(-1)
    for i in range(out_flat.size):
        out_flat[i] = function(*[f[i] for f in flat])
    return out


def numbers(a: Any) -> Array:
    """All elements as numbers."""
    return each(number, a)
