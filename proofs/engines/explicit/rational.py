"""Whether an expression vanishes as a rational function of independent unknowns.

Logarithms of symbols, exponentials and opaque functions are taken as unknowns of their own. What
vanishes then vanishes; what does not may still vanish by a relation between them, so a difference is
no refutation until numbers confirm it (`differs_at`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import lcm
from operator import is_
from types import MappingProxyType
from typing import Any

import sympy as sp
from sympy import QQ, Dummy, Expr, Symbol, exp, log
from sympy.core.function import AppliedUndef
from sympy.polys.rings import ring

from proofs.engines.base import CannotExpress
from proofs.statements import DK, K
from proofs.symbols import M, P, Q

_SWITCHES = (sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise)
_DIGITS = 60
_CLEARLY = sp.Float("1e-30")
SAMPLE_FUNCTIONS: tuple[Callable[[Expr], Expr], ...] = (lambda x: x**3, lambda x: exp(2 * x), lambda x: x**2 / 2 + x)
"""Functions that stand in for an arbitrary one when a difference is looked for in numbers."""


_PROBABILITIES = {P.name, Q.name, M.name}


def vanishes(expr: Expr, relations: Mapping[Symbol, Expr] = MappingProxyType({})) -> bool:
    """Whether the expression cancels to zero; `relations` are put in once logarithms are unknowns."""
    if expr.is_Rational:
        return bool(expr == 0)
    if expr.has(*_SWITCHES):
        raise CannotExpress("a switch that was not resolved")
    plain = _without_roots(_without_functions(expr))
    if not plain.free_symbols:
        return bool(plain == 0)
    return _is_zero(plain, relations)


@dataclass(frozen=True)
class _Fraction:
    """A numerator over powers of polynomials, never brought to lowest terms: no greatest divisor is taken."""

    numerator: Any
    denominator: Mapping[Any, int]


def _is_zero(expr: Expr, relations: Mapping[Symbol, Expr]) -> bool:
    """Whether a rational function of its symbols is zero, once each of the relations is put in for its symbol."""
    put_in = {symbol: value for symbol, value in relations.items() if symbol in expr.free_symbols}
    free = expr.free_symbols.difference(put_in).union(*(value.free_symbols for value in put_in.values()))
    symbols = sorted(free, key=str)
    polynomials, *generators = ring(symbols, QQ)
    known = {s: _Fraction(x, {}) for s, x in zip(symbols, generators, strict=True)}

    def element(e: Expr) -> _Fraction:
        if e not in known:
            known[e] = made(e)
        return known[e]

    def made(e: Expr) -> _Fraction:
        if e in put_in:
            return element(put_in[e])
        if e.is_Rational:
            return _Fraction(polynomials(QQ(int(e.p), int(e.q))), {})
        if e.is_Add:
            return _sum([element(part) for part in e.args], polynomials)
        if e.is_Mul:
            return reduce(_product, map(element, e.args))
        if e.is_Pow and e.exp.is_Integer:
            base = element(e.base)
            if e.exp >= 0:
                return _raised(base, int(e.exp))
            if not base.numerator:
                raise CannotExpress(f"a division by {e.base}, which is zero")
            return _raised(_inverse(base, polynomials), -int(e.exp))
        raise CannotExpress(f"{e} is no rational function")

    return not element(expr).numerator


def _sum(parts: Sequence[_Fraction], polynomials: Any) -> _Fraction:
    common: dict[Any, int] = {}
    for part in parts:
        for base, power in part.denominator.items():
            common[base] = max(common.get(base, 0), power)
    total = polynomials.zero
    for part in parts:
        numerator = part.numerator
        for base, power in common.items():
            missing = power - part.denominator.get(base, 0)
            if missing:
                numerator *= base**missing
        total += numerator
    return _Fraction(total, common)


def _product(left: _Fraction, right: _Fraction) -> _Fraction:
    denominator = dict(left.denominator)
    for base, power in right.denominator.items():
        denominator[base] = denominator.get(base, 0) + power
    return _Fraction(left.numerator * right.numerator, denominator)


def _raised(base: _Fraction, power: int) -> _Fraction:
    return _Fraction(base.numerator**power, {own: power * count for own, count in base.denominator.items()})


def _inverse(base: _Fraction, polynomials: Any) -> _Fraction:
    """One over it; a product in the denominator is taken apart, so that common denominators stay small."""
    numerator = polynomials.one / base.numerator.LC
    for own, power in base.denominator.items():
        numerator *= own**power
    if len(base.numerator) > 1:
        return _Fraction(numerator, {base.numerator.monic(): 1})
    powers = zip(polynomials.gens, base.numerator.LM, strict=True)
    return _Fraction(numerator, {generator: power for generator, power in powers if power})


def _without_functions(expr: Expr) -> Expr:
    """Replace logarithms, exponentials and opaque functions by unknowns, inside out."""
    unknowns: dict[Expr, Expr] = {}

    def unknown(key: Expr, positive: bool) -> Expr:
        return unknowns.setdefault(key, Dummy(f"w{len(unknowns)}", positive=positive or None, real=True))

    seen: dict[Expr, Expr] = {}

    def walk(e: Expr) -> Expr:
        if e.is_Atom:
            return unknown(e, True) if e is sp.E or e is sp.pi else e
        if e not in seen:
            seen[e] = replaced(e)
        return seen[e]

    def replaced(e: Expr) -> Expr:
        if isinstance(e, log):
            if e.args[0].is_Symbol:
                return _logarithm(e.args[0], unknown)
            rest, exponent = _without_exponentials(e.args[0])
            return _logarithm(sp.factor(walk(rest)), unknown) + walk(exponent)
        parts = [walk(part) for part in e.args]
        if isinstance(e, exp):
            return _exponential(sp.expand(parts[0]), unknown)
        if isinstance(e, K | DK | AppliedUndef):
            return unknown(e.func(sp.cancel(parts[0])), False)
        if isinstance(e, sp.Function):
            raise CannotExpress(f"the function {e.func}")
        return e if all(map(is_, parts, e.args)) else e.func(*parts)

    return walk(expr.rewrite(exp) if expr.has(sp.sinh, sp.cosh, sp.tanh) else expr)


def _without_exponentials(argument: Expr) -> tuple[Expr, Expr]:
    """x exp(a) as x and a."""
    factors = sp.Mul.make_args(argument)
    exponents = [f.args[0] for f in factors if isinstance(f, exp)]
    return sp.Mul(*(f for f in factors if not isinstance(f, exp))), sp.Add(*exponents)


_Unknown = Callable[[Expr, bool], Expr]
"""The unknown that stands for an expression, and whether it is positive."""


def _logarithm(argument: Expr, unknown: _Unknown) -> Expr:
    """Positive factors apart; what is left is positive as a whole, since the logarithm is real."""
    result, rest = sp.Integer(0), sp.Integer(1)
    for factor in sp.Mul.make_args(argument):
        base, power = factor.as_base_exp()
        if base.is_Rational and base > 0:
            for prime, count in sp.factorrat(base).items():
                result += power * count * unknown(log(Symbol(str(prime))), False)
        elif base.is_positive:
            result += power * unknown(log(base), False)
        else:
            rest *= factor
    return result if rest == 1 else result + unknown(log(rest), False)


def _exponential(argument: Expr, unknown: _Unknown) -> Expr:
    result = sp.Integer(1)
    for term in sp.Add.make_args(argument):
        number, rest = term.as_coeff_Mul()
        if not number.is_Rational:
            number, rest = sp.Integer(1), term
        # exp(n x / d) as a power of exp(x / d), so that no root is taken of an unknown
        result *= unknown(exp(rest / number.q), True) ** number.p
    return result


def _without_roots(expr: Expr) -> Expr:
    """Write a symbol with fractional powers as a power of a new one."""
    roots: dict[Symbol, int] = {}
    for power in expr.atoms(sp.Pow):
        if power.base.is_Symbol and power.exp.is_Rational:
            roots[power.base] = lcm(roots.get(power.base, 1), int(power.exp.q))
    for symbol, common in sorted(roots.items(), key=str):
        if common > 1:
            expr = sp.powdenest(expr.subs(symbol, Dummy(f"root_{symbol}", positive=True) ** common), force=True)
    return expr


def differs_at(expr: Expr, points: Iterable[Mapping[Symbol, Expr]]) -> Mapping[Symbol, Expr] | None:
    """Return a point at which the expression is certainly not zero, or None."""
    for point in points:
        for function in SAMPLE_FUNCTIONS:
            value = with_function(expr, function).subs(point).evalf(_DIGITS)
            if value.is_comparable and abs(value) > _CLEARLY:
                return point
            if not expr.has(K, DK):
                break
    return None


def with_function(expr: Expr, function: Callable[[Expr], Expr]) -> Expr:
    """Put a concrete function in the place of the arbitrary one."""
    x = Dummy("x", real=True)
    slope = sp.diff(function(x), x)
    return expr.replace(K, function).replace(DK, lambda a: slope.subs(x, a))


def points_of(symbols: Iterable[Symbol], count: int = 3) -> list[dict[Symbol, Expr]]:
    """Rational points that respect the signs of the symbols; of two probabilities the sum stays below 1."""
    draw = random.Random(20251001)
    names = sorted(symbols, key=str)

    def value(symbol: Symbol) -> Expr:
        if symbol.name.partition("_")[0] in _PROBABILITIES:
            return sp.Rational(draw.randint(1, 48), 97)
        return sp.Rational(draw.randint(1 if symbol.is_positive else -97, 97), draw.choice((31, 53)))

    return [{s: value(s) for s in names} for _ in range(count)]
