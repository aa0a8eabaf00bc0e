"""A script for `expr > 0` on an interval: a product of positive factors, or a slope from a point where it is 0.

Factors and derivatives are hints from SymPy; Coq checks that they are equal, and that each has its sign.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy import Expr, Rational, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.coq.fidelity import faithful
from proofs.statements import Inequality

_SLOPES = 3


def positivity(statement: Inequality, name: str, names: Mapping[Symbol, str]) -> str:
    """Return the script of an inequality."""
    if len(statement.zeros) > 1:
        raise CannotExpress("an inequality with several zeros")
    low, high = statement.low, statement.high
    if not statement.zeros:
        return f"intros {name} {_given(low, high)}; {_positive(statement, low, high, name, names)}."
    zero = statement.zeros[0]
    above = _positive(statement, zero, high, name, names)
    below = _positive(statement, low, zero, name, names)
    return (
        "split; [ cbv beta; rewrite ?Ropp_0, ?exp_0, ?ln_1; lra | ]; "
        f"intros {name} {_given(low, high)} apart; apply Rdichotomy in apart as [under | over]; "
        f"[ {below} | {above} ]."
    )


def _given(low: Expr, high: Expr) -> str:
    return " ".join(name for name, end in (("lower", low), ("upper", high)) if end.is_finite)


def _positive(statement: Inequality, low: Expr, high: Expr, name: str, names: Mapping[Symbol, str]) -> str:
    x = statement.variable
    return _attempts(statement.expr, x, low, high, name, names, _SLOPES)


def _attempts(e: Expr, x: Symbol, low: Expr, high: Expr, name: str, names: Mapping[Symbol, str], slopes: int) -> str:
    """All ways, one after the other, nested as deep as derivatives are taken."""
    e = e.rewrite(sp.exp) if e.has(sp.sinh, sp.cosh) else e
    ways = [f"positive_as {faithful(_product(e, x, _inside(low, high)), names)}"]
    if slopes:
        slope = sp.diff(e, x)
        function = f"(fun {name} : R => {faithful(e, names)})"
        of_slope = f"(fun {name} : R => {faithful(slope, names)})"
        if low.is_finite and e.subs(x, low).is_zero:
            then = _attempts(slope, x, low, high, name, names, slopes - 1)
            ways.append(_step("rise", function, of_slope, faithful(low, {}), name, then))
        if high.is_finite and e.subs(x, high).is_zero:
            then = _attempts(-slope, x, low, high, name, names, slopes - 1)
            ways.append(_step("fall", function, of_slope, faithful(high, {}), name, then))
    return f"first [ {' | '.join(ways)} ]"


def _step(tactic: str, function: str, slope: str, anchor: str, name: str, then: str) -> str:
    return f"({tactic} {function} {slope} {anchor}; intros {name} lower upper; {then})"


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
