"""Where an expression in L has a value: refuses a zero divisor and the logarithm or root of a negative number.

A zero is looked for by the complete procedure of `proofs.roots`. What is outside its class is
evaluated at many points: a zero or a change of sign among them refuses, and their absence accepts,
as nothing that is derived later relies on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from itertools import pairwise

import sympy as sp
from sympy import Expr

from proofs.cells import between
from proofs.normal_form import TooLarge, normal_form
from proofs.patience import TimeIsUp, at_most
from proofs.roots import Undetermined, real_roots
from proofs.symbols import L

_SECONDS = 0.4
_POINTS = (-600.0, -100.0, *(n / 16 for n in range(-640, 641)), 100.0, 600.0)
_KINKS = (sp.Piecewise, sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside)


class Need(Enum):
    """What an operand has to be for every real L."""

    NOT_ZERO = "is zero"
    POSITIVE = "is not positive"
    NOT_NEGATIVE = "is negative"


def violated_at(operand: Expr, need: Need) -> float | None:
    """Return a value of L where the operand is not what it has to be, or None where none was found."""
    if not operand.free_symbols:
        return None if _holds(float(operand.evalf(30)), need) else 0.0
    if _known(operand, need):
        return None
    try:
        with at_most(_SECONDS, untimed=True):
            return _by_roots(operand, need)
    except (TimeIsUp, Undetermined, TooLarge, TypeError, ValueError):
        return _by_points(operand, need)


def _known(operand: Expr, need: Need) -> bool:
    if need is Need.POSITIVE:
        return bool(operand.is_positive)
    if need is Need.NOT_NEGATIVE:
        return bool(operand.is_nonnegative)
    return bool(operand.is_positive or operand.is_negative)


def _holds(value: float, need: Need) -> bool:
    if need is Need.NOT_ZERO:
        return value != 0
    return value > 0 if need is Need.POSITIVE else value >= 0


def _by_roots(operand: Expr, need: Need) -> float | None:
    if operand.has(*_KINKS):
        raise Undetermined("not smooth")
    form = normal_form(operand).expr
    numerator, denominator = sp.fraction(sp.together(form))
    roots = real_roots(numerator, L)
    if roots and need is not Need.NOT_NEGATIVE:
        return float(roots[0])
    if need is Need.NOT_ZERO:
        return None
    for low, high in pairwise([-sp.oo, *roots, sp.oo]):
        inside = between(low, high)
        if (numerator / denominator).subs(L, inside).evalf(30) < 0:
            return float(inside)
    return None


def _by_points(operand: Expr, need: Need) -> float | None:
    function = sp.lambdify(L, operand, "math")
    values = [(x, _real(function, x)) for x in _POINTS]
    known = [(x, y) for x, y in values if not math.isnan(y)]
    for x, y in known:
        if not _holds(y, need) and abs(x) < 40:  # far out a value of 0 may be a rounded one
            return x
    if need is Need.NOT_ZERO:
        return next((a for (a, y), (_, z) in pairwise(known) if y * z < 0), None)
    return None


def _real(function: Callable[[float], object], x: float) -> float:
    try:
        value = function(x)
    except (ArithmeticError, ValueError, TypeError):
        return math.nan
    return float(value) if isinstance(value, int | float) else math.nan
