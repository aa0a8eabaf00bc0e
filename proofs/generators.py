"""From a coefficient back to the generator of its f-divergence: f' = c(log u), f(1) = 0.

On-policy, E_pi[c s] = grad sum_y ref(y) f(pi/ref) with f'(u) = c(log u) up to a constant
(f-Trajectory Balance, arXiv 2605.15417, proves the same correspondence).
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import sympy as sp
from sympy import Add, Expr, Integer, Mul, Rational, S, exp, log, sign

from proofs.normal_form import TooLarge, cancelled, normal_form
from proofs.symbols import L, U


def coefficient_of_generator(generator: Expr) -> Expr:
    """Return c(L) = f'(exp(L)) - f'(1), the coefficient whose baseline makes it 0 at L = 0."""
    slope = sp.diff(generator, U).subs(U, exp(L))
    at_one = slope.subs(L, 0)
    return cancelled(normal_form(slope - at_one)).expr


def generator_of(c: Expr) -> Expr | None:
    """Return f with f'(u) = c(log u) and f(1) = 0, or None where no closed form was found."""
    if c.free_symbols - {L}:
        return None
    try:
        terms = cancelled(normal_form(c)).terms
    except TooLarge:
        return None
    if c.has(sp.Piecewise, sp.Min, sp.Max):
        return _by_pieces(c)
    smooth = Add(*(number * monomial for monomial, number in terms.items()))
    integral = _from_one(smooth)
    return _by_sympy(smooth) if integral is None else integral


def _from_one(c: Expr) -> Expr | None:
    """The integral from 1, where every term has one in closed form."""
    parts: list[Expr] = []
    for monomial, number in normal_form(c).terms.items():
        part = _integral(monomial)
        if part is None:
            return None
        parts.append(number * part)
    return Add(*parts)


def _by_pieces(c: Expr) -> Expr | None:
    """Integrate each piece and join them continuously; only pieces with exact ends."""
    from proofs.cells import TooManyCells, cells

    try:
        found = [(*cell.box.side(L), cell) for cell in cells(c)]
    except (TooManyCells, TooLarge):
        return None
    pieces: list[tuple[Expr, Expr, Expr]] = []
    for low, high, cell in sorted(found, key=lambda piece: (piece[0], piece[1])):
        part = _from_one(cell.expr)
        if part is None or cell.signs or low.has(sp.Float) or high.has(sp.Float):
            return None
        if low != high:
            pieces.append((low, high, part))
    offsets = [S.Zero]
    for (_, edge, left), (_, _, right) in pairwise(pieces):
        offsets.append(offsets[-1] + (left - right).subs(U, exp(edge)))
    home = next(i for i, (low, high, _) in enumerate(pieces) if low < 0 <= high)
    branches = [
        (normal_form(part + offset - offsets[home]).expr, sp.Lt(U, exp(high)) if high.is_finite else True)
        for (_, high, part), offset in zip(pieces, offsets, strict=True)
    ]
    return sp.Piecewise(*branches)


def _integral(monomial: Expr) -> Expr | None:
    """The integral of monomial(log u) from 1, or None."""
    smooth, side, order, rate = S.One, False, 0, S.Zero
    for factor in Mul.make_args(monomial):
        if factor == sign(L):
            side = True
        elif factor == L or (factor.is_Pow and factor.base == L and factor.exp.is_Integer):
            order += int(factor.as_base_exp()[1])
        elif isinstance(factor, exp) and (factor.args[0] / L).is_Rational:
            rate += factor.args[0] / L
        else:
            smooth *= factor
    if smooth is not S.One or order < 0:
        return _logistic(monomial)
    integral = _power_integral(order, rate)
    integral -= integral.subs(U, 1)
    if side:
        return sp.Abs(U - 1) if order == 0 and rate == 0 else sign(U - 1) * integral
    return integral


@cache
def _power_integral(order: int, rate: Rational) -> Expr:
    """An antiderivative of log(u)^order u^rate."""
    if rate == -1:
        return log(U) ** (order + 1) / Integer(order + 1)
    power = U ** (rate + 1) / (rate + 1)
    if order == 0:
        return power
    return sp.expand(log(U) ** order * power - order * _power_integral(order - 1, rate) / (rate + 1))


def _logistic(monomial: Expr) -> Expr | None:
    """The integral of log(1 + u) from 1."""
    if monomial == log(1 + exp(L)):
        return (1 + U) * log(1 + U) - U - 2 * log(2) + 1
    return None


def _by_sympy(c: Expr) -> Expr | None:
    from proofs.patience import TimeIsUp, at_most

    integrand = c.subs(L, log(U))
    try:
        with at_most(2.0):
            integral = sp.integrate(integrand, U)
            if integral.has(sp.Integral, sp.zoo, sp.nan, sp.I):
                return None
            at_one = sp.limit(integral, U, 1, "+")
            if not at_one.is_finite or sp.simplify(sp.diff(integral, U) - integrand) != 0:
                return None
            return integral - at_one
    except (TimeIsUp, NotImplementedError, ValueError, TypeError, RecursionError):
        return None
