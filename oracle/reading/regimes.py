"""Regimes: which branch of each selection holds at given numbers, and what the formula is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath
import sympy as sp
from sympy.logic.boolalg import Boolean

from oracle.reading.atoms import Select, Unread, causes

_TIE = 1e-9
_POINTS: dict[type, Any] = {
    sp.exp: mpmath.exp, sp.log: mpmath.log, sp.tanh: mpmath.tanh, sp.sinh: mpmath.sinh, sp.cosh: mpmath.cosh,
    sp.Abs: abs, sp.sign: mpmath.sign, sp.sin: mpmath.sin, sp.cos: mpmath.cos, sp.atan: mpmath.atan,
    sp.asinh: mpmath.asinh, sp.erf: mpmath.erf,
}  # fmt: skip


def one_sign(e: Any) -> Any:
    """sign(x)^2 is 1 but at one point; |x|, as SymPy writes the root of x^2, is x sign(x)."""
    if e.has(sp.Abs):
        e = e.replace(sp.Abs, lambda x: x * sp.sign(x))
    if not e.has(sp.sign):
        return e
    return sp.expand(e).replace(
        lambda x: isinstance(x, sp.Pow) and isinstance(x.base, sp.sign) and x.exp.is_Integer,
        lambda x: sp.Integer(1) if x.exp % 2 == 0 else x.base,
    )


class Regime:
    """Resolves selections at one point; keeps the conditions it met, so that the regime can be stated.

    ``strict``: a tie between expressions that are not identical ends the reading; else it counts as equality.
    ``kinks``: a selection by the sign of one log-ratio whose name starts so (|L|, min(rho, 1)) has no one branch near
    policy = reference = sampler; it is kept, written with sign().
    """

    def __init__(self, point: Mapping[sp.Symbol, Any], strict: bool = True, kinks: tuple[str, ...] = ()) -> None:
        self.strict = strict
        self.kinks = kinks
        self.point = {k: mpmath.mpf(v) for k, v in point.items()}
        self._resolved: dict[Any, Any] = {}
        self._values: dict[Any, Any] = {}
        self._sides: dict[tuple[sp.Symbol, bool], Regime] = {}
        self.met: dict[Boolean, bool] = {}

    def resolve(self, e: Any) -> Any:
        """The expression with each selection replaced by the branch that holds at the point."""
        if not getattr(e, "args", ()) or not e.has(Select):
            return e
        found = self._resolved.get(e)
        if found is None:
            if isinstance(e, Select) and self.kinks and (side := self._kink(e.args[0])) is not None:
                # each branch as it is where its own side holds: a selection inside it may turn on the same sign
                a, b = self._where(side, 1).resolve(e.args[1]), self._where(side, -1).resolve(e.args[2])
                found = one_sign((a + b) / 2 + side * (a - b) / 2)
            elif isinstance(e, Select):
                found = self.resolve(e.args[1] if self.holds(e.args[0]) else e.args[2])
            else:
                found = e.func(*[self.resolve(a) for a in e.args])
            self._resolved[e] = found
        return found

    def _kink(self, condition: Any) -> Any:
        """sign(x) where the condition says that one log-ratio x is positive (-sign(x): negative); else None."""
        if not isinstance(condition, sp.core.relational.Relational) or isinstance(condition, (sp.Eq, sp.Ne)):
            return None
        difference = sp.expand(self.resolve(condition.lhs) - self.resolve(condition.rhs))
        if isinstance(condition, (sp.Lt, sp.Le)):
            difference = -difference
        symbols = difference.free_symbols
        if len(symbols) > 1:
            return self._scaled(difference, symbols)
        if len(symbols) != 1 or not next(iter(symbols)).name.startswith(self.kinks):
            return None
        (x,) = symbols
        if difference.has(sp.sign):
            return self._bent(condition, difference, x)
        slope = difference / x
        if slope.is_number:
            return sp.sign(x) * (1 if slope > 0 else -1)
        # exp(x) against 1, as in min(rho, 1)
        if difference.subs(x, 0) == 0 and (growth := sp.diff(difference, x)).is_positive:
            return sp.sign(x)
        elif difference.subs(x, 0) == 0 and growth.is_negative:
            return -sp.sign(x)
        return None

    def _scaled(self, difference: Any, symbols: set[sp.Symbol]) -> Any:
        """The same for one log-ratio x times a factor without x, of one sign from here to policy = sampler."""
        if difference.has(sp.sign) or not all(s.name.startswith(("L_", "R_")) for s in symbols):
            return None
        for x in sorted((s for s in symbols if s.name.startswith(self.kinks)), key=str):
            factor = sp.expand(difference / x)
            if x in factor.free_symbols:
                continue
            home = factor.xreplace(dict.fromkeys(symbols, sp.Integer(0)))
            if home.is_number and home != 0 and (home > 0) == bool(self.value(factor) > 0):
                return sp.sign(x) * (1 if home > 0 else -1)
        return None

    def _bent(self, condition: Any, difference: Any, x: sp.Symbol) -> Any:
        """The same for a difference that is a multiple of x on either side, such as max(x, 0) > 0; 1 or -1 where the
        condition holds on both sides, or on none."""
        slopes = [sp.expand(difference.xreplace({sp.sign(x): sp.Integer(s)})) / x for s in (1, -1)]
        if not all(slope.is_number for slope in slopes):
            return None
        equal = isinstance(condition, (sp.Ge, sp.Le))
        right, left = slopes[0] > 0 or (equal and slopes[0] == 0), slopes[1] < 0 or (equal and slopes[1] == 0)
        return sp.Integer(1 if right else -1) if right == left else sp.sign(x) if right else -sp.sign(x)

    def _where(self, side: Any, holds: int) -> Regime:
        """This regime where ``side``, a sign, is 1 or -1; the other log-ratios stay."""
        if not side.free_symbols:
            return self
        (x,) = side.free_symbols
        away = abs(self.point[x]) * holds * (1 if side == sp.sign(x) else -1)
        if away == self.point[x]:
            return self
        key = (x, away > 0)
        if key not in self._sides:
            self._sides[key] = Regime({**self.point, x: away}, self.strict, self.kinks)
        return self._sides[key]

    def holds(self, condition: Any) -> bool:
        """Whether a condition holds at the point; a tie that is not an identity ends the reading."""
        if condition in (sp.true, sp.false):
            return bool(condition)
        if isinstance(condition, sp.Not):
            return not self.holds(condition.args[0])
        if isinstance(condition, sp.And):
            return all(self.holds(a) for a in condition.args)
        if isinstance(condition, sp.Or):
            return any(self.holds(a) for a in condition.args)
        if isinstance(condition, sp.Xor):
            return sum(self.holds(a) for a in condition.args) % 2 == 1
        if not isinstance(condition, sp.core.relational.Relational):
            raise Unread(f"a condition of the kind {type(condition).__name__}")
        left, right = self.resolve(condition.lhs), self.resolve(condition.rhs)
        if left.has(sp.nan) or right.has(sp.nan):
            raise Unread("a comparison with NaN")
        relation = condition.func(left, right)
        if relation in (sp.true, sp.false):
            return bool(relation)
        answer = self._compare(condition.func, left, right)
        self.met[relation] = answer
        return answer

    def _compare(self, relation: Any, left: Any, right: Any) -> bool:
        a, b = self.value(left), self.value(right)
        if mpmath.isnan(a) or mpmath.isnan(b):
            raise Unread("a comparison with NaN")
        difference = mpmath.mpf(0) if a == b else a - b
        if a == b or abs(difference) <= _TIE * (1 + min(abs(a), abs(b))):
            if self.strict and sp.simplify(left - right) != 0:
                raise Unread(f"a tie between {left} and {right}")
            difference = mpmath.mpf(0)
        return bool(relation(sp.Integer(int(mpmath.sign(difference))), 0))

    def value(self, e: Any) -> Any:
        """The value of an expression at the point, in mpmath numbers."""
        found = self._values.get(e)
        if found is None:
            try:
                found = self._value(e)
            except ZeroDivisionError:
                raise Unread("a division by zero") from None
            if not isinstance(found, mpmath.mpf):
                raise Unread("a root or logarithm of a negative number")
            self._values[e] = found
        return found

    def _value(self, e: Any) -> Any:
        if e.is_Symbol:
            if e not in self.point:
                raise Unread((causes(e) or [f"the value of {e}"])[0])
            return self.point[e]
        if e.is_Rational:
            return mpmath.mpf(e.p) / e.q
        if e in (sp.nan, sp.zoo):
            return mpmath.nan
        if e in (sp.oo, -sp.oo):
            return mpmath.inf if e is sp.oo else -mpmath.inf
        if isinstance(e, Select):
            return self.value(e.args[1] if self.holds(e.args[0]) else e.args[2])
        values = [self.value(a) for a in e.args]
        if e.is_Add:
            return mpmath.fsum(values)
        if e.is_Mul:
            return mpmath.fprod(values)
        if e.is_Pow:
            return values[0] ** values[1]
        if type(e) in _POINTS:
            return _POINTS[type(e)](*values)
        return mpmath.mpf(sp.N(e.xreplace(dict(zip(e.args, map(sp.sympify, values), strict=False))), 20))
