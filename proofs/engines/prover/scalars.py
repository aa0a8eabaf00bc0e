"""Identities, inequalities, derivatives and closed numbers of one real variable."""

from __future__ import annotations

from itertools import pairwise

import sympy as sp
from sympy import Dummy, Expr, Symbol

from proofs.cells import between
from proofs.decide import Undecided, is_zero
from proofs.engines.prover.gradients import decide
from proofs.ledger import Finding, Outcome
from proofs.normal_form import TooLarge
from proofs.roots import Undetermined, real_roots
from proofs.statements import DerivativeAt, Identity, Inequality, Instance

_REAL = "every real value"
_DIGITS = 40


def prove_identity(statement: Identity) -> Finding:
    """Decide whether both sides are the same function."""
    return decide(statement.left - statement.right, _REAL)


def prove_derivative(statement: DerivativeAt) -> Finding:
    """Differentiate, put the point in, and compare."""
    slope = sp.diff(statement.expr, statement.variable).subs(statement.variable, statement.point)
    return decide(slope - statement.value, f"{statement.variable} = {statement.point}")


def prove_instance(statement: Instance) -> Finding:
    """Evaluate the number to many digits and read its sign."""
    value = statement.expr.evalf(_DIGITS)
    if not (value.is_comparable and abs(value) > sp.Float("1e-25")):
        return Finding(Outcome.INCONCLUSIVE, detail=f"{value} is too near to zero")
    outcome = Outcome.PROVED if value > 0 else Outcome.REFUTED
    return Finding(outcome, "this instance", f"the number is {value.evalf(6)}", dict(statement.instance))


def prove_inequality(statement: Inequality) -> Finding:
    """Find every real root in the interval; they have to be the declared ones, and the rest positive."""
    expr, variable, low, high = _on_the_line(statement)
    scope = f"{statement.low} < {statement.variable} < {statement.high}"
    try:
        roots = _roots(expr, variable, low, high)
        declared = sorted(_moved(zero, statement) for zero in statement.zeros)
        for zero in declared:
            if not is_zero(expr.subs(variable, zero)):
                return Finding(Outcome.REFUTED, scope, f"not zero at {statement.variable} = {zero}")
        extra = [x for x in roots if not any(_same(x, zero) for zero in declared)]
    except (Undetermined, Undecided, TooLarge) as error:
        return Finding(Outcome.INCONCLUSIVE, detail=str(error))
    cuts = [low, *sorted({*roots, *declared}), high]
    for start, end in pairwise(cuts):
        value = expr.subs(variable, between(start, end)).evalf(_DIGITS)
        if value < 0:
            point = statement_point(between(start, end), statement)
            return Finding(
                Outcome.REFUTED,
                scope,
                f"negative at {statement.variable} = {point}",
                {str(statement.variable): str(point)},
            )
    if extra:
        return Finding(Outcome.REFUTED, scope, f"zero at {statement.variable} = {extra[0]}")
    return Finding(Outcome.PROVED, scope)


def sign_table(statement: Inequality) -> list[tuple[str, Expr, Expr]]:
    """Return the pieces between the roots: where, a point inside, and the value there to 6 digits.

    Empty where the roots are not known.
    """
    expr, variable, low, high = _on_the_line(statement)
    try:
        roots = _roots(expr, variable, low, high)
    except (Undetermined, TooLarge):
        return []
    rows = []
    for start, end in pairwise([low, *roots, high]):
        inside = between(start, end)
        where = f"({statement_point(start, statement)}, {statement_point(end, statement)})"
        rows.append((where, statement_point(inside, statement), expr.subs(variable, inside).evalf(6)))
    return rows


def _on_the_line(statement: Inequality) -> tuple[Expr, Symbol, Expr, Expr]:
    """A positive variable is written as exp(y), a real one stays: polynomials and exponentials of y remain."""
    if not statement.variable.is_positive:
        return statement.expr.rewrite(sp.exp), statement.variable, statement.low, statement.high
    y = Dummy("y", real=True)
    if statement.expr.has(sp.log) or not statement.expr.has(sp.exp, sp.sinh, sp.cosh, sp.tanh):
        moved = sp.expand_log(statement.expr.subs(statement.variable, sp.exp(y)), force=True)
        low = -sp.oo if statement.low == 0 else sp.log(statement.low)
        return moved, y, low, sp.log(statement.high)
    return (
        statement.expr.rewrite(sp.exp).subs(statement.variable, y),
        y,
        sp.Max(statement.low, 0),
        statement.high,
    )


def _moved(zero: Expr, statement: Inequality) -> Expr:
    _, variable, low, _ = _on_the_line(statement)
    exponential = variable != statement.variable and low != sp.Max(statement.low, 0)
    return sp.log(zero) if exponential else zero


def statement_point(point: Expr, statement: Inequality) -> Expr:
    """Return the statement's own variable at a point of the line."""
    _, variable, low, _ = _on_the_line(statement)
    return sp.exp(point) if variable != statement.variable and low != sp.Max(statement.low, 0) else point


def _roots(expr: Expr, variable: Symbol, low: Expr, high: Expr) -> list[Expr]:
    numerator, denominator = sp.fraction(sp.together(expr))
    if denominator.has(variable) and not denominator.is_positive and _inside(denominator, variable, low, high):
        raise Undetermined("a pole")
    return _inside(numerator, variable, low, high) if numerator.has(variable) else []


def _inside(expr: Expr, variable: Symbol, low: Expr, high: Expr) -> list[Expr]:
    return [x for x in real_roots(expr, variable) if low < x and x < high]


def _same(a: Expr, b: Expr) -> bool:
    return bool(abs(sp.N(a - b, 30)) < sp.Float("1e-20"))
