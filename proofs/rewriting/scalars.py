"""Facts of one real variable: algebra, derivatives, and the pieces an inequality falls into."""

from __future__ import annotations

import sympy as sp

from proofs.engines.prover.scalars import sign_table
from proofs.report.claims import NORMAL
from proofs.rewriting.trail import Trail, audited
from proofs.statements import DerivativeAt, GaussianMean, Identity, Inequality, Instance
from proofs.steps import Expectation, Step


def rewrite_identity(statement: Identity) -> Trail:
    """Simplify the difference of the sides."""
    audited(statement.left, statement.right, "algebra")
    difference = sp.expand_log(sp.expand(statement.left - statement.right), force=True)
    if difference != 0:
        difference = sp.simplify(sp.cancel(sp.expand(difference.rewrite(sp.exp))))
    return Trail((Step("algebra", statement.right, "", statement.left),), difference == 0, scope="every real value")


def rewrite_derivative(statement: DerivativeAt) -> Trail:
    """Differentiate, then put the point in."""
    slope = sp.diff(statement.expr, statement.variable)
    value = sp.simplify(slope.subs(statement.variable, statement.point))
    steps = (
        Step("derivative", slope, f"by {statement.variable}", sp.Derivative(statement.expr, statement.variable)),
        Step(
            "substitution",
            value,
            f"{statement.variable} = {statement.point}",
            sp.Subs(sp.Derivative(statement.expr, statement.variable), statement.variable, statement.point),
        ),
    )
    return Trail(steps, value == statement.value, scope=f"{statement.variable} = {statement.point}")


def rewrite_inequality(statement: Inequality) -> Trail:
    """Say where the expression is zero and what sign it has between: the prover decides that."""
    steps = [
        Step(
            "sign",
            sp.Gt(value, 0, evaluate=False),
            f"at {statement.variable} = {point}, so on the whole of {where}",
            statement.expr,
        )
        for where, point, value in sign_table(statement)
    ]
    return Trail(tuple(steps), True, proves=False)


def rewrite_instance(statement: Instance) -> Trail:
    """Evaluate."""
    value = statement.expr.evalf(12)
    return Trail((Step("evaluation", sp.Float(value, 8), "", statement.expr),), bool(value > 0), proves=False)


def rewrite_gaussian_mean(statement: GaussianMean) -> Trail:
    """E[x^n exp(a x)] = (d/da)^n exp(a^2/2), term by term."""
    drawn = sp.Tuple(statement.variable, NORMAL)
    expanded = audited(statement.integrand, sp.expand(statement.integrand), "linearity")
    before = Expectation(drawn, statement.integrand)
    note = "E[x^n exp(a x)] = d^n/da^n exp(a^2/2)"
    if expanded == statement.integrand:
        return Trail((Step("moment generating function", statement.value, note, before),), True, proves=False)
    steps = (
        Step("linearity", Expectation(drawn, expanded), "term by term", before),
        Step("moment generating function", statement.value, note),
    )
    return Trail(steps, True, proves=False)
