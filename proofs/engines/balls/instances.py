"""Rational instances at which both sides of a statement are enclosed: disjoint balls refute it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, Rational, Symbol

from proofs.engines.balls.arithmetic import (
    SAMPLE_FUNCTIONS,
    Ball,
    Point,
    Unsure,
    missing,
    precision,
    rational,
    shown,
    sign,
    with_function,
)
from proofs.engines.balls.gaussian import decide_gaussian_mean
from proofs.engines.balls.inequalities import decide_inequality, decide_instance
from proofs.engines.balls.trees import sequence_sides
from proofs.engines.base import CannotExpress
from proofs.engines.slopes import derivative
from proofs.ledger import Finding
from proofs.statements import (
    DK,
    DerivativeAt,
    ExpectedGradient,
    GaussianMean,
    Identity,
    Inequality,
    Instance,
    K,
    SampleGradient,
    SequenceGradient,
    SequenceValue,
    Stationary,
    Value,
    undetached,
)
from proofs.symbols import REWARD, M, P, Q

DRAWS = 2
_SIZE = 3
_BITS = 200
_SEED = 20251001
_TRIES = 40
Row = Sequence[Rational]
ONE = sp.Integer(1)


Side = Sequence[tuple[Expr, Expr, Point]]
"""A sum: numbers, each times an expression at a point."""


@dataclass(frozen=True)
class Pair:
    """Both sides at one instance, and the instance for a reader."""

    left: Side
    right: Side
    instance: Mapping[str, str]


def counterexample(statement: Any) -> Mapping[str, str] | None:
    """Return an exact rational instance that refutes the statement, with both values to six digits.

    None if none was found, or if python-flint is not installed. Balls decide: the values certainly
    differ (for a claim of positivity: the value is certainly negative).
    """
    if missing():
        return None
    try:
        decide = _DECIDED.get(type(statement))
        if decide is not None:
            return decide(statement).counterexample or None
        for pair in pairs_of(statement):
            found = difference(pair)
            if found is not None:
                return found
    except CannotExpress:
        return None
    return None


def difference(pair: Pair) -> Mapping[str, str] | None:
    """Return the instance with both values, if they certainly differ."""
    with precision(_BITS):
        try:
            left, right = _enclosed(pair.left), _enclosed(pair.right)
        except Unsure:
            return None
        if left.overlaps(right):
            return None
        return {**pair.instance, "left": shown(left), "right": shown(right)}


def _enclosed(side: Side) -> Ball:
    return sum((rational(number) * point.ball(e) for number, e, point in side), rational(sp.Integer(0)))


def pairs_of(statement: Any) -> Iterator[Pair]:
    """Yield both sides of an equality at drawn instances; raises CannotExpress for other statements."""
    makers: dict[type, Any] = {
        ExpectedGradient: _expected,
        SampleGradient: _sample,
        Value: _value,
        Identity: _identity,
        DerivativeAt: _derivative,
        Stationary: _stationary,
        SequenceGradient: _sequence,
        SequenceValue: _sequence,
    }
    maker = makers.get(type(statement))
    if maker is None:
        raise CannotExpress(f"an instance of {type(statement).__name__}")
    draw = random.Random(_SEED)
    for _ in range(DRAWS):
        yield from maker(statement, draw)


def _functions(*exprs: Expr) -> Iterator[tuple[tuple[Expr, ...], dict[str, str]]]:
    """The expressions with concrete estimators in the place of the arbitrary one."""
    if not any(e.has(K, DK) for e in exprs):
        yield exprs, {}
        return
    for name, function in SAMPLE_FUNCTIONS:
        yield tuple(with_function(e, function) for e in exprs), {"k(x)": name}


def _row(draw: random.Random, mass: Expr = ONE) -> list[Rational]:
    weights = [draw.randint(1, 97) for _ in range(_SIZE)]
    return [mass * Rational(w, sum(weights)) for w in weights]


def _text(row: Iterable[Expr]) -> str:
    return "(" + ", ".join(str(x) for x in row) + ")"


def constants(draw: random.Random, symbols: Iterable[Symbol]) -> dict[Symbol, Expr]:
    """Draw a rational for each symbol that respects its sign."""
    return {s: _drawn(draw, s) for s in sorted(set(symbols), key=str)}


def _drawn(draw: random.Random, s: Symbol) -> Expr:
    low = -97 if s.is_negative or not (s.is_positive or s.is_nonnegative) else 1
    high = -1 if s.is_negative else 97
    return Rational(draw.randint(low, high) or 1, 53)


def _expected(statement: ExpectedGradient, draw: random.Random) -> Iterator[Pair]:
    """The gradient by a logit: p_k (a_k - sum_i p_i a_i), a the slopes."""
    rows = {P: _row(draw), Q: _row(draw), M: _row(draw), REWARD: [Rational(draw.randint(-9, 9), 7) for _ in range(3)]}
    slopes = tuple(undetached(g.weight * _slope(g.of)) for g in (statement.left, statement.right))
    free = {s for e in slopes for s in e.free_symbols} - set(rows)
    fixed = constants(draw, free)
    tokens = [Point({**fixed, **{s: row[i] for s, row in rows.items()}}) for i in range(_SIZE)]
    p = rows[P]
    for sides, chosen in _functions(*slopes):
        for k in range(_SIZE):
            shares = [p[k] * (int(i == k) - p[i]) for i in range(_SIZE)]
            left, right = ([(shares[i], side, tokens[i]) for i in range(_SIZE)] for side in sides)
            yield Pair(left, right, {**_named(rows, slopes), **_of(fixed), **chosen, "component": str(k + 1)})


@lru_cache(maxsize=256)
def _slope(e: Expr) -> Expr:
    """By the policy's probability."""
    return derivative(e, P)


