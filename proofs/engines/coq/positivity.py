"""A script for `expr > 0` on an interval: a product of positive factors, or a slope from a point where it is 0.

Factors and derivatives are hints from SymPy; Coq checks that they are equal, and that each has its sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Rational, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.coq.fidelity import faithful
from proofs.statements import Inequality

_SLOPES = 3


def positivity(statement: Inequality, name: str) -> str:
    """Return the script of an inequality."""
    if len(statement.zeros) > 1:
        raise CannotExpress("an inequality with several zeros")
    low, high = statement.low, statement.high
    if not statement.zeros:
        return f"intros {name} {_given(low, high)}; {_positive(statement, low, high, name)}."
    zero = statement.zeros[0]
    above = _positive(statement, zero, high, name)
    below = _positive(statement, low, zero, name)
    return (
        "split; [ cbv beta; rewrite ?Ropp_0, ?exp_0, ?ln_1; lra | ]; "
        f"intros {name} {_given(low, high)} apart; apply Rdichotomy in apart as [under | over]; "
        f"[ {below} | {above} ]."
    )


def _given(low: Expr, high: Expr) -> str:
    return " ".join(name for name, end in (("lower", low), ("upper", high)) if end.is_finite)


def _positive(statement: Inequality, low: Expr, high: Expr, name: str) -> str:
    return _ways(statement.expr, _Interval(statement.variable, low, high), name, _SLOPES)


@dataclass(frozen=True)
class _Interval:
    variable: Symbol
    low: Expr
    high: Expr


def _ways(e: Expr, interval: _Interval, name: str, slopes: int) -> str:
    """All ways, one after the other, nested as deep as derivatives are taken; `name` is what the variable is called."""
    x = interval.variable
    names = {x: name}
    e = e.rewrite(sp.exp) if e.has(sp.sinh, sp.cosh) else e
    ways = [f"positive_as {faithful(_product(e, x, _inside(interval.low, interval.high)), names)}"]
    for tactic, end, sign in (("rise", interval.low, 1), ("fall", interval.high, -1)):
        if slopes and end.is_finite and e.subs(x, end).is_zero:
            slope, bound = sp.diff(e, x), f"y{slopes}"
            function, of_slope = (f"(fun {bound} : R => {faithful(f, {x: bound})})" for f in (e, slope))
            then = _ways(sign * slope, interval, bound, slopes - 1)
            ways.append(f"({tactic} {function} {of_slope} {faithful(end, {})} {name}; intros {bound} ? ?; {then})")
    return f"first [ {' | '.join(ways)} ]"


def _inside(low: Expr, high: Expr) -> Expr:
    if low.is_finite and high.is_finite:
        return (low + high) / 2
    if low.is_finite:
        return low + Rational(1, 2)
    return high - Rational(1, 2) if high.is_finite else Rational(1, 2)


def _product(e: Expr, x: Symbol, inside: Expr) -> Expr:
    """The expression in factors, each with the sign that makes it positive inside."""
    number, factors = sp.Integer(1), []
    for factor in sp.Mul.make_args(sp.factor(sp.together(e))):
        base, power = (factor.base, factor.exp) if factor.is_Pow else (factor, sp.Integer(1))
        value = base.subs(x, inside)
        if factor.is_Rational:
            number *= factor
        elif power.is_Integer and value.is_real and value.is_negative:
            number *= (-1) ** power
            factors.append(sp.expand(-base) ** power)
        else:
            factors.append(factor)
    return number * sp.Mul(*factors)
