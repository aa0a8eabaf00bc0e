"""Means under N(0, 1), enclosed: rigorous integration to 24 standard deviations, a bound on the rest."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Rational, Symbol

from proofs.engines.balls.arithmetic import Ball, Unsure, ball, precision, rational, shown
from proofs.engines.base import CannotExpress
from proofs.ledger import Finding, Outcome
from proofs.statements import GaussianMean

_BITS = 80
_END = 24
_VALUES = (Rational(1, 3), Rational(7, 5))
_NARROW = "1e-12"


def decide_gaussian_mean(statement: GaussianMean) -> Finding:
    """Enclose the mean at two rational values of the constants; disjoint from the value refutes."""
    try:
        return _decided(statement)
    except Unsure as reason:
        return Finding(Outcome.INCONCLUSIVE, detail=str(reason))


def _decided(statement: GaussianMean) -> Finding:
    x = statement.variable
    constants = sorted({*statement.integrand.free_symbols, *statement.value.free_symbols} - {x}, key=str)
    widest = 0.0
    for n, number in enumerate(_VALUES):
        point = {s: number + Rational(i, 7) for i, s in enumerate(constants)}
        with precision(_BITS):
            mean = _mean(sp.expand(statement.integrand.subs(point)), x)
            value = ball(statement.value.subs(point))
            if not mean.overlaps(value):
                instance = {**{str(s): str(v) for s, v in point.items()}, "left": shown(mean), "right": shown(value)}
                return Finding(Outcome.REFUTED, "this instance", "the mean is not the value", instance)
            widest = max(widest, float(mean.rad()))
        if not constants and n == 0:
            break
    if not widest < float(_NARROW):
        return Finding(Outcome.INCONCLUSIVE, detail=f"an enclosure of radius {widest:.1e}")
    return Finding(Outcome.TESTED, f"{len(_VALUES)} rational values, enclosed within {widest:.1e}")


def _mean(integrand: Expr, x: Symbol) -> Ball:
    """E[sum of c x^a exp(b x)], each term's tails bounded."""
    from flint import acb, arb

    terms = _terms(integrand, x)

    def density(z: Ball, _analytic: bool) -> Ball:
        total = acb(0)
        for number, power, rate in terms:
            total += number * z**power * (rate * z - z * z / 2).exp()
        return total

    whole = acb.integral(density, acb(-_END), acb(_END)).real
    rest = arb(0)
    for number, power, rate in terms:
        # for |x| >= B >= 4 (a + |b|): |x|^a exp(b x) <= exp((a + |b|)|x|) <= exp(x^2/4)
        if not 4 * (power + abs(rate)) <= _END:
            raise CannotExpress("a tail that is too heavy to bound")
        rest += abs(number) * 2 * (arb(2) / _END) * arb(-(_END**2) / 4).exp()
    scale = (2 * arb.pi()).sqrt()
    return (whole + arb(0, rest.upper())) / scale


def _terms(integrand: Expr, x: Symbol) -> list[tuple[Ball, int, Ball]]:
    terms = []
    for term in sp.Add.make_args(integrand):
        number, power, rate = sp.Integer(1), 0, sp.Integer(0)
        for factor in sp.Mul.make_args(term):
            base, exponent = factor.as_base_exp()
            if isinstance(factor, sp.exp):
                slope = sp.expand(factor.args[0]).coeff(x, 1)
                rest = sp.expand(factor.args[0] - slope * x)
                if rest.has(x) or not slope.is_Rational:
                    raise CannotExpress(f"the mean of {term}")
                rate, number = rate + slope, number * sp.exp(rest)
            elif base == x and exponent.is_Integer and exponent > 0:
                power += int(exponent)
            elif factor.has(x):
                raise CannotExpress(f"the mean of {term}")
            else:
                number *= factor
        terms.append((ball(number), power, rational(Rational(rate))))
    return terms
