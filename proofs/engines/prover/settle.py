"""Settles the switches of an expression whose sign follows from the assumptions of its symbols."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Expr

from proofs.statements import undetached

_SWITCHES = (sp.Min, sp.Max, sp.Heaviside, sp.Abs, sp.sign)


def settled(expr: Expr) -> Expr:
    """Return the expression with every switch decided that the assumptions decide.

    The rest are written with |x| and sign(x) of one x in lowest terms, positive factors taken out, so
    that two switches that change together are seen to.
    """
    if not expr.has(*_SWITCHES):
        return expr
    return expr.replace(lambda e: isinstance(e, _SWITCHES), _settle)


def with_winners(expr: Expr) -> Expr:
    """Return the expression with each minimum and maximum that one argument wins replaced by that argument.

    It wins strictly, at the values of what is detached, so it does in a neighbourhood too.
    """
    if not expr.has(sp.Min, sp.Max):
        return expr
    parts = [with_winners(part) for part in expr.args]
    if not isinstance(expr, sp.Min | sp.Max):
        return expr.func(*parts)
    best = parts[0]
    for other in parts[1:]:
        difference = _lowest_terms(undetached(best - other))
        if not (difference.is_positive or difference.is_negative):
            return expr.func(*parts)
        best = best if bool(difference.is_positive) is isinstance(expr, sp.Max) else other
    return best


def _settle(node: Expr) -> Expr:
    if isinstance(node, sp.Min | sp.Max):
        best = node.args[0]
        for other in node.args[1:]:
            difference = _lowest_terms(best - other)
            if difference.is_nonnegative or difference.is_nonpositive:
                best = best if bool(difference.is_nonnegative) is isinstance(node, sp.Max) else other
                continue
            distance = _magnitude(difference)
            best = (best + other + (distance if isinstance(node, sp.Max) else -distance)) / 2
        return sp.expand(best) if not best.has(sp.Abs) else best
    argument = _lowest_terms(node.args[0])
    if isinstance(node, sp.Abs):
        return _magnitude(argument)
    sign = _sign(argument)
    return sign if isinstance(node, sp.sign) else (1 + sign) / 2


@lru_cache(maxsize=1024)
def _lowest_terms(expr: Expr) -> Expr:
    if expr.is_rational_function():
        return sp.factor(expr)
    return sp.factor(sp.powsimp(sp.expand_log(expr, force=True)))


def _magnitude(argument: Expr) -> Expr:
    return sp.Mul(*(factor if factor.is_positive else sp.Abs(factor) for factor in sp.Mul.make_args(argument)))


def _sign(argument: Expr) -> Expr:
    """sign(x), the sign of a product factor by factor. Heaviside(0) is 1/2 (SymPy), so H = (1 + sign)/2."""
    return sp.Mul(*(sp.sign(factor) for factor in sp.Mul.make_args(argument)))
