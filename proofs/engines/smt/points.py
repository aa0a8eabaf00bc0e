"""Rational points at which a goal's claim certainly fails: models that are counterexamples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from sympy import Expr, Rational, Symbol

from proofs.engines.smt.goals import Goal
from proofs.engines.smt.solvers import Model
from proofs.engines.smt.terms import name_of
from proofs.statements import DK, K

Point = Mapping[Symbol, Expr]
_NUDGES = 3
_GUESS_BITS = (128,)
_PYTHAGOREAN = ((3, 4, 5), (5, 12, 13), (8, 15, 17), (7, 24, 25))


@lru_cache(maxsize=1024)
def guessed(part: Goal) -> Point | None:
    """Return a drawn point at which the claim fails; looked for once, whichever solver is asked.

    One precision is enough to look: where a claim holds, every precision leaves it open.
    """
    points = _points_with_roots(part) if part.roots else _points(part, {})
    return next((p for p in points if _fails_at(part, p, _GUESS_BITS)), None)


def failing(part: Goal, model: Model) -> Point | None:
    """Return a model's point, or one near it, at which the claim fails."""
    return next((p for p in _points(part, model) if _fails_at(part, p)), None)


def _points(part: Goal, model: Model) -> Iterator[Point]:
    """The model's own point, and points near it: a model likes values such as p = q, where much is zero."""
    free = {s for e in (part.claim, *part.domain) for s in e.free_symbols}
    symbols = sorted(free, key=str)
    if not all(name_of(s) in model or s.is_positive or s.is_real for s in symbols):
        return
    for nudge in range(_NUDGES):
        values = {}
        for i, s in enumerate(symbols):
            value = model.get(name_of(s), Fraction(1, 4)).limit_denominator(10**6)
            if s.is_positive and value <= 0:
                value = Fraction(1, 10**6)
            values[s] = value * (1 + Fraction(nudge * ((7 * i) % 11 - 6), 19)) + (
                0 if s.is_positive else Fraction(nudge * i, 13)
            )
        yield {s: Rational(v.numerator, v.denominator) for s, v in values.items()}


def _points_with_roots(part: Goal) -> Iterator[Point]:
    """Points with p and 1 - p squares of rationals: a solver then has no irrational roots to work with."""
    free = sorted({s for e in (part.claim, *part.domain) for s in e.free_symbols}, key=str)
    squares = [Rational(leg**2, hypotenuse**2) for *legs, hypotenuse in _PYTHAGOREAN for leg in legs]
    for turn in range(_NUDGES):
        yield {s: squares[(i * (2 * turn + 1) + turn) % len(squares)] for i, s in enumerate(free)}


def _fails_at(part: Goal, point: Point, bits: Sequence[int] = ()) -> bool:
    """Whether the claim certainly fails at a point of its domain."""
    known: dict[Expr, Fraction | None] = {s: Fraction(int(v.p), int(v.q)) for s, v in point.items()}
    bounds = {e: _rational(e, known) for e in part.domain}
    if any(value is not None and value <= 0 for value in bounds.values()):
        return False
    open_bounds = [e for e, value in bounds.items() if value is None]
    if part.exact and not part.positive_claim and not open_bounds:
        value = _rational(part.claim, known)
        if value is not None:
            return value != 0
    from proofs.engines.balls import arithmetic

    if arithmetic.missing():
        return False
    if not all(arithmetic.sign(e, point) == 1 for e in open_bounds):
        return False
    signs = (arithmetic.sign(claim, point, bits or arithmetic.PRECISIONS) for claim in _claims(part.claim))
    return any(sign == -1 or (sign == 1 and not part.positive_claim) for sign in signs)


def _rational(e: Expr, known: dict[Expr, Fraction | None]) -> Fraction | None:
    """The exact value of a rational expression; None for another one, or at a pole."""
    if e not in known:
        known[e] = _computed(e, known)
    return known[e]


def _computed(e: Expr, known: dict[Expr, Fraction | None]) -> Fraction | None:
    if e.is_Rational:
        return Fraction(int(e.p), int(e.q))
    if e.is_Pow and e.exp.is_Integer:
        base = _rational(e.base, known)
        return None if base is None or (base == 0 and e.exp < 0) else base ** int(e.exp)
    if not (e.is_Add or e.is_Mul):
        return None
    result = Fraction(0 if e.is_Add else 1)
    for part in e.args:
        value = _rational(part, known)
        if value is None:
            return None
        result = result + value if e.is_Add else result * value
    return result


@lru_cache(maxsize=64)
def _claims(claim: Expr) -> tuple[Expr, ...]:
    """The claim, for some estimators where it is of every one: what fails for one is not true of all."""
    from proofs.engines.balls import arithmetic

    if not claim.has(K, DK):
        return (claim,)
    return tuple(arithmetic.with_function(claim, function) for _, function in arithmetic.SAMPLE_FUNCTIONS)
