"""Identities by cancellation, derivatives as limits, Gaussian means by completing the square."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.explicit.rational import differs_at, points_of, vanishes
from proofs.ledger import Finding, Outcome
from proofs.statements import DerivativeAt, GaussianMean, Identity


def prove_identity(statement: Identity) -> Finding:
    """Cancel one side against the other."""
    return _decided(statement.left - statement.right, "every real value")


def _decided(difference: Expr, scope: str) -> Finding:
    if vanishes(difference):
        return Finding(Outcome.PROVED, scope)
    point = differs_at(difference, points_of(difference.free_symbols))
    if point is None:
        return Finding(Outcome.INCONCLUSIVE, detail="the sides do not cancel, and no point tells them apart")
    return Finding(Outcome.REFUTED, scope, "the sides differ", {str(s): str(v) for s, v in point.items()})


def prove_derivative(statement: DerivativeAt) -> Finding:
    """Take the limit of the difference quotient."""
    h = sp.Dummy("h", real=True)
    moved = statement.expr.subs(statement.variable, statement.point + h)
    quotient = (moved - statement.expr.subs(statement.variable, statement.point)) / h
    return _decided(sp.limit(quotient, h, 0) - statement.value, f"{statement.variable} = {statement.point}")


def prove_gaussian_mean(statement: GaussianMean) -> Finding:
    """E[f(x) exp(a x)] = exp(a^2/2) E[f(x + a)] by completing the square; E[x^n] = (n - 1)!! for even n."""
    x = statement.variable
    mean = sp.Integer(0)
    for term in sp.Add.make_args(sp.expand(statement.integrand)):
        exponent = sum((e.args[0] for e in sp.Mul.make_args(term) if isinstance(e, sp.exp)), sp.Integer(0))
        rest = sp.Mul(*(e for e in sp.Mul.make_args(term) if not isinstance(e, sp.exp)))
        rate = sp.expand(exponent).coeff(x, 1)
        if sp.expand(exponent - rate * x).has(x) or not rest.is_polynomial(x):
            raise CannotExpress(f"the mean of {term}")
        scale = sp.exp(sp.expand(exponent - rate * x + rate**2 / 2))
        mean += scale * _polynomial_mean(sp.expand(rest.subs(x, x + rate)), x)
    return _decided(mean - statement.value, "every real mean")


def _polynomial_mean(polynomial: Expr, x: Symbol) -> Expr:
    total = sp.Integer(0)
    for (power,), number in sp.Poly(polynomial, x).terms():
        if power % 2 == 0:
            total += number * sp.factorial2(power - 1)
    return total
