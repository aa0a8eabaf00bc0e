"""Rational expressions on a row of points in the field, and their slopes by the rules of differentiation.

A row is a list of Python's integers: for the few answers of a tree they are faster than vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sympy import Expr, Symbol

from proofs.engines.abstraction import Unknown
from proofs.engines.base import CannotExpress
from proofs.engines.modular.field import PRIME, inverse, number

Row = list[int]


class Rows:
    """Values and slopes of expressions, from those of their symbols."""

    def __init__(self, values: dict[Symbol, Row], count: int) -> None:
        self.values = values
        self.count = count
        self._known: dict[Expr, Row] = {}

    def value(self, e: Expr) -> Row:
        """Return the values; raises CannotExpress for what is no rational function."""
        if e.is_Symbol:
            return self.values[e]
        found = self._known.get(e)
        if found is None:
            found = self._known[e] = self._computed(e)
        return found

    def _computed(self, e: Expr) -> Row:
        if e.is_Rational:
            return [number(int(e.p), int(e.q))] * self.count
        if e.is_Add:
            return [sum(column) % PRIME for column in zip(*map(self.value, e.args), strict=True)]
        if e.is_Mul:
            return self._product(e.args)
        if e.is_Pow and e.exp.is_Integer:
            return powers(self.value(e.base), int(e.exp))
        raise CannotExpress(f"{type(e).__name__}: a finite field has no order")

    def _product(self, parts: Iterable[Expr]) -> Row:
        result = [1] * self.count
        for part in parts:
            result = times(result, self.value(part))
        return result

    def slopes(self, e: Expr, unknowns: Sequence[Unknown], rates: dict[Symbol, Row]) -> dict[Symbol, Row]:
        """Return the slopes by every symbol that moves: those of `rates`, and others through unknowns.

        `rates` are the slopes of unknowns by their arguments. An argument has no unknown but those before.
        """
        found: dict[Symbol, Row] = {}
        self._enter(e, [1] * self.count, found)
        for unknown in reversed(unknowns):
            if unknown.symbol in found:
                self._enter(unknown.argument, times(found[unknown.symbol], rates[unknown.symbol]), found)
        return found

    def _enter(self, e: Expr, weight: Row, found: dict[Symbol, Row]) -> None:
        """Add the weight times the expression's slopes."""
        if e.is_Symbol:
            known = found.get(e)
            found[e] = weight if known is None else [(a + b) % PRIME for a, b in zip(known, weight, strict=True)]
        elif e.is_Add:
            for part in e.args:
                self._enter(part, weight, found)
        elif e.is_Mul:
            for i, part in enumerate(e.args):
                if not part.is_Rational:
                    others = self._product((*e.args[:i], *e.args[i + 1 :]))
                    self._enter(part, times(weight, others), found)
        elif e.is_Pow:
            n = int(e.exp)
            slope = [n * x for x in powers(self.value(e.base), n - 1)]
            self._enter(e.base, times(weight, slope), found)


def times(a: Row, b: Row) -> Row:
    """Return the products."""
    return [x * y % PRIME for x, y in zip(a, b, strict=True)]


def powers(row: Row, n: int) -> Row:
    """Return the powers; raises Zero for the inverse of 0."""
    if n < 0:
        row, n = [inverse(x) for x in row], -n
    return row if n == 1 else [pow(x, n, PRIME) for x in row]
