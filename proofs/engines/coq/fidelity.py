"""Every text that Coq is asked about is read back and compared with the expression that was meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

import sympy as sp
from sympy import Expr, Rational, Symbol

from proofs.engines.base import CannotExpress
from proofs.engines.coq.parser import DoesNotParse, read
from proofs.engines.coq.printer import coq, names_of
from proofs.statements import DK, K, Total

_DIGITS = 30
_TOLERANCE = Rational(1, 10**20)


class Mistranslated(Exception):
    """A defect of the engine: the text does not say what the expression says."""


def faithful(expr: Expr, names: Mapping[Symbol, str] | None = None) -> str:
    """Return the Coq text of an expression, read back and compared.

    Raises CannotExpress where there is no text, Mistranslated where it says something else.
    """
    expr = sp.sympify(expr)
    names = names_of(expr) if names is None else names
    text = coq(expr, names)
    compare(expr, text, names)
    return text


def compare(expr: Expr, text: str, names: Mapping[Symbol, str]) -> None:
    """Raise Mistranslated unless the text stands for the expression, in form and at rational points."""
    symbols = {name: symbol for symbol, name in names.items()}
    if len(symbols) != len(names):
        raise CannotExpress("two quantities of one name")
    try:
        back = read(text, symbols)
    except DoesNotParse as reason:
        raise Mistranslated(f"{text}: {reason}") from reason
    if not (_same_form(expr, back) and _same_numbers(expr, back, names)):
        raise Mistranslated(f"{text} stands for {back}, not for {expr}")


def _same_form(expr: Expr, back: Expr) -> bool:
    if expr == back or _rebuilt(expr) == back:
        return True
    return bool(sp.expand(_rebuilt(expr) - back) == 0)


def _rebuilt(expr: Expr) -> Expr:
    """The expression with SymPy's own evaluation of every part, as reading gives it."""
    return expr if not expr.args else expr.func(*(_rebuilt(a) for a in expr.args))


def _same_numbers(expr: Expr, back: Expr, symbols: Iterable[Symbol]) -> bool:
    used = sorted({*symbols} | expr.free_symbols | back.free_symbols, key=str)
    for k in (1, 2):
        point = {s: _number(i, k) for i, s in enumerate(used)}
        other = {s: _number(i, k + 2) for i, s in enumerate(used)}
        difference = _at(expr, point, other) - _at(back, point, other)
        if not abs(sp.N(difference, _DIGITS)) < _TOLERANCE:
            return False
    return True


def _number(index: int, k: int) -> Rational:
    value = Fraction(3 * index + 2 * k + 1, 7 + 2 * k + (index * index) % 5)
    return Rational(value.numerator, value.denominator)


def _at(expr: Expr, point: Mapping[Symbol, Expr], other: Mapping[Symbol, Expr]) -> Expr:
    """The number at a point; a sum is of two tokens, and arbitrary functions are some that are not alike."""
    x = sp.Dummy()
    written = expr.replace(Total, lambda body: body.subs(point) + body.subs(other) * 3)
    written = written.replace(K, sp.Lambda(x, x**3 + sp.sin(x))).replace(DK, sp.Lambda(x, x**4 - sp.cos(2 * x)))
    return written.subs(point)
