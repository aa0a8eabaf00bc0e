"""Means under N(0, 1): E[x^n exp(a x)] is the n-th derivative of exp(a^2/2) by a."""

from __future__ import annotations

from functools import cache

import sympy as sp
from sympy import Dummy, Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.prover.gradients import decide
from proofs.ledger import Finding
from proofs.normal_form import normal_form
from proofs.statements import GaussianMean


def prove_gaussian_mean(statement: GaussianMean) -> Finding:
    """Compute the mean term by term from the moment generating function."""
    mean = sum(
        (
            number * _mean(monomial, statement.variable)
            for monomial, number in normal_form(statement.integrand).terms.items()
        ),
        sp.Integer(0),
    )
    return decide(mean - statement.value, "every real mean")


def _mean(monomial: Expr, x: Symbol) -> Expr:
    power, rate, rest = 0, sp.Integer(0), sp.Integer(1)
    for factor in sp.Mul.make_args(monomial):
        base, exponent = factor.as_base_exp()
        if base == x and exponent.is_Integer and exponent > 0:
            power += int(exponent)
        elif isinstance(factor, sp.exp):
            linear = sp.Poly(factor.args[0], x)
            if linear.degree() > 1:
                raise CannotExpress(f"the mean of {factor}")
            rate += linear.coeff_monomial(x)
            rest *= sp.exp(linear.coeff_monomial(1))
        elif factor.has(x):
            raise CannotExpress(f"the mean of {factor}")
        else:
            rest *= factor
    a, moment = _moment(power)
    return rest * moment.subs(a, rate)


@cache
def _moment(power: int) -> tuple[Symbol, Expr]:
    a = Dummy("a", real=True)
    return a, sp.diff(sp.exp(a**2 / 2), a, power)
