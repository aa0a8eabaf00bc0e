"""Cuts the space of an expression with Abs, sign, Min, Max or Piecewise into cells where it is smooth.

A *switch* is an expression whose sign decides which branch holds. Each is below, at or above zero,
and that is followed from the inside out; where a switch changes sign at known values of one symbol,
the cells are intervals and points of that symbol, and none is visited that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import sympy as sp
from sympy import Expr, S, Symbol

from proofs.normal_form import normal_form

MAX_CELLS = 400


class TooManyCells(ArithmeticError):
    """More than MAX_CELLS cells, or a condition that is no comparison."""


@dataclass(frozen=True)
class Box:
    """For each symbol an open interval, or a point (both ends equal)."""

    sides: tuple[tuple[Symbol, Expr, Expr], ...] = ()

    def side(self, symbol: Symbol) -> tuple[Expr, Expr]:
        """The interval of one symbol: all that its assumptions allow unless it was narrowed."""
        for name, low, high in self.sides:
            if name == symbol:
                return low, high
        return (S.Zero if symbol.is_positive else S.NegativeInfinity), S.Infinity

    def narrowed(self, symbol: Symbol, low: Expr, high: Expr) -> Box:
        """The box with another interval for one symbol."""
        kept = tuple(side for side in self.sides if side[0] != symbol)
        return Box((*kept, (symbol, low, high)))


@dataclass(frozen=True)
class Cell:
    """A piece of space and the smooth expression that holds there.

    `signs` are the switches that could not be solved for a symbol. `point` lies inside the cell,
    where there are none of those.
    """

    box: Box
    expr: Expr
    signs: tuple[tuple[Expr, int], ...] = field(default=())

    @property
    def point(self) -> dict[Symbol, Expr] | None:
        """A point inside the cell, for the symbols that it narrows."""
        if self.signs:
            return None
        return {symbol: between(low, high) for symbol, low, high in self.box.sides}


def cells(expr: Expr) -> Iterator[Cell]:
    """Yield the cells of `expr`; together they are the whole space.

    At an exactly known point the symbol is replaced by its value.
    """
    pending: list[tuple[Box, dict[Expr, int]]] = [(Box(), {})]
    count = 0
    while pending:
        box, signs = pending.pop()
        count += 1
        if count > MAX_CELLS:
            raise TooManyCells(f"more than {MAX_CELLS} cells")
        walk = _Walk(box, signs)
        try:
            smooth = walk.smooth(expr)
        except _Open as question:
            pending.extend(reversed(list(_branches(question.switch, box, signs))))
            continue
        points = {s: low for s, low, high in box.sides if low == high and not low.has(sp.Float)}
        for switch, sign in signs.items():
            if sign == 0:
                points |= _solution(switch)
        yield Cell(box, smooth.subs(points) if points else smooth, tuple(signs.items()))


def _solution(switch: Expr) -> dict[Symbol, Expr]:
    """Where a switch that is linear in one of its symbols vanishes."""
    for symbol in sorted(switch.free_symbols, key=lambda s: str(s.name)):
        rate = switch.diff(symbol)
        if rate.is_Rational:
            return {symbol: symbol - switch / rate}
    return {}


def by_intervals(expr: Expr, symbol: Symbol) -> Expr:
    """Rewrite an expression of one symbol as a Piecewise over consecutive intervals.

    Where an end is not known exactly, or a condition not solved, the expression is returned as it is.
    """
    found = sorted(((*cell.box.side(symbol), cell) for cell in cells(expr)), key=lambda c: c[:2])
    if any(cell.signs or low.has(sp.Float) or high.has(sp.Float) for low, high, cell in found):
        return expr
    branches: list[tuple[Expr, sp.Basic]] = []
    for low, high, cell in found:
        value = normal_form(cell.expr).expr
        if branches and (branches[-1][0] == value or (low == high and _meets(branches, value, symbol))):
            value = branches.pop()[0]
        end = symbol <= high if low == high else symbol < high
        branches.append((value, end if high.is_finite else sp.true))
    return sp.Piecewise(*branches)


def _meets(branches: list[tuple[Expr, sp.Basic]], value: Expr, symbol: Symbol) -> bool:
    """Whether the last branch, continued to its end, has this value there."""
    last, condition = branches[-1]
    return not normal_form(last.subs(symbol, condition.rhs) - value).terms


class _Open(Exception):
    """The sign of this switch is not known in the cell."""

    def __init__(self, switch: Expr) -> None:
        super().__init__(str(switch))
        self.switch = switch


def _branches(switch: Expr, box: Box, signs: dict[Expr, int]) -> Iterator[tuple[Box, dict[Expr, int]]]:
    roots = _roots(switch)
    if roots is None:
        for value in (-1, 0, 1):
            yield box, {**signs, switch: value}
        return
    (symbol,) = switch.free_symbols
    low, high = box.side(symbol)
    cuts = [root for root in roots if low < root and root < high]
    for start, end in zip([low, *cuts], [*cuts, high], strict=True):
        yield box.narrowed(symbol, start, end), signs
        if end is not high:
            yield box.narrowed(symbol, end, end), signs


def _roots(switch: Expr) -> list[Expr] | None:
    """The values of its one symbol where a switch is zero, in order; None where they are not known."""
    from proofs.roots import Undetermined, real_roots

    if len(switch.free_symbols) != 1:
        return None
    (symbol,) = switch.free_symbols
    try:
        return real_roots(switch, symbol)
    except Undetermined:
        return None


def between(low: Expr, high: Expr) -> Expr:
    """Return a simple point inside an open interval, or the point itself."""
    if low == high:
        return low
    if low.is_infinite and high.is_infinite:
        return S.Zero
    if low.is_infinite:
        return sp.floor(high) - 1
    return sp.ceiling(low) + 1 if high.is_infinite else (low + high) / 2


class _Walk:
    """One walk through an expression in one cell."""

    def __init__(self, box: Box, signs: dict[Expr, int]) -> None:
        self.box = box
        self.signs = signs

    def smooth(self, expr: Expr) -> Expr:
        if not expr.has(sp.Abs, sp.sign, sp.Min, sp.Max, sp.Piecewise, sp.Heaviside, sp.ITE):
            return expr
        if isinstance(expr, sp.Piecewise):
            for value, condition in expr.args:
                if self.holds(condition):
                    return self.smooth(value)
            return S.NaN
        parts = [self.smooth(part) for part in expr.args]
        if isinstance(expr, sp.Abs):
            return self.sign(parts[0]) * parts[0]
        if isinstance(expr, sp.sign):
            return sp.Integer(self.sign(parts[0]))
        if isinstance(expr, sp.Heaviside):
            sign = self.sign(parts[0])
            return parts[1] if sign == 0 else sp.Integer(sign > 0)
        if isinstance(expr, sp.Min | sp.Max):
            wanted = 1 if isinstance(expr, sp.Max) else -1
            best = parts[0]
            for part in parts[1:]:
                if self.sign(part - best) == wanted:
                    best = part
            return best
        return expr.func(*parts)

    def holds(self, condition: sp.Basic) -> bool:
        if condition in (sp.true, sp.false):
            return condition is sp.true
        if isinstance(condition, sp.Not):
            return not self.holds(condition.args[0])
        if isinstance(condition, sp.And):
            return all(self.holds(part) for part in condition.args)
        if isinstance(condition, sp.Or):
            return any(self.holds(part) for part in condition.args)
        if isinstance(condition, sp.ITE):
            test, yes, no = condition.args
            return self.holds(yes if self.holds(test) else no)
        signs = _HOLDS.get(type(condition))
        if signs is None:
            raise TooManyCells(f"{condition} is not a comparison")
        difference = self.smooth(condition.lhs) - self.smooth(condition.rhs)
        return self.sign(difference) in signs

    def sign(self, expr: Expr) -> int:
        """The sign of `expr` in this cell; raises _Open where it takes more than one."""
        form = normal_form(expr)
        if not form.terms:
            return 0
        switch = form.expr
        if not switch.free_symbols:
            return int(sp.sign(switch))
        if switch.is_positive or switch.is_negative:
            return 1 if switch.is_positive else -1
        for known, value in self.signs.items():
            ratio = switch / known
            if ratio.is_Rational:
                return value if ratio > 0 else -value
        roots = _roots(switch)
        if roots is None:
            raise _Open(switch)
        (symbol,) = switch.free_symbols
        low, high = self.box.side(symbol)
        if low == high and low in roots:
            return 0
        if any(low < root and root < high for root in roots):
            raise _Open(switch)
        return _sign_of_number(switch.subs(symbol, between(low, high)))


_HOLDS: dict[type, tuple[int, ...]] = {
    sp.StrictLessThan: (-1,),
    sp.LessThan: (-1, 0),
    sp.StrictGreaterThan: (1,),
    sp.GreaterThan: (0, 1),
    sp.Equality: (0,),
    sp.Unequality: (-1, 1),
}


def _sign_of_number(number: Expr) -> int:
    value = number.evalf(30)
    return int(sp.sign(value))
