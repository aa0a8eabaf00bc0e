"""Decides whether an expression is zero for all real values of its symbols. Never by numbers alone.

True needs a normal form without terms (in every cell of a piecewise expression) or SymPy's
`simplify`; False needs a conclusive normal form, or a point at which a high-precision value is not
zero. What neither proves nor disproves raises `Undecided`.
"""

from __future__ import annotations

import random

import sympy as sp
from sympy import Add, Expr, Symbol

from proofs.normal_form import NormalForm, TooLarge, normal_form
from proofs.statements import DK, K

_PIECEWISE = (sp.Piecewise, sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside)
_DIGITS = 40
_POINTS = 6


class Undecided(ArithmeticError):
    """Neither proved nor disproved."""


def is_zero(expr: Expr) -> bool:
    """Whether `expr` is zero wherever its real symbols put it; `Undecided` when that stays open."""
    try:
        form = normal_form(expr)
        if not form.terms:
            return True
        if form.conclusive:
            return False
        if expr.has(*_PIECEWISE):
            return _is_zero_by_cells(expr)
        return _is_zero_smooth(form)
    except TooLarge as error:
        raise Undecided(str(error)) from error


def _is_zero_smooth(form: NormalForm) -> bool:
    expr = form.expr
    numerator = normal_form(sp.fraction(sp.together(expr))[0])
    if not numerator.terms:
        return True
    if numerator.conclusive or disproved(expr):
        return False
    if not _is_arbitrary(expr) and sp.simplify(expr) == 0:
        return True
    raise Undecided(f"neither proved nor disproved: {expr} = 0")


def _is_arbitrary(expr: Expr) -> bool:
    """Whether it is a sum of values of arbitrary functions: after the normal form nothing cancels there."""
    return all(isinstance(part.as_coeff_Mul()[1], K | DK) for part in Add.make_args(expr))


def _is_zero_by_cells(expr: Expr) -> bool:
    from proofs.cells import TooManyCells, cells

    try:
        parts = list(cells(expr))
    except TooManyCells as error:
        if disproved(expr):
            return False
        raise Undecided(str(error)) from error
    if all(_is_zero_in_cell(part.expr) for part in parts):
        return True
    if disproved(expr, [part.point for part in parts if part.point is not None]):
        return False
    raise Undecided(f"neither proved nor disproved: {expr} = 0")


def _is_zero_in_cell(expr: Expr) -> bool:
    form = normal_form(expr)
    return not form.terms or (not form.conclusive and _is_zero_smooth(form))


def disproved(expr: Expr, points: list[dict[Symbol, Expr]] | None = None) -> bool:
    """Whether some point, evaluated to many digits, shows that `expr` is not zero."""
    symbols = sorted(expr.free_symbols, key=lambda s: str(s.name))
    draw = random.Random(20251001)
    for point in [*(points or []), *(_point(symbols, draw) for _ in range(_POINTS))]:
        filled = {symbol: point.get(symbol, sp.Rational(1, 3)) for symbol in symbols}
        value = expr.subs(filled).evalf(_DIGITS, chop=False)
        if value.is_number and value.is_comparable and abs(value) > sp.Float("1e-25"):
            return True
    return False


def _point(symbols: list[Symbol], draw: random.Random) -> dict[Symbol, Expr]:
    point = {}
    for symbol in symbols:
        low = 1 if symbol.is_positive else -3000
        point[symbol] = sp.Rational(draw.randint(low, 3000), 997)
    return point
