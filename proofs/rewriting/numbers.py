"""Numbers for expressions: in intervals where a difference has to be certain, to many digits elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from math import prod
from typing import Any, TypeAlias

import sympy as sp
from mpmath import MPContext, MPIntervalContext
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K, sg

Number = Any
"""A number of one of the two contexts; mpmath has no types."""
Values = Mapping[Symbol, Number]
Operation: TypeAlias = "Callable[..., Number]"
"""Of a context and the numbers of the parts."""

DIGITS: Any = MPContext()
DIGITS.dps = 40
INTERVALS: Any = MPIntervalContext()
INTERVALS.prec = 120
"""A context of its own: the precision of `mpmath.iv` belongs to everybody."""


def exactly(context: Any, number: Any) -> Number:
    """Return a rational number in a context, in intervals the smallest one around it."""
    return _quotient(context, int(number.numerator), int(number.denominator))


@lru_cache(maxsize=4096)
def _quotient(context: Any, numerator: int, denominator: int) -> Number:
    return context.mpf(numerator) if denominator == 1 else context.mpf(numerator) / denominator


@dataclass(frozen=True)
class Program:
    """An expression as a list of operations, each common part once; a place is a position in that list."""

    symbols: tuple[tuple[int, Symbol], ...]
    detached: tuple[tuple[int, Symbol], ...]
    """Symbols that stand inside sg()."""
    rationals: tuple[tuple[int, int, int], ...]
    operations: tuple[tuple[int, Operation, tuple[int, ...]], ...]
    places: int

    def run(self, values: Values, context: Any, held: Values) -> Number:
        """Return the number of the last place."""
        numbers: list[Number] = [None] * self.places
        for place, symbol in self.symbols:
            numbers[place] = values[symbol]
        for place, symbol in self.detached:
            numbers[place] = held[symbol]
        for place, numerator, denominator in self.rationals:
            numbers[place] = _quotient(context, numerator, denominator)
        for place, operation, arguments in self.operations:
            numbers[place] = operation(context, *[numbers[i] for i in arguments])
        return numbers[-1]


class _Writer:
    """Writes a program, the parts of an expression before the expression."""

    def __init__(self) -> None:
        self.places: dict[tuple[Expr, bool], int] = {}
        self.symbols: list[tuple[int, Symbol]] = []
        self.detached: list[tuple[int, Symbol]] = []
        self.rationals: list[tuple[int, int, int]] = []
        self.operations: list[tuple[int, Operation, tuple[int, ...]]] = []
        self.count = 0

    def write(self, expr: Expr, held: bool) -> int:
        """Return the place of an expression, which stands inside sg() if `held`."""
        if isinstance(expr, sg):
            return self.write(expr.args[0], True)
        place = self.places.get((expr, held))
        if place is None:
            place = self.places[expr, held] = self._written_anew(expr, held)
        return place

    def _written_anew(self, expr: Expr, held: bool) -> int:
        if expr.is_Symbol:
            place = self._next()
            (self.detached if held else self.symbols).append((place, expr))
        elif expr.is_Rational:
            place = self._next()
            self.rationals.append((place, int(expr.p), int(expr.q)))
        else:
            operation = _operation(expr)
            parts = expr.args[:1] if expr.is_Pow and expr.exp.is_Integer else expr.args
            arguments = tuple(self.write(part, held) for part in parts)
            place = self._next()
            self.operations.append((place, operation, arguments))
        return place

    def _next(self) -> int:
        self.count += 1
        return self.count - 1


@lru_cache(maxsize=4096)
def program(expr: Expr) -> Program:
    """Return the expression's program. Raises CannotExpress for a function that is not here."""
    writer = _Writer()
    writer.write(expr, False)
    return Program(
        tuple(writer.symbols),
        tuple(writer.detached),
        tuple(writer.rationals),
        tuple(writer.operations),
        writer.count,
    )


def _operation(expr: Expr) -> Operation:
    if expr is sp.E:
        return _e
    if expr.is_Add:
        return _sum
    if expr.is_Mul:
        return _product
    if expr.is_Pow:
        return _whole_power(int(expr.exp)) if expr.exp.is_Integer else _power
    function = _FUNCTIONS.get(type(expr))
    if function is None:
        raise CannotExpress(f"no number for {type(expr).__name__}")
    return function


def evaluate(expr: Expr, values: Values, context: Any, detached: Values | None = None) -> Number:
    """Return the expression's number. `detached` are the values inside sg(), the same ones if None.

    The arbitrary estimator k is the cube. Raises CannotExpress for a function that is not here, and for
    a switch whose argument may have either sign.
    """
    return program(expr).run(values, context, values if detached is None else detached)


def _e(context: Any) -> Number:
    return context.exp(context.mpf(1))


def _sum(_context: Any, first: Number, *rest: Number) -> Number:
    return sum(rest, first)


def _product(_context: Any, first: Number, *rest: Number) -> Number:
    return prod(rest, start=first)


@cache
def _whole_power(n: int) -> Operation:
    return lambda _context, x: x**n


def _power(context: Any, base: Number, exponent: Number) -> Number:
    return context.exp(exponent * context.log(base))


def sign(number: Number) -> int:
    """Return -1 or 1 where it is certain, 0 for the number 0 itself. Raises CannotExpress otherwise."""
    low, high = (number.a, number.b) if hasattr(number, "a") else (number, number)
    if low > 0:
        return 1
    if high < 0:
        return -1
    if low == high == 0:
        return 0
    raise CannotExpress("a switch at its own edge")


def certainly_apart(one: Number, other: Number) -> bool:
    """Whether two intervals have no point in common."""
    return bool(one.b < other.a or other.b < one.a)


def certainly_varies(expr: Expr, varying: Iterable[Symbol]) -> bool:
    """Whether the expression has different numbers at two points that differ in `varying` alone."""
    names = tuple(varying)
    constants: dict[Symbol, Number] = dict.fromkeys(expr.free_symbols, exactly(INTERVALS, Fraction(9, 7)))
    one, other = (
        constants | {s: exactly(INTERVALS, Fraction(start + i, 19 + i)) for i, s in enumerate(names)}
        for start in (5, 12)
    )
    try:
        return certainly_apart(*(evaluate(expr, values, INTERVALS) for values in (one, other)))
    except (CannotExpress, ArithmeticError, ValueError):  # a function without a number at one of the points
        return False


def _tanh(context: Any, x: Number) -> Number:
    double = context.exp(2 * x)
    return (double - 1) / (double + 1)


_FUNCTIONS: Mapping[type, Operation] = {
    sp.exp: lambda context, x: context.exp(x),
    sp.log: lambda context, x: context.log(x),
    sp.sinh: lambda context, x: (context.exp(x) - context.exp(-x)) / 2,
    sp.cosh: lambda context, x: (context.exp(x) + context.exp(-x)) / 2,
    sp.tanh: _tanh,
    sp.Abs: lambda _context, x: sign(x) * x,
    sp.sign: lambda context, x: context.mpf(sign(x)),
    sp.Heaviside: lambda context, x, at_zero: at_zero if sign(x) == 0 else context.mpf((1 + sign(x)) // 2),
    sp.Max: lambda _context, *xs: _extreme(xs, 1),
    sp.Min: lambda _context, *xs: _extreme(xs, -1),
    K: lambda _context, x: x**3,
    DK: lambda _context, x: 3 * x**2,
}


def _extreme(xs: tuple[Number, ...], which: int) -> Number:
    best = xs[0]
    for other in xs[1:]:
        best = other if sign(other - best) == which else best
    return best
