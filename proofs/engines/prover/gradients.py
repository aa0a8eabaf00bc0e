"""Gradients of surrogates and objectives, token by token, in the coordinates L and rho.

sum_i a_i grad p_i is zero for every policy exactly if a is the same on all tokens, because the
gradients of p sum to zero and are otherwise free. So two expected gradients agree exactly if the
difference of their slopes is constant (`proofs.calculus.equal_up_to_constant` has the argument that
three tokens are enough to tell).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import sympy as sp
from sympy import Expr

from proofs.decide import Undecided, is_zero
from proofs.engines.prover.settle import settled, with_winners
from proofs.ledger import Finding, Outcome
from proofs.normal_form import TooLarge, cancelled, normal_form
from proofs.statements import DK, ExpectedGradient, K, SampleGradient, Stationary, undetached
from proofs.symbols import REWARD, RHO, L, M, P, Q

ANY = "any vocabulary"
_VARYING = (P, Q, L, RHO, REWARD)
_POINTS: tuple[dict[Expr, Expr], ...] = (
    {P: sp.Rational(1, 5), L: sp.Integer(0), RHO: sp.Integer(1), Q: sp.Rational(1, 5), REWARD: sp.Integer(0)},
    {
        P: sp.Rational(1, 5),
        L: sp.Rational(1, 3),
        RHO: sp.Rational(5, 7),
        Q: sp.Rational(1, 7),
        REWARD: sp.Rational(2, 9),
    },
)
_IN_RATIOS: dict[Expr, Expr] = {
    sp.log(Q): sp.log(P) - L,
    sp.log(M): sp.log(P) - sp.log(RHO),
    Q: P * sp.exp(-L),
    M: P / RHO,
}


def in_ratios(expr: Expr) -> Expr:
    """Write an expression in p, q, m with L = log(p/q) and rho = p/m."""
    return expr.xreplace(_IN_RATIOS)


def prove_expected_gradient(statement: ExpectedGradient) -> Finding:
    """Decide whether the slopes of both sides differ by a constant."""
    difference = statement.left.slope() - statement.right.slope()
    return _for_every_estimator(difference, lambda d: _constant(settled(in_ratios(d))))


def prove_sample_gradient(statement: SampleGradient) -> Finding:
    """Decide whether the slopes of both sides are the same."""
    difference = _slope(statement.left) - _slope(statement.right)
    return _for_every_estimator(difference, lambda d: decide(settled(in_ratios(d)), ANY))


def _slope(side: Expr) -> Expr:
    """The derivative by p; of a minimum with a clear winner it is the winner's, and no step appears."""
    return undetached(sp.diff(with_winners(side), P))


def prove_stationary(statement: Stationary) -> Finding:
    """Decide whether the force at that policy is the same on all tokens."""
    force = statement.force.subs(sp.log(P), sp.expand_log(sp.log(statement.policy), force=True))
    return _constant(settled(force.subs(P, statement.policy)))


def _for_every_estimator(difference: Expr, check: Callable[[Expr], Finding]) -> Finding:
    """Decide with k arbitrary; what is left undecided fails for every k if it fails for the cube."""
    finding = check(difference)
    if finding.outcome is not Outcome.INCONCLUSIVE or not difference.has(K, DK):
        return finding
    cubed = check(difference.replace(K, lambda x: x**3).replace(DK, lambda x: 3 * x**2))
    if cubed.outcome is not Outcome.REFUTED:
        return finding
    return replace(cubed, scope="k(x) = x^3", counterexample={"k(x)": "x^3"})


def decide(difference: Expr, scope: str) -> Finding:
    """Decide whether an expression is zero for all values of its symbols."""
    try:
        if is_zero(difference):
            return Finding(Outcome.PROVED, scope)
    except Undecided as error:
        return Finding(Outcome.INCONCLUSIVE, detail=str(error))
    return Finding(Outcome.REFUTED, scope, f"the sides differ by {_short(difference)}")


def _constant(c: Expr) -> Finding:
    try:
        form = cancelled(normal_form(c))
    except TooLarge as error:
        return Finding(Outcome.INCONCLUSIVE, detail=str(error))
    moving = [m for m in form.terms if m.has(*_VARYING)]
    if not moving:
        return Finding(Outcome.PROVED, ANY)
    if form.conclusive:
        return Finding(Outcome.REFUTED, ANY, f"the coefficients differ by {_short(c)}, which is not constant")
    at_point = next(v for v in (c.subs(point) for point in _POINTS) if not v.has(sp.nan, sp.zoo, sp.oo, -sp.oo))
    return decide(c - at_point, ANY)


def _short(expr: Expr) -> str:
    try:
        return str(normal_form(expr).expr)
    except TooLarge:
        return str(expr)
