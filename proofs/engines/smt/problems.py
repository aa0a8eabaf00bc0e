"""From statements to goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp
from sympy import Expr, Integer, Symbol

from proofs.engines.abstraction import Abstraction
from proofs.engines.base import CannotExpress
from proofs.engines.slopes import derivative
from proofs.engines.smt.goals import TOKEN, Goal, Problem, goal, renaming, unknowns_of
from proofs.engines.smt.sequences import sequence_problem, sequence_value_problem
from proofs.engines.smt.values import value_problem
from proofs.statements import (
    DerivativeAt,
    ExpectedGradient,
    Gradient,
    Identity,
    Inequality,
    Instance,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Value,
    undetached,
)
from proofs.symbols import M, P, Q

_ANY = "any vocabulary"
_DEGREE = 3


def expected_gradient(statement: ExpectedGradient) -> Problem:
    """The slopes' difference is the same on two tokens, for the gradients of p sum to zero and are else free."""
    difference = _slope(statement.left) - _slope(statement.right)
    single = _two_tokens(difference, [1 - P, 1 - Q, 1 - M], "the slopes of left and right differ by one constant")
    return Problem((single,), _ANY, "on any two tokens the slopes of left and right differ by the same number")


def _slope(gradient: Gradient) -> Expr:
    return undetached(gradient.weight * derivative(gradient.of, P))


def sample_gradient(statement: SampleGradient) -> Problem:
    """The slopes are equal on one token."""
    left, right = (undetached(derivative(side, P)) for side in (statement.left, statement.right))
    abstraction = Abstraction()
    a, b = abstraction.read(left, right)
    unknowns = list(abstraction.unknowns.values())
    return Problem(
        (goal(a, b, unknowns, left - right, [1 - P, 1 - Q, 1 - M]),), _ANY, "the slopes are equal on every token"
    )


def stationary(statement: Stationary) -> Problem:
    """The force at that policy is equal on two tokens."""
    force = statement.force.subs(P, statement.policy)
    return Problem(
        (_two_tokens(force, [statement.policy], "the forces are equal"),),
        _ANY,
        "the force has one value on any two tokens",
    )


def _two_tokens(expr: Expr, domain: list[Expr], _what: str) -> Goal:
    """Equality of an expression on two tokens; what bounds a probability by 1 bounds the two together."""
    abstraction = Abstraction()
    (read,) = abstraction.read(expr)
    first, second = (renaming(abstraction, suffix) for suffix in ("_1", "_2"))
    plain = [dict(zip(TOKEN, (first[s] if n == 0 else second[s] for s in TOKEN), strict=True)) for n in (0, 1)]
    constants = [u for u in unknowns_of(abstraction, {}) if u.symbol not in first]
    unknowns = [
        *constants,
        *(u for u in unknowns_of(abstraction, first) if u.symbol in first.values()),
        *(u for u in unknowns_of(abstraction, second) if u.symbol in second.values()),
    ]
    bounds = []
    for e in domain:
        if e in (1 - P, 1 - Q, 1 - M):
            bounds.append(e.xreplace(plain[0]) + e.xreplace(plain[1]) - 1)
        else:
            bounds += [e.xreplace(copy) for copy in plain]
    return goal(
        read.xreplace(first),
        read.xreplace(second),
        unknowns,
        expr.xreplace(plain[0]) - expr.xreplace(plain[1]),
        bounds,
    )


def identity(statement: Identity) -> Problem:
    """Both sides are the same."""
    abstraction = Abstraction()
    left, right = abstraction.read(statement.left, statement.right)
    unknowns = list(abstraction.unknowns.values())
    single = goal(left, right, unknowns, undetached(statement.left - statement.right))
    return Problem((single,), "every real value", "the sides are equal for all values of the symbols")


def derivative_at(statement: DerivativeAt) -> Problem:
    """The derivative, with the point put in, is the value."""
    slope = sp.diff(statement.expr, statement.variable).subs(statement.variable, statement.point)
    problem = identity(Identity(slope, statement.value))
    return Problem(problem.goals, f"{statement.variable} = {statement.point}", "the derivative has that value there")


def inequality(statement: Inequality) -> Problem:
    """The expression is positive in the interval but for the declared zeros, where it is zero."""
    x = statement.variable
    if statement.low.is_nonnegative and not x.is_positive:
        x = Symbol(x.name, positive=True)
    expr = statement.expr.subs(statement.variable, x)
    premises = [x - statement.low] if statement.low.is_finite and statement.low != 0 else []
    premises += [statement.high - x] if statement.high.is_finite else []
    away = [sp.Abs(x - zero) for zero in statement.zeros]
    abstraction = Abstraction()
    read, *given = abstraction.read(expr, *premises, *away)
    unknowns = list(abstraction.unknowns.values())
    zeros = [expr.subs(x, zero) for zero in statement.zeros]
    goals = [
        goal(read, Integer(0), unknowns, expr, (), given, (*premises, *away), relation=">", axioms=_DEGREE),
        *(part for value in zeros for part in identity(Identity(value, Integer(0))).goals),
    ]
    return Problem(
        tuple(goals),
        f"{statement.low} < {x} < {statement.high}",
        "the expression is positive there, and zero at the declared zeros alone",
    )


def instance(statement: Instance) -> Problem:
    """The number is positive, from rational bounds on its logarithms and exponentials."""
    abstraction = Abstraction()
    (read,) = abstraction.read(statement.expr)
    unknowns = list(abstraction.unknowns.values())
    single = goal(read, Integer(0), unknowns, statement.expr, relation=">", axioms=_DEGREE)
    return Problem((single,), "this instance", "the number is positive")


BUILDERS: Mapping[type, Callable[[Any], Problem]] = {
    ExpectedGradient: expected_gradient,
    SampleGradient: sample_gradient,
    Stationary: stationary,
    Value: value_problem,
    Identity: identity,
    DerivativeAt: derivative_at,
    Inequality: inequality,
    Instance: instance,
    SequenceGradient: sequence_problem,
    SequenceValue: sequence_value_problem,
}
"""The goals of each kind of statement."""

_built: dict[int, tuple[object, Problem | CannotExpress]] = {}
_MOST = 512


def problem_of(statement: object) -> Problem:
    """Return the goals of a statement, built once for both solvers; raises CannotExpress."""
    known = _built.get(id(statement))
    if known is None or known[0] is not statement:
        if len(_built) >= _MOST:
            _built.clear()
        try:
            known = statement, BUILDERS[type(statement)](statement)
        except CannotExpress as reason:
            known = statement, reason
        _built[id(statement)] = known
    if isinstance(known[1], CannotExpress):
        raise CannotExpress(str(known[1]))
    return known[1]


def file_text(name: str, problem: Problem) -> str:
    """Return the text of a theorem's file: all its scripts, one after the other."""
    header = [f"; {name}", f"; unsat means: {problem.meaning} ({problem.scope})", ""]
    return "\n".join(header) + "(reset)\n".join(g.script for g in problem.goals)


__all__ = ["BUILDERS", "Symbol", "file_text", "problem_of"]
