"""Positivity on an interval, proved by balls: bisection inside, Lagrange's remainder at zeros, domination in tails.

* A positive variable of which a logarithm or a root is taken is written as exp(y).
* A denominator without a zero in the interval is divided off, if it is positive there too.
* Where the expression is exactly 0 (a declared zero, or an end of the interval) its first derivative
  that is not, f^(k), has one sign on a neighbourhood: there f has the sign of f^(k) x^k.
* Towards infinity a sum of c y^a exp(b y) is divided by its dominant term; the others are then
  decreasing from some Y on, and at Y they sum to less than the dominant coefficient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import sympy as sp
from sympy import Dummy, Expr, Integer, Rational, Symbol

from proofs.engines.balls.arithmetic import Ball, Unsure, ball, precision, rational, shown, sign
from proofs.engines.base import CannotExpress
from proofs.ledger import Finding, Outcome
from proofs.statements import Inequality, Instance

_HYPERBOLIC = (sp.sinh, sp.cosh, sp.tanh)
_BITS = 128
_BOXES = 3000
_ORDER = 8
_HALVINGS = 40
_DOUBLINGS = 14


class Negative(Exception):
    """A point of the interval at which the expression is certainly not positive; args[0] is the point."""


@dataclass(frozen=True)
class Line:
    """An expression on an interval of the real line, and how its variable goes back to the statement's."""

    expr: Expr
    y: Symbol
    low: Expr
    high: Expr
    exponential: bool

    def back(self, point: Expr) -> Expr:
        """Return the statement's variable at a point of the line."""
        return sp.exp(point) if self.exponential else point


def decide_instance(statement: Instance) -> Finding:
    """Enclose the number until its sign is certain."""
    value = sign(statement.expr, {})
    if value is None:
        return Finding(Outcome.INCONCLUSIVE, detail="the number is not told from zero")
    with precision(_BITS):
        text = shown(ball(statement.expr))
    if value > 0:
        return Finding(Outcome.PROVED, "this instance", f"the number is {text}")
    return Finding(Outcome.REFUTED, "this instance", f"the number is {text}", {**statement.instance, "value": text})


def decide_inequality(statement: Inequality) -> Finding:
    """Prove positivity everywhere, or find a point where it certainly fails."""
    scope = f"{statement.low} < {statement.variable} < {statement.high}"
    line = _on_the_line(statement)
    zeros = [sp.log(z) if line.exponential else z for z in statement.zeros]
    with precision(_BITS):
        try:
            for zero in zeros:
                value = line.expr.subs(line.y, zero)
                if value != 0:
                    return _not_zero(value, line.back(zero), statement, scope)
            _positive(line.expr, line, zeros)
        except Negative as failure:
            return _refuted(line.back(failure.args[0]), statement, scope)
        except Unsure as reason:
            return Finding(Outcome.INCONCLUSIVE, detail=str(reason))
    return Finding(Outcome.PROVED, scope)


def _not_zero(value: Expr, at: Expr, statement: Inequality, scope: str) -> Finding:
    if sign(value, {}) is None:
        return Finding(Outcome.INCONCLUSIVE, detail=f"whether it is zero at {at}")
    return Finding(Outcome.REFUTED, scope, f"not zero at {at}", {str(statement.variable): str(at)})


def _refuted(at: Expr, statement: Inequality, scope: str) -> Finding:
    value = statement.expr.subs(statement.variable, at)
    text = "0" if value == 0 else shown(ball(value))
    where = {str(statement.variable): str(at), "value": text}
    return Finding(Outcome.REFUTED, scope, f"{text} at {statement.variable} = {at}", where)


def _on_the_line(statement: Inequality) -> Line:
    x, y = statement.variable, Dummy("y", real=True)
    expr = statement.expr
    expr = expr.replace(lambda e: isinstance(e, _HYPERBOLIC), lambda e: e.rewrite(sp.exp))
    roots = any(power.exp.is_Integer is False for power in expr.atoms(sp.Pow) if power.base != sp.E)
    if statement.low.is_nonnegative and (expr.has(sp.log) or roots):
        if any(e.has(x) for e in expr.atoms(sp.exp)):
            raise CannotExpress("logarithms and exponentials of one variable")
        moved = sp.expand_log(expr.subs(x, sp.exp(y)), force=True)
        return Line(moved, y, -sp.oo if statement.low == 0 else sp.log(statement.low), sp.log(statement.high), True)
    return Line(expr.subs(x, y), y, statement.low, statement.high, False)


