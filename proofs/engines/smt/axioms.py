"""True facts about logarithms and exponentials, for pairs (x, exp x) that a script names.

exp is increasing with exp 0 = 1, and for x other than 0 (Taylor's theorem, Lagrange's remainder)

    exp x > 1 + x + .. + x^n/n!   n odd, or x > 0;       exp x < the same   n even and x < 0

so the reverse bounds on 1/exp x; for y = exp x other than 1 likewise

    x < (y - 1) - (y - 1)^2/2 + .. + (y - 1)^n/n         n odd

Numbers are enclosed by partial sums with the remainder of a geometric series.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from math import factorial

import sympy as sp
from sympy import Expr, Integer, Rational

from proofs.engines.abstraction import Unknown
from proofs.engines.smt.terms import Printer

_TERMS = 14


def order_axioms(unknowns: Sequence[Unknown], printer: Printer, degree: int = 1) -> list[str]:
    """Return assertions about these logarithms and exponentials; Taylor bounds up to `degree`."""
    pairs = [(u.symbol, u.argument) if u.kind == "log" else (u.argument, u.symbol) for u in unknowns]
    axioms = []
    for x, y in pairs:
        if x.is_Rational or y.is_Rational:
            axioms += _enclosure(x, y, printer)
            continue
        axioms += [_same(printer, x, Integer(0), y, Integer(1)), _same(printer, Integer(0), x, Integer(1), y)]
        if degree > 1:
            axioms += _taylor(x, y, degree, printer)
    mirrored = [(-x, 1 / y) for x, y in pairs if x.is_Rational]
    for (x, y), (a, b) in combinations([*pairs, *mirrored], 2):
        axioms += [_same(printer, x, a, y, b), _same(printer, a, x, b, y)]
    return axioms


def _same(printer: Printer, x: Expr, a: Expr, y: Expr, b: Expr) -> str:
    return f"(= {printer.comparison('<', x, a)} {printer.comparison('<', y, b)})"


def _partial(x: Expr, n: int) -> Expr:
    return sp.Add(*(x**k / Integer(factorial(k)) for k in range(n + 1)), evaluate=False)


def _taylor(x: Expr, y: Expr, degree: int, printer: Printer) -> list[str]:
    less, zero = printer.comparison("<", x, Integer(0)), printer.equation(x, Integer(0))
    more = printer.comparison(">", x, Integer(0))
    axioms = []
    for n in range(1, degree + 1):
        for at, value, up, down in ((x, y, more, less), (-x, 1 / y, less, more)):
            above = printer.comparison(">", value, _partial(at, n))
            below = printer.comparison("<", value, _partial(at, n))
            if n % 2:
                axioms.append(f"(or {zero} {above})")
            else:
                axioms += [f"(=> {up} {above})", f"(=> {down} {below})"]
        if n % 2:
            for value, sign in ((y, 1), (1 / y, -1)):
                bound = sp.Add(*(Rational((-1) ** (k + 1), k) * (value - 1) ** k for k in range(1, n + 1)))
                axioms.append(f"(or {zero} {printer.comparison('<', sign * x, bound)})")
    return axioms


def _enclosure(x: Expr, y: Expr, printer: Printer) -> list[str]:
    """Bounds on a logarithm or an exponential of a rational."""
    if x.is_Rational:
        low, high = exp_bounds(Fraction(int(x.p), int(x.q)))
        number = y
    else:
        low, high = log_bounds(Fraction(int(y.p), int(y.q)))
        number = x
    return [
        printer.comparison("<=", Rational(low.numerator, low.denominator), number),
        printer.comparison("<=", number, Rational(high.numerator, high.denominator)),
    ]


def exp_bounds(x: Fraction) -> tuple[Fraction, Fraction]:
    """Enclose exp(x): the remainder after n terms is below x^n/n! / (1 - x/(n + 1)), for 0 <= x < n + 1."""
    if x < 0:
        low, high = exp_bounds(-x)
        return 1 / high, 1 / low
    terms = _TERMS + 3 * int(x)
    total = sum((x**k / factorial(k) for k in range(terms)), Fraction(0))
    return total, total + x**terms / factorial(terms) / (1 - x / (terms + 1))


def log_bounds(y: Fraction) -> tuple[Fraction, Fraction]:
    """Enclose log(y), y > 0: log(2^k z) = k log 2 + log z, log z = 2 artanh((z - 1)/(z + 1)), 1 <= z < 2."""
    if y < 1:
        low, high = log_bounds(1 / y)
        return -high, -low
    power = 0
    while y >= 2:
        y, power = y / 2, power + 1
    two, rest = _artanh(Fraction(1, 3)), _artanh((y - 1) / (y + 1))
    return 2 * (power * two[0] + rest[0]), 2 * (power * two[1] + rest[1])


def _artanh(t: Fraction) -> tuple[Fraction, Fraction]:
    total = sum((t ** (2 * k + 1) / (2 * k + 1) for k in range(_TERMS)), Fraction(0))
    return total, total + t ** (2 * _TERMS + 1) / ((2 * _TERMS + 1) * (1 - t**2))
