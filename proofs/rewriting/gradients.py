"""Two expected gradients, brought to E_policy[c s] with one coefficient c."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp
from sympy import Add, Expr

from proofs.rewriting.derivatives import partial, slope, value_of
from proofs.rewriting.numbers import certainly_varies
from proofs.rewriting.trail import Trail, audited, shortest, without_constants
from proofs.statements import ExpectedGradient, Gradient, SampleGradient, Stationary, Total
from proofs.steps import SCORE, Expectation, Nabla, Step
from proofs.symbols import REWARD, RHO, L, M, P, Q

_VARYING = (L, RHO, P, Q, M, REWARD)


@lru_cache(maxsize=1024)
def _in_ratios(expr: Expr) -> Expr:
    """With q = p exp(-L) and m = p / rho, logarithms opened."""
    opened = _logarithms_opened(expr).xreplace({sp.log(Q): sp.log(P) - L, sp.log(M): sp.log(P) - sp.log(RHO)})
    return _logarithms_opened(opened.xreplace({Q: P * sp.exp(-L), M: P / RHO}))


def _logarithms_opened(expr: Expr) -> Expr:
    return sp.expand_log(expr, force=True) if expr.has(sp.log) else expr


@lru_cache(maxsize=1024)
def _tidy(expr: Expr) -> Expr:
    """The shortest of a few of SymPy's own forms."""
    if not expr.has(Add):  # one term, with nothing to multiply out or to cancel
        return expr
    expanded = sp.expand(expr)
    cancelled = sp.cancel(expr) if not expr.has(sp.Piecewise) else expr
    return shortest(expr, expanded, sp.factor_terms(expanded), cancelled)


def _coefficient(side: Gradient) -> tuple[list[Step], Expr]:
    """The steps that write one side as E_policy[c s], and c without the terms the score identity drops."""
    exact = _in_ratios(slope(side))
    steps = []
    if side.weight in (P, M):
        sample = _tidy(_in_ratios(value_of(partial(side.of, P)) * P))
        drawn = side.weight
        note = "grad L = s, grad rho = rho s, grad log p = s; what is detached is a number"
        steps.append(Step("chain rule", Expectation(drawn, sample * SCORE), note, Expectation(drawn, Nabla(side.of))))
        c = sample
        if drawn == M:
            c = _tidy(sp.expand(sample / RHO))
            steps.append(Step("change of measure", Expectation(P, c * SCORE), "E_sampler[X] = E_policy[X / rho]"))
        audited(exact, c, "chain rule")
    else:
        c = audited(exact, _tidy(exact), "log-derivative")
        note = "grad p = p s, and a sum weighted by p is an expectation under the policy"
        before = Nabla(Total(side.of)) if side.weight == 1 else Total(side.weight * Nabla(side.of))
        steps.append(Step("log-derivative", Expectation(P, c * SCORE), note, before))
    kept = without_constants(c, _VARYING)
    if kept != sp.expand(c):
        tidy = _tidy(kept)
        constant = sp.expand(c - kept)
        note = f"E_policy[c s] = 0 for the constant c = {constant}"
        steps.append(Step("score identity", Expectation(P, tidy * SCORE) if tidy != 0 else sp.Integer(0), note))
        c = tidy
    return steps, c


def rewrite_expected_gradient(statement: ExpectedGradient) -> Trail:
    """Bring both sides to one coefficient."""
    left_steps, left = _coefficient(statement.left)
    right_steps, right = _coefficient(statement.right)
    difference = _settled(left - right)
    closed = not difference.has(*_VARYING)
    steps = [*left_steps, *right_steps]
    if closed and left != right:
        target = Expectation(P, right * SCORE) if right != 0 else sp.Integer(0)
        steps.append(Step("algebra", target, "the same coefficient", Expectation(P, left * SCORE)))
    return Trail(tuple(steps), closed)


def _settled(expr: Expr) -> Expr:
    """SymPy's own simplification, from the cheapest on, unless the expression certainly varies."""
    expr = sp.expand(expr)
    if not expr.has(*_VARYING) or certainly_varies(expr, _VARYING):
        return expr
    for attempt in (sp.cancel, sp.simplify):
        expr = attempt(expr)
        if not expr.has(*_VARYING):
            return expr
    return expr


def rewrite_sample_gradient(statement: SampleGradient) -> Trail:
    """Bring both gradients to one multiple of the score."""
    steps, coefficients = [], []
    for side in (statement.left, statement.right):
        exact = _in_ratios(value_of(partial(side, P)) * P)
        c = audited(exact, _tidy(exact), "chain rule")
        coefficients.append(c)
        note = "grad L = s, grad rho = rho s, grad log p = s; what is detached is a number"
        steps.append(Step("chain rule", c * SCORE, note, Nabla(side)))
    left, right = coefficients
    closed = _settled(left - right) == 0
    if closed and left != right:
        steps.append(Step("algebra", right * SCORE, "the same coefficient", left * SCORE))
    return Trail(tuple(steps), closed)


def rewrite_stationary(statement: Stationary) -> Trail:
    """Put the policy into the force."""
    force = statement.force.subs(sp.log(P), sp.expand_log(sp.log(statement.policy), force=True))
    value = sp.expand(sp.expand_log(force.subs(P, statement.policy), force=True))
    if value.has(Q, REWARD) and not certainly_varies(value, (Q, REWARD)):
        value = sp.simplify(value)
    closed = not value.has(Q, REWARD)
    step = Step("substitution", value, f"p = {statement.policy}: the same for every token", statement.force)
    return Trail((step,), closed)