def _positive(expr: Expr, line: Line, zeros: list[Expr]) -> None:
    """Return if the expression is positive but for the zeros; raises Negative or Unsure."""
    numerator, denominator = sp.fraction(sp.together(expr))
    if denominator.has(line.y):
        for orientation in (1, -1):
            try:
                _positive_entire(orientation * denominator, line, [])
            except Negative:
                continue
            numerator = orientation * numerator
            break
        else:
            raise Unsure("a pole")
    elif sign(denominator, {}) == -1:
        numerator = -numerator
    _positive_entire(numerator, line, zeros)


def _positive_entire(expr: Expr, line: Line, zeros: list[Expr]) -> None:
    y = line.y
    start = _tail(expr.subs(y, -y), y, line, -1) if line.low == -sp.oo else None
    end = _tail(expr, y, line, 1) if line.high == sp.oo else None
    a = -start if start is not None else line.low
    b = end if end is not None else line.high
    if start is not None and end is None and b <= a:
        a = b - 1
    if end is not None and start is None and b <= a:
        b = a + 1
    points = sorted({a, *(z for z in zeros if a < z < b), b}, key=lambda e: e.evalf(30))
    for left, right in pairwise(points):
        low = left + _near(expr, line, left, 1) if _vanishes(expr, y, left) else left
        high = right - _near(expr, line, right, -1) if _vanishes(expr, y, right) else right
        if (low - high).evalf(30) < 0:
            _bisect(expr, y, _rounded(low, -1, left), _rounded(high, 1, right), line)


def _rounded(e: Expr, direction: int, bound: Expr) -> Rational:
    """A rational beside an end, at or outside of it where the expression is still as good."""
    if e.is_Rational:
        return Rational(e)
    return Rational(sp.floor(e * 2**60) if direction < 0 else sp.ceiling(e * 2**60), 2**60)


def _vanishes(expr: Expr, y: Symbol, at: Expr) -> bool:
    if at.is_Rational and sign(expr, {y: at}, (_BITS,)) is not None:
        return False
    return bool(expr.subs(y, at) == 0)


def _near(expr: Expr, line: Line, at: Expr, side: int) -> Rational:
    """How far from an exact zero, to one side, the expression is certainly positive."""
    y, derivative, order = line.y, expr, 0
    while _vanishes(derivative, y, at):
        derivative, order = _slope(derivative, y), order + 1
        if order > _ORDER:
            raise Unsure(f"a zero of order {order} or more at {at}")
    wanted = side**order
    width = Rational(1, 2)
    for _ in range(_HALVINGS):
        try:
            value = _at(derivative, y, _hull(at, at + side * width)) * wanted
        except Unsure:
            width /= 2
            continue
        if value > 0:
            return width
        if value < 0:
            raise Negative(_beside(at, side, width, line))
        width /= 2
    raise Unsure(f"the sign beside {at}")


def _beside(at: Expr, side: int, width: Rational, line: Line) -> Rational:
    """A rational of the interval within the neighbourhood."""
    while not (line.low < at + side * width and at + side * width < line.high):
        width /= 2
    middle = at + side * width / 2
    return middle if middle.is_Rational else Rational(sp.floor(middle * 2**60), 2**60)


def _hull(a: Expr, b: Expr) -> Ball:
    return ball(a).union(ball(b))


def _at(expr: Expr, y: Symbol, where: Ball) -> Ball:
    return ball(expr, {y: where})


@cache
def _slope(expr: Expr, y: Symbol) -> Expr:
    return sp.diff(expr, y)


