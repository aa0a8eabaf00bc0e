"""A vocabulary drawn from the field: probabilities, logarithms and whatever else a statement names.

Every quantity is drawn once for its name. Logarithms, exponentials and values of functions are numbers
of their own; probabilities are squares, so that their roots are there too.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import cache

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from proofs.engines.abstraction import Abstraction
from proofs.engines.base import CannotExpress
from proofs.engines.modular.field import PRIME, Element, Vector, add, multiply, number, power, root, total
from proofs.symbols import REWARD, M, P, Q

TOKEN = (P, Q, M, REWARD)
ONES: Mapping[Symbol, Expr] = {P: sp.Integer(1), Q: sp.Integer(1), M: sp.Integer(1)}
_KEPT = 96


class World:
    """V tokens, and everything drawn for them."""

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self._draw = np.random.default_rng(seed)
        self._drawn: dict[object, Element] = {}
        self._computed: OrderedDict[object, Element] = OrderedDict()

    def vector(self, key: object) -> Vector:
        """Return the vector of this name."""
        if key not in self._drawn:
            self._drawn[key] = self._draw.integers(1, PRIME, self.size, dtype=np.uint64)
        return self._drawn[key]  # type: ignore[no-any-return]

    def constant(self, key: object) -> int:
        """Return the number of this name."""
        if key not in self._drawn:
            self._drawn[key] = int(self._draw.integers(1, PRIME, dtype=np.uint64))
        return self._drawn[key]  # type: ignore[no-any-return]

    def square_row(self, name: str, mass: int) -> tuple[Vector, Vector]:
        """Return probabilities that sum to the mass, and their roots."""
        key = ("row", name, mass)
        if key not in self._drawn:
            roots = self._draw.integers(1, PRIME, self.size, dtype=np.uint64)
            last = None
            while last is None or last == 0:
                roots[0] = self._draw.integers(1, PRIME, dtype=np.uint64)
                squares = multiply(roots, roots)
                last = root((mass - total(squares[:-1], 0)) % PRIME)
            roots[-1] = last
            self._drawn[key] = (multiply(roots, roots), roots)
        return self._drawn[key]  # type: ignore[no-any-return]

    def evaluate(self, e: Expr, values: Mapping[Symbol, Element], key: object = None) -> Element:
        """Return the value of a rational expression; `key` marks which values they are, for reuse."""
        if e.is_Rational:
            return number(int(e.p), int(e.q))
        if e.is_Symbol:
            return values[e]
        known = (key, e)
        if key is not None and any("_of_" in s.name for s in e.free_symbols):
            key = None  # that name means another thing in another statement
        if key is not None and known in self._computed:
            self._computed.move_to_end(known)
            return self._computed[known]
        value = self._value(e, values, key)
        if key is not None and not isinstance(value, int):
            self._computed[known] = value
            if len(self._computed) > _KEPT:
                self._computed.popitem(last=False)
        return value

    def _value(self, e: Expr, values: Mapping[Symbol, Element], key: object) -> Element:
        if isinstance(e, sp.Add | sp.Mul):
            result = self.evaluate(e.args[0], values, key)
            for part in e.args[1:]:
                other = self.evaluate(part, values, key)
                result = add(result, other) if isinstance(e, sp.Add) else multiply(result, other)
            return result
        if isinstance(e, sp.Pow) and e.exp.is_Integer:
            return power(self.evaluate(e.base, values, key), int(e.exp))
        raise CannotExpress(f"{type(e).__name__}: a finite field has no order")

    def mass(self, mass: Expr) -> int:
        """Return the value of a mass, a rational or an expression in constants."""
        e = sp.sympify(mass)
        return int(self.evaluate(e, {s: self.constant(s) for s in e.free_symbols}))

    def values(
        self, abstraction: Abstraction, symbols: set[Symbol], masses: Mapping[Symbol, Expr] = ONES
    ) -> dict[Symbol, Element]:
        """Return a value for each symbol and unknown; raises CannotExpress for a root of something composed."""
        rows = {who: self.square_row(str(who), self.mass(masses[who])) for who in (P, Q, M)}
        found: dict[Symbol, Element] = {who: row[0] for who, row in rows.items()}
        found[REWARD] = self.vector(REWARD)
        for symbol in sorted(symbols - {*TOKEN, *abstraction.unknowns}, key=str):
            found[symbol] = self.constant(symbol)
        moving = abstraction.depends_on(TOKEN)
        for unknown in abstraction.unknowns.values():
            if unknown.kind == "root":
                if unknown.degree != 2 or unknown.argument not in rows:
                    raise CannotExpress(f"a root of {unknown.argument}")
                found[unknown.symbol] = rows[unknown.argument][1]
                continue
            name = unknown.symbol.name.rpartition("_of_")[0] if unknown.kind == "function" else unknown.kind
            key = (name, unknown.argument)
            found[unknown.symbol] = self.vector(key) if unknown.symbol in moving else self.constant(key)
        return found


@cache
def world(size: int, seed: int) -> World:
    """Return the world of this size and seed, drawn once."""
    return World(size, seed)
