"""Minimum, maximum, absolute value and sign: taken apart where one case holds, and case by case.

A switch is decided where its two arguments differ by something of one sign, given the signs of the
symbols; where both signs occur, each is a case of its own, and the gradients have to agree in every one,
for an expected gradient up to one constant for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Integer

from proofs.engines.base import CannotExpress
from proofs.rewriting.derivatives import partial, slope, value_of
from proofs.rewriting.trail import Trail, audited
from proofs.statements import ExpectedGradient, Gradient, SampleGradient, Total
from proofs.steps import SCORE, Expectation, Nabla, Step
from proofs.symbols import THRESHOLD, M, P, Q

_SWITCHES = (sp.Min, sp.Max, sp.Abs, sp.sign)
_BEYOND = sp.Dummy("x", positive=True)
_CHAIN = "grad log p = s, grad p = p s; what is detached is a number"


def has_switches(*expressions: Expr) -> bool:
    """Whether a minimum, maximum, absolute value or sign occurs."""
    return any(expr.has(*_SWITCHES) for expr in expressions)


@dataclass(frozen=True)
class Case:
    """A region of probabilities: its words, and p written so that it lies inside."""

    words: str
    policy: Expr | None


_EVERYWHERE = Case("", None)


def _cases(expr: Expr) -> tuple[Case, Case]:
    """The two sides of the one edge that an expression in p, q, m has."""
    if expr.has(THRESHOLD):
        return _around(THRESHOLD * M, "rho > C", "rho < C")
    if expr.has(Q):
        return _around(Q, "p > q", "p < q")
    raise CannotExpress("an edge of another kind")


def _around(edge: Expr, above: str, below: str) -> tuple[Case, Case]:
    return Case(f"where {above}", edge * (1 + _BEYOND)), Case(f"where {below}", edge / (1 + _BEYOND))


def settled(expr: Expr, case: Case = _EVERYWHERE) -> Expr:
    """Return the expression with every switch decided. Raises CannotExpress where one is not."""

    if not expr.has(*_SWITCHES):
        return expr
    parts = tuple(settled(part, case) for part in expr.args)
    if isinstance(expr, sp.Min | sp.Max):
        best = parts[0]
        for other in dict.fromkeys(parts[1:]):
            if other != best:
                larger = _sign(other - best, case) > 0
                best = other if larger == isinstance(expr, sp.Max) else best
        return best
    if isinstance(expr, _SWITCHES):
        side = _sign(parts[0], case)
        return side * parts[0] if isinstance(expr, sp.Abs) else Integer(side)
    return expr.func(*parts)


def _sign(difference: Expr, case: Case) -> int:
    """The sign of an expression by the signs of its symbols. Raises CannotExpress for a tie as well."""
    value = value_of(difference)
    if case.policy is not None:
        value = sp.expand_log(value.subs(P, case.policy), force=True)
    value = sp.factor(sp.together(sp.expand(value)))
    if value.is_positive:
        return 1
    if value.is_negative:
        return -1
    raise CannotExpress(f"the sign of {value}")


def rewrite_sample_switches(statement: SampleGradient) -> Trail:
    """Decide every switch, then apply the chain rule."""
    steps: list[Step] = []
    coefficients = []
    for side in (statement.left, statement.right):
        plain = settled(side)
        before: Expr | None = Nabla(side)
        if plain != side:
            audited(value_of(side), value_of(plain), "switch")
            note = "each minimum and maximum decided by the signs of its symbols"
            steps.append(Step("switch", Nabla(plain), note, before))
            before = None
        c = value_of(partial(plain, P)) * P
        steps.append(Step("chain rule", c * SCORE, _CHAIN, before))
        coefficients.append(c)
    left, right = coefficients
    difference = left - right
    closed = difference == 0 or sp.simplify(difference) == 0
    if closed and left != right:
        steps.append(Step("algebra", right * SCORE, "the same coefficient", left * SCORE))
    return Trail(tuple(steps), closed)


def rewrite_expected_switches(statement: ExpectedGradient) -> Trail:
    """Write both sides as E_policy[c s]; then the difference of the coefficients, case by case."""
    steps: list[Step] = []
    coefficients = []
    for side in (statement.left, statement.right):
        exact = slope(side)
        c = audited(exact, sp.powsimp(sp.expand(exact)), "chain rule")
        steps += _written(side, c)
        coefficients.append(c)
    difference = coefficients[0] - coefficients[1]
    constants = []
    for case in _cases(difference):
        taken = settled(difference, case)
        expanded = sp.expand(taken)
        constant = not expanded.free_symbols & {P, Q, M, _BEYOND}
        value = audited(taken, expanded if constant else sp.simplify(taken), "case")
        steps.append(Step("case", value, f"{case.words}: the difference of the coefficients", difference))
        constants.append(value)
    closed = constants[0] == constants[1] and not constants[0].free_symbols & {P, Q, M}
    if closed and constants[0] != 0:
        note = "E_policy[c s] = 0 for a constant c: in both cases the same one"
        steps.append(Step("score identity", Integer(0), note, Expectation(P, constants[0] * SCORE)))
    return Trail(tuple(steps), closed)


def _written(side: Gradient, c: Expr) -> list[Step]:
    """One side as E_policy[c s]."""
    after = Expectation(P, c * SCORE)
    if side.weight == M:
        sampled = Expectation(M, sp.powsimp(sp.expand(c * P / M)) * SCORE)
        first = Step("chain rule", sampled, _CHAIN, Expectation(M, Nabla(side.of)))
        return [first, Step("change of measure", after, "E_sampler[X] = E_policy[X / rho]")]
    if side.weight == P:
        return [Step("chain rule", after, _CHAIN, Expectation(P, Nabla(side.of)))]
    before = Nabla(Total(side.of)) if side.weight == 1 else Total(side.weight * Nabla(side.of))
    return [Step("log-derivative", after, "grad p = p s, and a sum weighted by p is an expectation", before)]
