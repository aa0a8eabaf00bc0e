"""Counterexamples: where both sides of a statement certainly differ, in interval arithmetic.

For gradients the argument is that of the master lemma: sum_i a_i grad p_i vanishes for every policy
only if a is the same on all tokens, so two tokens on which the difference of the slopes is certainly
not the same refute. Nothing here is simplified: what is evaluated is the statement as it stands.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.ledger import Finding, Outcome
from proofs.rewriting.derivatives import partial, slope, value_of
from proofs.rewriting.numbers import INTERVALS, Number, certainly_apart, evaluate, exactly
from proofs.rewriting.trees import counterexample_of_answers
from proofs.statements import (
    DK,
    DerivativeAt,
    ExpectedGradient,
    Identity,
    Inequality,
    Instance,
    K,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Total,
    Value,
)
from proofs.symbols import REWARD, M, P, Q

_TRIES = 4
_SEED = 7
_WHO: Mapping[Symbol, str] = {P: "policy", Q: "reference", M: "sampler"}
_TOKENS = 3
_LINE = tuple(Fraction(n, 2) for n in (0, 2, -2, 1, -1, 4, -4, 10, -10, 20, -20))
"""Where an inequality is tried, far out too."""

World = dict[Symbol, tuple[Fraction, ...]]
"""The number of every symbol on every token; of a constant, one number."""


def counterexample(statement: Any) -> Finding | None:
    """Return a refutation, or None where a few drawn points do not tell the sides apart."""
    search = _SEARCHES.get(type(statement))
    try:
        return None if search is None else search(statement)
    except CannotExpress:
        return None


def _worlds(expressions: tuple[Expr, ...], masses: Mapping[Symbol, Expr] | None = None) -> Iterator[World]:
    """Three tokens with drawn probabilities and rewards, and drawn constants."""
    symbols = sorted(set().union(*(expr.free_symbols for expr in expressions)), key=str)
    given = masses or {}
    parts_of_mass = set().union(*(mass.free_symbols for mass in given.values()))
    draw = random.Random(_SEED)
    for _ in range(_TRIES):
        world: World = {}
        for symbol in symbols:
            if symbol not in (P, Q, M, REWARD):
                small = symbol.is_positive or symbol in parts_of_mass
                world[symbol] = (Fraction(draw.randint(1, 9), 10 if small else 4),)
        for symbol in (P, Q, M):
            weights = [draw.randint(1, 9) for _ in range(_TOKENS)]
            mass = _mass(given.get(symbol, sp.Integer(1)), world)
            world[symbol] = tuple(mass * Fraction(w, sum(weights)) for w in weights)
        world[REWARD] = tuple(Fraction(draw.randint(-9, 9), 5) for _ in range(_TOKENS))
        yield world


def _mass(mass: Expr, world: World) -> Fraction:
    number = sp.Rational(mass.subs({s: sp.Rational(row[0].numerator, row[0].denominator) for s, row in world.items()}))
    return Fraction(int(number.p), int(number.q))


def _token(world: World, i: int) -> dict[Symbol, Number]:
    return {s: exactly(INTERVALS, row[i] if len(row) > 1 else row[0]) for s, row in world.items()}


def _shown(world: World, *expressions: Expr) -> dict[str, str]:
    """What of the world occurs in the expressions, for a reader."""
    free = set().union(*(expr.free_symbols for expr in expressions))
    shown = {
        _WHO.get(s, str(s)): f"({', '.join(map(str, row))})" if len(row) > 1 else str(row[0])
        for s, row in world.items()
        if s in free
    }
    if any(expr.has(K, DK) for expr in expressions):
        shown["k(x)"] = "x^3"
    return shown


def _short(number: Number) -> str:
    return f"{float(number.mid):.6g}"


def _refuted(detail: str, at: Mapping[str, str], scope: str = "this instance") -> Finding:
    return Finding(Outcome.REFUTED, scope, detail, at)


def _expected_gradient(statement: ExpectedGradient) -> Finding | None:
    difference = slope(statement.left) - slope(statement.right)
    for world in _worlds((difference,)):
        slopes = [evaluate(difference, _token(world, i), INTERVALS) for i in range(_TOKENS)]
        if certainly_apart(slopes[0], slopes[1]):
            gap = _short(slopes[0] - slopes[1])
            said = f"moving mass from the second token to the first, the two gradients differ by {gap}"
            return _refuted(said, _shown(world, difference), f"V = {_TOKENS}")
    return None


def _sample_gradient(statement: SampleGradient) -> Finding | None:
    difference = value_of(P * partial(statement.left - statement.right, P))
    for world in _worlds((difference,)):
        found = evaluate(difference, _token(world, 0), INTERVALS)
        if certainly_apart(found, INTERVALS.mpf(0)):
            said = f"on the first token the coefficients of the score differ by {_short(found)}"
            return _refuted(said, _shown(world, difference), f"V = {_TOKENS}")
    return None


def _value(statement: Value) -> Finding | None:
    difference = statement.left - statement.right
    sums = {total: sp.Dummy() for total in difference.atoms(Total)}
    opened = difference.xreplace(sums)
    for world in _worlds((difference, *statement.masses.values()), statement.masses):
        tokens = [_token(world, i) for i in range(_TOKENS)]
        values = dict(tokens[0])
        for total, name in sums.items():
            parts = (evaluate(total.args[0], token, INTERVALS) for token in tokens)
            values[name] = sum(parts, INTERVALS.mpf(0))
        found = evaluate(opened, values, INTERVALS)
        if certainly_apart(found, INTERVALS.mpf(0)):
            return _refuted(f"the sides differ by {_short(found)}", _shown(world, difference), f"V = {_TOKENS}")
    return None


def _identity(statement: Identity) -> Finding | None:
    difference = statement.left - statement.right
    for world in _worlds((difference,)):
        found = evaluate(difference, _token(world, 0), INTERVALS)
        if certainly_apart(found, INTERVALS.mpf(0)):
            first = {s: row[:1] for s, row in world.items()}
            return _refuted(f"the sides differ by {_short(found)}", _shown(first, difference))
    return None


def _derivative(statement: DerivativeAt) -> Finding | None:
    there = sp.diff(statement.expr, statement.variable).subs(statement.variable, statement.point)
    found = evaluate(there - statement.value, {}, INTERVALS)
    if certainly_apart(found, INTERVALS.mpf(0)):
        at = {str(statement.variable): str(statement.point)}
        return _refuted(f"the derivative is {_short(evaluate(there, {}, INTERVALS))}", at)
    return None


def _instance(statement: Instance) -> Finding | None:
    found = evaluate(statement.expr, {}, INTERVALS)
    if found.b <= 0:
        return _refuted(f"the number is {_short(found)}", dict(statement.instance))
    return None


def _inequality(statement: Inequality) -> Finding | None:
    variable = statement.variable
    low, high = (evaluate(end, {}, INTERVALS) if end.is_finite else None for end in (statement.low, statement.high))
    for point in _LINE:
        inside = sp.Rational(point.numerator, point.denominator)
        number = exactly(INTERVALS, point)
        beyond = (low is not None and not number.a > low.b) or (high is not None and not number.b < high.a)
        if beyond or inside in statement.zeros:
            continue
        found = evaluate(statement.expr, {variable: number}, INTERVALS)
        if found.b <= 0:
            return _refuted(f"the expression is {_short(found)} there", {str(variable): str(inside)})
    return None


def _stationary(statement: Stationary) -> Finding | None:
    """Two tokens with different forces; a third one takes the rest of the mass."""
    force, policy = statement.force, statement.policy
    for world in _worlds((force, policy)):
        tokens = [_token(world, i) for i in range(2)]
        chances = [evaluate(policy, token, INTERVALS) for token in tokens]
        total = chances[0] + chances[1]
        if not (chances[0].a > 0 and chances[1].a > 0 and total.b < 1):
            continue
        forces = [
            evaluate(force, {**token, P: chance}, INTERVALS) for token, chance in zip(tokens, chances, strict=True)
        ]
        if certainly_apart(*forces):
            two = {s: row[:2] for s, row in world.items() if s != P}
            said = f"the forces on two tokens differ by {_short(forces[0] - forces[1])}; a third takes the rest"
            return _refuted(said, _shown(two, force, policy), f"V = {_TOKENS}")
    return None


_SEARCHES: Mapping[type, Callable[[Any], Finding | None]] = {
    ExpectedGradient: _expected_gradient,
    SampleGradient: _sample_gradient,
    Value: _value,
    Identity: _identity,
    DerivativeAt: _derivative,
    Instance: _instance,
    Inequality: _inequality,
    Stationary: _stationary,
    SequenceGradient: counterexample_of_answers,
    SequenceValue: counterexample_of_answers,
}
