"""Expressions in ball arithmetic: an enclosure that is certain, however it rounds (python-flint's arb)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K, Total, sg

Ball = Any
"""flint.arb; flint ships no types."""
DIGITS = 6
PRECISIONS = (64, 256, 1024)


class Unsure(Exception):
    """A ball holds both sides of a switch, or a pole."""


def missing() -> str | None:
    """Return what has to be installed; None if nothing."""
    return None if find_spec("flint") else "pip install 'kl-oracle[engines]'"


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Work to this many bits inside the block."""
    from flint import ctx

    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def ball(e: Expr, values: Mapping[Symbol, Ball] | None = None) -> Ball:
    """Return an enclosure of the expression's value; raises Unsure or CannotExpress."""
    value = _evaluate(e, dict(values or {}))
    if not value.is_finite():
        raise Unsure(f"{e} is not finite here")
    return value


class Point:
    """Values for symbols, closed expressions; what is evaluated there is kept, at the first precision asked for.

    A sum over the vocabulary has its value from the points of the tokens.
    """

    def __init__(self, values: Mapping[Symbol, Expr], tokens: Sequence[Point] = ()) -> None:
        self._values = values
        self._tokens = tokens
        self._known: dict[Expr, Ball] = {}

    def ball(self, e: Expr) -> Ball:
        """Return an enclosure of the expression's value here; raises Unsure or CannotExpress."""
        if not self._known:
            self._known = {s: ball(value) for s, value in self._values.items()}
        for total in e.atoms(Total) if self._tokens else ():
            if total not in self._known:
                self._known[total] = sum(token.ball(total.args[0]) for token in self._tokens)
        value = _evaluate(e, self._known)
        if not value.is_finite():
            raise Unsure(f"{e} is not finite here")
        return value


def rational(value: Expr) -> Ball:
    """Return a rational as a ball."""
    from flint import arb

    return arb(int(value.p)) / int(value.q)


def sign(e: Expr, point: Mapping[Symbol, Expr], precisions: Sequence[int] = PRECISIONS) -> int | None:
    """Return 1 or -1 if the expression's sign at a rational point is certain, else None."""
    for bits in precisions:
        with precision(bits):
            try:
                value = ball(e, {s: rational(v) for s, v in point.items()})
            except Unsure:
                continue
            if value > 0:
                return 1
            if value < 0:
                return -1
    return None


def shown(value: Ball) -> str:
    """Return the middle of a ball to six digits; 0 where it is not told from it."""
    if value.contains(0):
        return "0"
    return str(value.mid().str(DIGITS, radius=False))


def _evaluate(e: Expr, known: dict[Expr, Ball]) -> Ball:
    found = known.get(e)
    if found is None:
        found = known[e] = _computed(e, known)
    return found


def _computed(e: Expr, known: dict[Expr, Ball]) -> Ball:
    if e.is_Rational:
        return rational(e)
    if e.is_Add or e.is_Mul:
        total = _evaluate(e.args[0], known)
        for part in e.args[1:]:
            value = _evaluate(part, known)
            total = total + value if e.is_Add else total * value
        return total
    if e.is_Pow:
        return _power(e, known)
    if isinstance(e, sg):
        return _evaluate(e.args[0], known)
    return _other(e, known)


def _other(e: Expr, known: dict[Expr, Ball]) -> Ball:
    """Numbers, functions and switches."""
    from flint import arb

    if e is sp.E:
        return arb(1).exp()
    if e is sp.pi:
        return arb.pi()
    if e.is_Symbol:
        raise CannotExpress(f"{e} has no value")
    if isinstance(e, sp.Piecewise):
        return _piecewise(e, known)
    parts = [_evaluate(part, known) for part in e.args]
    for kind, method in _FUNCTIONS:
        if isinstance(e, kind):
            return method(parts[0])
    if isinstance(e, sp.Min | sp.Max):
        return _extreme(isinstance(e, sp.Max), parts)
    if isinstance(e, sp.sign | sp.Heaviside):
        if not (parts[0] > 0 or parts[0] < 0):
            raise Unsure(f"the sign of {e.args[0]}")
        below = -1 if isinstance(e, sp.sign) else 0
        return arb(1) if parts[0] > 0 else arb(below)
    raise CannotExpress(f"{type(e).__name__} in ball arithmetic")


_FUNCTIONS: tuple[tuple[type, Callable[[Ball], Ball]], ...] = (
    (sp.exp, lambda x: x.exp()),
    (sp.log, lambda x: x.log()),
    (sp.sinh, lambda x: x.sinh()),
    (sp.cosh, lambda x: x.cosh()),
    (sp.tanh, lambda x: x.tanh()),
    (sp.Abs, lambda x: abs(x)),
)


def _power(e: Expr, known: dict[Expr, Ball]) -> Ball:
    base = _evaluate(e.base, known)
    if e.exp.is_Integer:
        return base ** int(e.exp)
    if e.exp.is_Rational and int(e.exp.q) == 2:
        return base.sqrt() ** int(e.exp.p)
    return (_evaluate(e.exp, known) * base.log()).exp()


def _extreme(largest: bool, parts: list[Ball]) -> Ball:
    best = parts[0]
    for part in parts[1:]:
        best = best.max(part) if largest else best.min(part)
    return best


def _piecewise(e: Expr, known: dict[Expr, Ball]) -> Ball:
    for value, condition in e.args:
        if _holds(condition, known):
            return _evaluate(value, known)
    raise Unsure("no piece holds")


def _holds(condition: sp.Basic, known: dict[Expr, Ball]) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, sp.Gt | sp.Ge | sp.Lt | sp.Le):
        difference = _evaluate(condition.lhs - condition.rhs, known)
        if difference > 0 or difference < 0:
            return bool(difference > 0) == isinstance(condition, sp.Gt | sp.Ge)
    raise Unsure(f"whether {condition}")


SAMPLE_FUNCTIONS: tuple[tuple[str, Callable[[Expr], Expr]], ...] = (
    ("x^3", lambda x: x**3),
    ("exp(2 x)", lambda x: sp.exp(2 * x)),
    ("x^2/2 + x", lambda x: x**2 / 2 + x),
)
"""Estimators that stand in for an arbitrary one: what fails for one of them fails for some estimator."""


@lru_cache(maxsize=256)
def with_function(e: Expr, function: Callable[[Expr], Expr]) -> Expr:
    """Put a concrete estimator, and its derivative, in the place of the arbitrary one."""
    x = sp.Dummy("x", real=True)
    slope = sp.diff(function(x), x)
    return e.replace(K, function).replace(DK, lambda a: slope.subs(x, a))