def _bisect(expr: Expr, y: Symbol, a: Rational, b: Rational, line: Line) -> None:
    """Prove positivity on [a, b], by halving where the balls are too wide."""
    boxes = [(a, b)]
    for _ in range(_BOXES):
        if not boxes:
            return
        low, high = boxes.pop()
        middle = (low + high) / 2
        if _box_is_positive(expr, y, low, high, middle):
            continue
        inside = line.low < middle and middle < line.high
        if inside and _fails(expr, y, middle):
            raise Negative(middle)
        candidate = sp.Integer(round(middle))
        within = low <= candidate <= high and line.low < candidate and candidate < line.high
        if high - low < Rational(1, 1000) and within and expr.subs(y, candidate) == 0:
            raise Negative(candidate)
        if high - low < Rational(1, 2**_HALVINGS):
            raise Unsure(f"the sign near {middle.evalf(6)}")
        boxes += [(middle, high), (low, middle)]
    raise Unsure(f"no end after {_BOXES} boxes")


def _fails(expr: Expr, y: Symbol, at: Rational) -> bool:
    """Whether the expression is certainly not positive at a point; put in only where balls do not tell."""
    seen = sign(expr, {y: at})
    if seen is not None:
        return seen < 0
    value = expr.subs(y, at)
    return bool(value == 0) or sign(value, {}) == -1


def _box_is_positive(expr: Expr, y: Symbol, low: Rational, high: Rational, middle: Rational) -> bool:
    """Direct evaluation, and the mean value form where that is too wide."""
    whole = rational(low).union(rational(high))
    try:
        if _at(expr, y, whole) > 0:
            return True
        form = _at(expr, y, rational(middle)) + _at(_slope(expr, y), y, whole) * (whole - rational(middle))
    except Unsure:
        return False
    return bool(form > 0)


def _tail(expr: Expr, y: Symbol, line: Line, side: int) -> Rational:
    """Return Y such that the expression is certainly positive for y >= Y; raises Negative."""
    terms = _terms(expr, y)
    if not terms:  # zero everywhere
        raise Negative(_reached(Integer(1), line, side))
    top = max(terms)
    dominant = terms.pop(top)
    value = ball(dominant)
    if not (value > 0 or value < 0):
        raise Unsure("the sign of the dominant term")
    bound: Rational = Integer(1)
    for _ in range(_DOUBLINGS):
        decreasing = all((b < top[0] and bound * (top[0] - b) >= a - top[1]) or b == top[0] for b, a in terms)
        if decreasing:
            others = (abs(ball(c)) * _decay(b - top[0], a - top[1], bound) for (b, a), c in terms.items())
            if sum(others, ball(Integer(0))) < abs(value):
                if value > 0:
                    return bound
                raise Negative(_reached(bound, line, side))
        bound *= 2
    raise Unsure("a tail that no term dominates soon enough")


def _reached(bound: Rational, line: Line, side: int) -> Rational:
    """A point of the interval at or beyond Y, to that side."""
    end = line.low if side > 0 else -line.high
    return side * (bound if end == -sp.oo else sp.Max(bound, sp.ceiling(end) + 1))


def _decay(rate: Expr, power: Expr, at: Rational) -> Ball:
    return ball(at**power) * ball(sp.exp(rate * at))


def _terms(expr: Expr, y: Symbol) -> dict[tuple[Expr, Expr], Expr]:
    """The expression as a sum of c y^a exp(b y): coefficients by (b, a)."""
    terms: dict[tuple[Expr, Expr], Expr] = {}
    for term in sp.Add.make_args(sp.expand(expr)):
        rate, power, number = Integer(0), Integer(0), Integer(1)
        for factor in sp.Mul.make_args(term):
            if isinstance(factor, sp.exp):
                slope = sp.expand(factor.args[0]).coeff(y, 1)
                rest = sp.expand(factor.args[0] - slope * y)
                if rest.has(y) or not slope.is_Rational:
                    raise CannotExpress(f"{factor} in a tail")
                rate, number = rate + slope, number * sp.exp(rest)
            elif factor.has(y):
                base, exponent = factor.as_base_exp()
                if base != y or not exponent.is_Integer or exponent < 0:
                    raise CannotExpress(f"{factor} in a tail")
                power += exponent
            else:
                number *= factor
        terms[rate, power] = terms.get((rate, power), Integer(0)) + number
    return {key: number for key, number in terms.items() if number != 0}
