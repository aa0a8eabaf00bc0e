"""All real roots of an exponential polynomial sum_i p_i(x) exp(k_i x), by a complete procedure.

Multiply by exp(-k x), which has no roots, until one term is a plain polynomial p; differentiating
deg p + 1 times removes it (Rolle: between two roots of F lies a root of F'). The roots of the
derivative cut the line into pieces where F is monotone; each piece has at most one root, found by
bisection to many digits. Roots that are rational, or the logarithm of a rational, are recognised
and verified exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import mpmath
import sympy as sp
from sympy import Expr, Rational, S, Symbol, exp, log

from proofs.normal_form import NormalForm, TooLarge, normal_form
from proofs.taylor import to_mpf

DIGITS = 50
_TINY = mpmath.mpf(10) ** -38
_MAX_DEGREE = 24


class Undetermined(ArithmeticError):
    """Not an exponential polynomial in this symbol, or a root that cannot be told from a near miss."""


@dataclass(frozen=True)
class _Term:
    rate: Expr
    polynomial: sp.Poly


def real_roots(expr: Expr, symbol: Symbol) -> list[Expr]:
    """Return the distinct real roots in order; exact numbers where recognised, else Floats.

    The positive ones only for a positive symbol. Raises Undetermined.
    """
    return list(_real_roots(expr, symbol))


@lru_cache(maxsize=2048)
def _real_roots(expr: Expr, symbol: Symbol) -> tuple[Expr, ...]:
    try:
        form = normal_form(expr)
    except TooLarge as error:
        raise Undetermined(str(error)) from error
    terms = _terms(form, symbol)
    if not terms:
        raise Undetermined("zero everywhere")
    with mpmath.workdps(DIGITS + 15):
        roots = _roots(terms, symbol)
    return tuple(root for root in roots if not symbol.is_positive or root > 0)


def limit(expr: Expr, symbol: Symbol, side: int) -> Expr:
    """Return the limit of an exponential polynomial far to the right (side 1) or left (-1)."""
    terms = [t for t in _terms(normal_form(expr), symbol) if side * t.rate >= 0]
    if not terms:
        return S.Zero
    last = terms[-1] if side > 0 else terms[0]
    if last.rate == 0 and last.polynomial.degree() < 1:
        return last.polynomial.as_expr()
    return S.Infinity * _far_sign(terms, side)


def _terms(form: NormalForm, symbol: Symbol) -> list[_Term]:
    by_rate: dict[Expr, Expr] = {}
    for monomial, number in form.terms.items():
        rate, power = S.Zero, S.One
        for factor in sp.Mul.make_args(monomial):
            if isinstance(factor, exp) and (factor.args[0] / symbol).is_Rational:
                rate += factor.args[0] / symbol
            elif factor.is_number or factor.as_base_exp()[0] == symbol:
                power *= factor
            else:
                raise Undetermined(f"{factor} is not in an exponential polynomial of {symbol}")
        by_rate[rate] = by_rate.get(rate, S.Zero) + number * power
    terms = []
    for rate in sorted(by_rate):
        try:
            polynomial = sp.Poly(by_rate[rate], symbol)
        except sp.PolynomialError as error:
            raise Undetermined(str(error)) from error
        if polynomial.degree() > _MAX_DEGREE:
            raise Undetermined(f"degree {polynomial.degree()}")
        terms.append(_Term(rate, polynomial))
    return terms


def _roots(terms: list[_Term], symbol: Symbol) -> list[Expr]:
    lowest = terms[0].rate
    terms = [_Term(term.rate - lowest, term.polynomial) for term in terms]
    if len(terms) == 1:
        return _polynomial_roots(terms[0].polynomial)
    derivative = [_Term(t.rate, t.polynomial.diff(symbol) + t.polynomial * t.rate) for t in terms]
    derivative = [t for t in derivative if not t.polynomial.is_zero]
    critical = _roots(derivative, symbol)
    return _between_critical(terms, critical, symbol)


def _polynomial_roots(polynomial: sp.Poly) -> list[Expr]:
    if polynomial.degree() < 1:
        return []
    if polynomial.domain.is_QQ or polynomial.domain.is_ZZ:
        roots = sorted(set(sp.Poly(polynomial, polynomial.gen, domain="QQ").real_roots()))
        return [r if r.is_Rational else _recognised_algebraic(r) for r in roots]
    if polynomial.degree() == 1:
        a, b = polynomial.all_coeffs()
        return [sp.simplify(-b / a)]
    raise Undetermined("a polynomial whose coefficients are not rational")


def _recognised_algebraic(root: Expr) -> Expr:
    return root if root.is_Pow or root.is_Mul or root.is_Add else root.evalf(DIGITS)


def _between_critical(terms: list[_Term], critical: list[Expr], symbol: Symbol) -> list[Expr]:
    numeric = [to_mpf(c, DIGITS + 15) for c in critical]
    signs = [_sign_at(terms, c, x, symbol) for c, x in zip(critical, numeric, strict=True)]
    left, right = _far_sign(terms, -1), _far_sign(terms, 1)
    roots: list[Expr] = []
    edges = [(None, left), *zip(numeric, signs, strict=True), (None, right)]
    for index in range(len(edges) - 1):
        (low, low_sign), (high, high_sign) = edges[index], edges[index + 1]
        if low_sign * high_sign < 0:
            roots.append(_bisect(terms, low, high, low_sign, symbol))
        if high is not None and high_sign == 0:
            roots.append(critical[index])
    return roots


def _far_sign(terms: list[_Term], side: int) -> int:
    term = terms[-1] if side > 0 else terms[0]
    sign = int(sp.sign(term.polynomial.LC().evalf(30)))
    return sign if side > 0 or term.polynomial.degree() % 2 == 0 else -sign


def _value(terms: list[_Term], x: mpmath.mpf) -> tuple[mpmath.mpf, mpmath.mpf]:
    """The value at x, and the sum of the sizes of its terms."""
    total, size = mpmath.mpf(0), mpmath.mpf(0)
    for term in terms:
        weight = mpmath.exp(mpmath.mpf(term.rate.p) / term.rate.q * x)
        for (power,), number in term.polynomial.terms():
            part = weight * x**power * to_mpf(number, DIGITS + 15)
            total += part
            size += abs(part)
    return total, size


def _sign_at(terms: list[_Term], point: Expr, x: mpmath.mpf, symbol: Symbol) -> int:
    value, size = _value(terms, x)
    if abs(value) > _TINY * (1 + size):
        return 1 if value > 0 else -1
    if not point.has(sp.Float):
        expr = sum(t.polynomial.as_expr() * exp(t.rate * symbol) for t in terms)
        if not normal_form(sp.expand(expr.subs(symbol, point))).terms:
            return 0
    raise Undetermined(f"cannot tell whether it is zero at {mpmath.nstr(x, 10)}")


def _bisect(
    terms: list[_Term],
    low: mpmath.mpf | None,
    high: mpmath.mpf | None,
    low_sign: int,
    symbol: Symbol,
) -> Expr:
    step = mpmath.mpf(1)
    while low is None or high is None:
        if low is None:
            probe = (mpmath.mpf(0) if high is None else high) - step
            if _value(terms, probe)[0] * low_sign > 0:
                low = probe
        else:
            probe = low + step
            if _value(terms, probe)[0] * low_sign < 0:
                high = probe
        step *= 2
        if step > 2**40:
            raise Undetermined("a root too far out")
    while high - low > mpmath.mpf(10) ** -(DIGITS - 4) * (1 + abs(low)):
        middle = (low + high) / 2
        value = _value(terms, middle)[0]
        if value == 0:
            low = high = middle
        elif (value > 0) == (low_sign > 0):
            low = middle
        else:
            high = middle
    return _recognised(terms, (low + high) / 2, symbol)


def _recognised(terms: list[_Term], x: mpmath.mpf, symbol: Symbol) -> Expr:
    """The exact root where a simple candidate is one, else a Float."""
    expr = sum(t.polynomial.as_expr() * exp(t.rate * symbol) for t in terms)
    for candidate in (_near_rational(x), _log_of(_near_rational(mpmath.exp(x)) if abs(x) < 60 else None)):
        if candidate is not None and not normal_form(sp.expand(expr.subs(symbol, candidate))).terms:
            return candidate
    return sp.Float(x, DIGITS - 6)


def _near_rational(x: mpmath.mpf) -> Rational | None:
    candidate = Rational(sp.Rational(str(mpmath.nstr(x, 40)))).limit_denominator(10**6)
    return candidate if abs(mpmath.mpf(candidate.p) / candidate.q - x) < mpmath.mpf(10) ** -34 * (1 + abs(x)) else None


def _log_of(ratio: Rational | None) -> Expr | None:
    return log(ratio) if ratio is not None and ratio > 0 else None
