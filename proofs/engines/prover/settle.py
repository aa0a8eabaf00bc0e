"""Settles the switches of an expression whose sign follows from the assumptions of its symbols."""

from __future__ import annotations

import sympy as sp
from sympy import Expr

_SWITCHES = (sp.Min, sp.Max, sp.Heaviside, sp.Abs, sp.sign)


def settled(expr: Expr) -> Expr:
    """Return the expression with every switch decided that the assumptions decide.

    The rest are written with |x| and sign(x) of one x in lowest terms, positive factors taken out, so
    that two switches that change together are seen to.
    """
    if not expr.has(*_SWITCHES):
        return expr
    return expr.replace(lambda e: isinstance(e, _SWITCHES), _settle)


def _settle(node: Expr) -> Expr:
    if isinstance(node, sp.Min | sp.Max):
        best = node.args[0]
        for other in node.args[1:]:
            difference = _lowest_terms(best - other)
            distance = _magnitude(difference)
            best = (best + other + (distance if isinstance(node, sp.Max) else -distance)) / 2
        return sp.expand(best) if not best.has(sp.Abs) else best
    argument = _lowest_terms(node.args[0])
    if isinstance(node, sp.Abs):
        return _magnitude(argument)
    sign = _sign(argument)
    return sign if isinstance(node, sp.sign) else (1 + sign) / 2


def _lowest_terms(expr: Expr) -> Expr:
    return sp.factor(sp.together(sp.powsimp(sp.expand_log(expr, force=True))))


def _magnitude(argument: Expr) -> Expr:
    return sp.Mul(*(factor if factor.is_positive else sp.Abs(factor) for factor in sp.Mul.make_args(argument)))


def _sign(argument: Expr) -> Expr:
    """sign(x), the sign of a product factor by factor. Heaviside(0) is 1/2 (SymPy), so H = (1 + sign)/2."""
    return sp.Mul(*(sp.sign(factor) for factor in sp.Mul.make_args(argument)))
