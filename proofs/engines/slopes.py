"""Derivatives of expressions: the elementary rules, each part differentiated once.

SymPy's own `diff` visits a part as often as it occurs, and builds a Derivative at each visit. What is no
sum, product, power, exponential or logarithm is left to it.
"""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Integer, Symbol

from proofs.statements import sg

_ZERO, _ONE = Integer(0), Integer(1)


class Slopes:
    """Derivatives by one symbol; what was differentiated is remembered as long as this is."""

    def __init__(self, symbol: Symbol) -> None:
        self.symbol = symbol
        self._known: dict[Expr, Expr] = {symbol: _ONE}

    def of(self, e: Expr) -> Expr:
        """Return the derivative; what is detached counts as a number."""
        found = self._known.get(e)
        if found is None:
            found = self._known[e] = self._derived(e)
        return found

    def _derived(self, e: Expr) -> Expr:
        if not e.args or isinstance(e, sg):
            return _ZERO
        if e.is_Add:
            return sp.Add(*(slope for part in e.args if (slope := self.of(part)) is not _ZERO))
        if e.is_Mul:
            return self._product(e)
        if isinstance(e, sp.exp):
            slope = self.of(e.args[0])
            return _ZERO if slope is _ZERO else e * slope
        if isinstance(e, sp.log):
            slope = self.of(e.args[0])
            return _ZERO if slope is _ZERO else slope / e.args[0]
        if e.is_Pow and self.of(e.exp) is _ZERO:
            slope = self.of(e.base)
            # one product: a number alone would be distributed over a sum
            return _ZERO if slope is _ZERO else sp.Mul(e.exp, e, 1 / e.base, slope)
        return sp.diff(e, self.symbol) if e.has(self.symbol) else _ZERO

    def _product(self, e: Expr) -> Expr:
        terms = []
        for i, part in enumerate(e.args):
            slope = self.of(part)
            if slope is not _ZERO:
                terms.append(sp.Mul(*e.args[:i], slope, *e.args[i + 1 :]))
        return sp.Add(*terms)


def derivative(e: Expr, symbol: Symbol) -> Expr:
    """Return the derivative of an expression by a symbol."""
    return Slopes(symbol).of(sp.sympify(e))