def _named(rows: Mapping[Symbol, Row], exprs: Iterable[Expr]) -> dict[str, str]:
    names = {P: "policy", Q: "reference", M: "sampler", REWARD: "reward"}
    used = {P, *(s for e in exprs for s in e.free_symbols)}
    return {names[s]: _text(row) for s, row in rows.items() if s in used}


def _of(fixed: Mapping[Symbol, Expr]) -> dict[str, str]:
    return {str(s): str(v) for s, v in fixed.items()}


def _sample(statement: SampleGradient, draw: random.Random) -> Iterator[Pair]:
    slopes = (_slope(statement.left), _slope(statement.right))
    point = constants(draw, {s for e in slopes for s in e.free_symbols} - {P, Q, M})
    point |= {s: _row(draw)[0] for s in (P, Q, M)}
    for sides, chosen in _functions(*slopes):
        at = Point(point)
        shown_point = _of(
            {s: v for s, v in point.items() if s in (P, *slopes[0].free_symbols, *slopes[1].free_symbols)}
        )
        left, right = ([(point[P], e, at)] for e in sides)  # the coefficient of the score
        yield Pair(left, right, {**shown_point, **chosen})


def _value(statement: Value, draw: random.Random) -> Iterator[Pair]:
    sides = (statement.left, statement.right)
    free = {s for e in (*sides, *statement.masses.values()) for s in e.free_symbols} - {P, Q, M, REWARD}
    for _ in range(_TRIES):
        fixed = {s: v / 2 for s, v in constants(draw, free).items()}
        masses = {s: sp.sympify(mass).subs(fixed) for s, mass in statement.masses.items()}
        if all(mass > 0 for mass in masses.values()):
            break
    else:
        return
    rows: dict[Symbol, Row] = {s: _row(draw, masses[s]) for s in (P, Q, M)}
    rows[REWARD] = [Rational(draw.randint(-9, 9), 7) for _ in range(_SIZE)]
    at = Point(fixed, [Point({**fixed, **{s: row[i] for s, row in rows.items()}}) for i in range(_SIZE)])
    for concrete, chosen in _functions(*sides):
        left, right = ([(ONE, e, at)] for e in concrete)
        yield Pair(left, right, {**_named(rows, sides), **_of(fixed), **chosen})


def _identity(statement: Identity, draw: random.Random) -> Iterator[Pair]:
    sides = (statement.left, statement.right)
    point = constants(draw, {s for e in sides for s in e.free_symbols})
    at = Point(point)
    for concrete, chosen in _functions(*sides):
        left, right = ([(ONE, e, at)] for e in concrete)
        yield Pair(left, right, {**_of(point), **chosen})


def _derivative(statement: DerivativeAt, draw: random.Random) -> Iterator[Pair]:
    slope = sp.diff(statement.expr, statement.variable).subs(statement.variable, statement.point)
    for pair in _identity(Identity(slope, statement.value), draw):
        yield Pair(pair.left, pair.right, {**pair.instance, str(statement.variable): str(statement.point)})


def _stationary(statement: Stationary, draw: random.Random) -> Iterator[Pair]:
    """The force on two tokens, where the policy is positive on both."""
    free = {*statement.policy.free_symbols, *statement.force.free_symbols} - {P, Q, REWARD}
    for _ in range(_TRIES):
        fixed = constants(draw, free)
        tokens = [{Q: Rational(draw.randint(1, 40), 97), REWARD: Rational(draw.randint(-97, 97), 53)} for _ in (0, 1)]
        policies = [statement.policy.subs({**fixed, **token}) for token in tokens]
        if all(sign(p, {}) == 1 for p in policies):
            break
    else:
        return
    points = [Point({**fixed, **token, P: p}) for token, p in zip(tokens, policies, strict=True)]
    for (force,), chosen in _functions(statement.force):
        left, right = ([(ONE, force, at)] for at in points)
        shown_tokens = {f"token {i + 1}": f"q = {t[Q]}, R = {t[REWARD]}" for i, t in enumerate(tokens)}
        yield Pair(left, right, {**_of(fixed), **shown_tokens, **chosen})


def _sequence(statement: SequenceGradient | SequenceValue, draw: random.Random) -> Iterator[Pair]:
    for left, right, instance in sequence_sides(statement, draw):
        others = {s for _, e, numbers in (*left, *right) for s in e.free_symbols - set(numbers)}
        fixed = constants(draw, others)
        points = {id(numbers): Point({**numbers, **fixed}) for _, _, numbers in (*left, *right)}
        one, other = ([(number, e, points[id(numbers)]) for number, e, numbers in side] for side in (left, right))
        yield Pair(one, other, {**instance, **_of(fixed)})


_DECIDED: Mapping[type, Callable[[Any], Finding]] = {
    Instance: decide_instance,
    Inequality: decide_inequality,
    GaussianMean: decide_gaussian_mean,
}
"""What is decided as a whole, not by drawing instances."""

__all__ = ["Pair", "constants", "counterexample", "difference", "pairs_of", "rational"]
