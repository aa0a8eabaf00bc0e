"""The steps of one derivation, and the check that each of them is true."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.base import CannotExpress
from proofs.rewriting.numbers import DIGITS, evaluate, exactly
from proofs.statements import DK, K
from proofs.steps import Step

_DIGITS = 40
_POINTS = 3
_TOLERANCE = sp.Float("1e-25")
_TINY = DIGITS.mpf("1e-25")


class BrokenStep(AssertionError):
    """A rewrite step whose two sides differ."""


@dataclass(frozen=True)
class Trail:
    """The steps; whether both sides met (`closed`), and whether that proves the theorem (`proves`)."""

    steps: tuple[Step, ...]
    closed: bool
    proves: bool = True
    scope: str = "any vocabulary"


def audited(before: Expr, after: Expr, rule: str) -> Expr:
    """Return `after`, once both agree to many digits at rational points."""
    if before == after:
        return after
    symbols = sorted(before.free_symbols | after.free_symbols, key=str)
    draw = random.Random(7)
    for _ in range(_POINTS):
        drawn = {s: _number(s, draw) for s in symbols}
        if _agree(before, after, drawn):
            continue
        point = {s: sp.Rational(x.numerator, x.denominator) for s, x in drawn.items()}
        left, right = (_concrete(side).subs(point).evalf(_DIGITS) for side in (before, after))
        if left.is_comparable and right.is_comparable and abs(left - right) > _TOLERANCE * (1 + abs(left)):
            raise BrokenStep(f"{rule}: {before} is not {after} at {point}")
    return after


def _agree(before: Expr, after: Expr, point: Mapping[Symbol, Fraction]) -> bool:
    """Whether mpmath alone sees that both agree; where it sees no real numbers or a gap, SymPy looks closer."""
    values = {s: exactly(DIGITS, x) for s, x in point.items()}
    try:
        left, right = (evaluate(side, values, DIGITS) for side in (before, after))
        return bool(abs(left - right) <= _TINY * (1 + abs(left)))
    except (CannotExpress, ArithmeticError, TypeError, ValueError):
        return False


def _number(symbol: Symbol, draw: random.Random) -> Fraction:
    return Fraction(draw.randint(1 if symbol.is_positive else -90, 90), 71)


def _concrete(expr: Expr) -> Expr:
    """An arbitrary function by a concrete one, the cube."""
    return expr.replace(K, lambda x: x**3).replace(DK, lambda x: 3 * x**2)


def without_constants(expr: Expr, varying: Iterable[Symbol]) -> Expr:
    """Drop the terms of a sum that are the same on all tokens."""
    names = tuple(varying)
    return sp.Add(*(term for term in sp.Add.make_args(sp.expand(expr)) if term.has(*names)))


def shortest(*forms: Expr) -> Expr:
    """Return the first of the forms with the fewest operations, then letters."""
    different = dict.fromkeys(forms)
    if len(different) > 1:
        operations = {form: sp.count_ops(form) for form in different}
        fewest = min(operations.values())
        different = dict.fromkeys(form for form, number in operations.items() if number == fewest)
    return next(iter(different)) if len(different) == 1 else min(different, key=lambda form: len(str(form)))
