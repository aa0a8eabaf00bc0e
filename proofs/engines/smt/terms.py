"""Prints expressions as SMT-LIB terms, as a numerator over positive powers of factors.

Division is left to nobody: solvers treat it as a function with side conditions, and polynomial
arithmetic, which they are good at, is lost. So both sides of an equation are brought over their own
denominators here, which are only multiplied out, never cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress

_RESERVED = {"lambda", "exp", "let", "par", "forall", "exists", "sin", "cos", "abs", "and", "or", "not", "match", "as"}


@dataclass(frozen=True)
class Fraction:
    """A numerator, and the factors of the denominator with their powers."""

    numerator: str
    denominator: Mapping[str, int] = field(default_factory=dict)


def name_of(symbol: Symbol) -> str:
    """Return the symbol's name as SMT-LIB has it."""
    name = str(symbol.name)
    return f"{name}_" if name in _RESERVED else name


def number(value: Expr) -> str:
    """Return a rational as a literal: (/ (- 1.0) 3.0)."""
    p, q = int(value.p), int(value.q)
    top = f"(- {-p}.0)" if p < 0 else f"{p}.0"
    return top if q == 1 else f"(/ {top} {q}.0)"


class Printer:
    """Prints terms; remembers which denominators have to be other than zero."""

    def __init__(self) -> None:
        self.positive: dict[str, bool] = {}
        """For each factor of a denominator, whether the assumptions make it positive."""

    def equation(self, left: Expr, right: Expr) -> str:
        """Return left = right, multiplied by both denominators."""
        a, b = self.fraction(left), self.fraction(right)
        common = _common((a, b))
        return f"(= {_over(a, common)} {_over(b, common)})"

    def comparison(self, operator: str, left: Expr, right: Expr) -> str:
        """Return left < right or the like; raises CannotExpress if a denominator may be negative."""
        a, b = self.fraction(left), self.fraction(right)
        common = self._positive(_common((a, b)))
        return f"({operator} {_over(a, common)} {_over(b, common)})"

    def conditions(self) -> list[str]:
        """Return, for each denominator that is not positive anyway, that it is not zero."""
        return [f"(distinct {factor} 0.0)" for factor, positive in sorted(self.positive.items()) if not positive]

    def fraction(self, e: Expr) -> Fraction:
        """Return the expression as a fraction; raises CannotExpress for what is no polynomial or switch."""
        if e.is_Rational:
            return Fraction(number(e))
        if e.is_Symbol:
            return Fraction(name_of(e))
        if isinstance(e, sp.Add):
            return self._sum(self._ordered(e.args))
        if isinstance(e, sp.Mul):
            return _product(self._ordered(e.args))
        if isinstance(e, sp.Pow) and e.exp.is_Integer:
            return self._power(e.base, int(e.exp))
        if isinstance(e, sp.Min | sp.Max):
            return self._extreme(e)
        if isinstance(e, sp.Abs | sp.sign | sp.Heaviside):
            return self._by_sign(e)
        if isinstance(e, sp.Piecewise):
            return self._cases(e)
        raise CannotExpress(f"{type(e).__name__} in polynomial arithmetic")

    def condition(self, e: sp.Basic) -> str:
        """Return a condition as a term."""
        if e in (sp.true, sp.false):
            return str(e).lower()
        if isinstance(e, sp.And | sp.Or | sp.Not):
            word = {sp.And: "and", sp.Or: "or", sp.Not: "not"}[type(e)]
            return f"({word} {' '.join(sorted(self.condition(part) for part in e.args))})"
        if isinstance(e, sp.Eq):
            return self.equation(*e.args)
        if isinstance(e, sp.Ne):
            return f"(not {self.equation(*e.args)})"
        operators = ((sp.Gt, ">"), (sp.Ge, ">="), (sp.Lt, "<"), (sp.Le, "<="))
        for kind, operator in operators:
            if isinstance(e, kind):
                return self.comparison(operator, *e.args)
        raise CannotExpress(f"the condition {e}")

    def _ordered(self, parts: Iterable[Expr]) -> list[Fraction]:
        """By their text: SymPy's own order may depend on its version."""
        return sorted(
            map(self.fraction, parts), key=lambda f: (len(f.numerator), f.numerator, sorted(f.denominator.items()))
        )

    def _power(self, base: Expr, power: int) -> Fraction:
        inner = self.fraction(base)
        if power >= 0:
            return _product([inner] * power) if power else Fraction("1.0")
        positive = bool(base.is_positive) and all(self.positive[factor] for factor in inner.denominator)
        self.positive[inner.numerator] = self.positive.get(inner.numerator, False) or positive
        top = [text for text, count in inner.denominator.items() for _ in range(-power * count)]
        return Fraction(_times(top), {inner.numerator: -power})

    def _sum(self, terms: list[Fraction]) -> Fraction:
        common = _common(terms)
        return Fraction(_plus([_over(term, common) for term in terms]), common)

    def _extreme(self, e: Expr) -> Fraction:
        parts = self._ordered(e.args)
        common = self._positive(_common(parts))
        operator = "<=" if isinstance(e, sp.Min) else ">="
        best, *others = [_over(part, common) for part in parts]
        for other in others:
            best = f"(ite ({operator} {best} {other}) {best} {other})"
        return Fraction(best, common)

    def _by_sign(self, e: Expr) -> Fraction:
        inner = self.fraction(e.args[0])
        self._positive(inner.denominator)
        x = inner.numerator
        if isinstance(e, sp.Abs):
            return Fraction(f"(ite (>= {x} 0.0) {x} (- {x}))", inner.denominator)
        below = "(- 1.0)" if isinstance(e, sp.sign) else "0.0"
        between = "0.0" if isinstance(e, sp.sign) else number(e.args[1])
        return Fraction(f"(ite (> {x} 0.0) 1.0 (ite (< {x} 0.0) {below} {between}))")

    def _cases(self, e: Expr) -> Fraction:
        pieces = [(self.fraction(value), condition) for value, condition in e.args]
        if pieces[-1][1] != sp.true:
            raise CannotExpress("a piecewise expression that is not defined everywhere")
        common = _common([piece for piece, _ in pieces])
        text = _over(pieces[-1][0], common)
        for piece, condition in reversed(pieces[:-1]):
            text = f"(ite {self.condition(condition)} {_over(piece, common)} {text})"
        return Fraction(text, common)

    def _positive(self, denominator: Mapping[str, int]) -> Mapping[str, int]:
        if not all(self.positive[factor] for factor in denominator):
            raise CannotExpress("an order of fractions whose denominators may be negative")
        return denominator


def _common(terms: Iterable[Fraction]) -> dict[str, int]:
    common: dict[str, int] = {}
    for term in terms:
        for factor, power in term.denominator.items():
            common[factor] = max(power, common.get(factor, 0))
    return common


def _over(term: Fraction, common: Mapping[str, int]) -> str:
    """The numerator over the common denominator."""
    missing = [factor for factor, power in common.items() for _ in range(power - term.denominator.get(factor, 0))]
    return _times([term.numerator, *missing])


def _product(parts: list[Fraction]) -> Fraction:
    denominator: dict[str, int] = {}
    for part in parts:
        for factor, power in part.denominator.items():
            denominator[factor] = denominator.get(factor, 0) + power
    return Fraction(_times([part.numerator for part in parts]), denominator)


def _times(factors: list[str]) -> str:
    kept = [factor for factor in factors if factor != "1.0"]
    if "0.0" in kept:
        return "0.0"
    return kept[0] if len(kept) == 1 else f"(* {' '.join(kept)})" if kept else "1.0"


def _plus(terms: list[str]) -> str:
    return terms[0] if len(terms) == 1 else f"(+ {' '.join(terms)})"
