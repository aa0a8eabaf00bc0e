"""The regimes of an expression with switches: which side of each holds, all consistent choices.

Switches are compared as products of irreducible factors. Those whose sign the assumptions decide
have one side; factors that differ by a positive factor change together.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import sympy as sp
from sympy import Expr

from proofs.engines.base import CannotExpress

_SWITCHES = (sp.Min, sp.Max, sp.Abs, sp.sign, sp.Heaviside)
_MOST = 4


def regimes(expr: Expr) -> list[Expr]:
    """Return the expression in each open regime; at the borders nothing is claimed."""
    if not expr.has(*_SWITCHES):
        return [expr]
    plain = expr.replace(lambda e: isinstance(e, sp.Min | sp.Max), _as_magnitude)
    factors = sorted({f for e in plain.atoms(sp.Abs, sp.sign, sp.Heaviside) for f in _open_factors(e.args[0])}, key=str)
    if len(factors) > _MOST:
        raise CannotExpress(f"{len(factors)} switches")
    cases = []
    for signs in product((1, -1), repeat=len(factors)):
        chosen = dict(zip(factors, signs, strict=True))
        cases.append(plain.replace(lambda e: isinstance(e, sp.Abs | sp.sign | sp.Heaviside), _Chosen(chosen)))
    return cases


class _Chosen:
    """Replaces a switch by its value where the open factors have these signs."""

    def __init__(self, signs: dict[Expr, int]) -> None:
        self.signs = signs

    def __call__(self, node: Expr) -> Expr:
        sign = sp.Integer(1)
        for factor in _factors(node.args[0]):
            if factor in self.signs:
                sign *= self.signs[factor]
            elif -factor in self.signs:
                sign *= -self.signs[-factor]
            else:
                sign *= 1 if factor.is_positive else -1
        if isinstance(node, sp.Abs):
            return sign * node.args[0]
        return sign if isinstance(node, sp.sign) else (1 + sign) / 2


def _as_magnitude(node: Expr) -> Expr:
    """max(a, b) = (a + b + |a - b|)/2, min with a minus."""
    best = node.args[0]
    for other in node.args[1:]:
        distance = sp.Abs(sp.factor(best - other))
        best = (best + other + (distance if isinstance(node, sp.Max) else -distance)) / 2
    return best


@lru_cache(maxsize=1024)
def _factors(expr: Expr) -> tuple[Expr, ...]:
    """The factors of a switch, odd powers once; log(a) - log(b) has the sign of a - b."""
    opened = sp.logcombine(expr, force=True) if expr.has(sp.log) else expr
    if isinstance(opened, sp.log):
        opened = sp.numer(sp.together(opened.args[0] - 1))
    parts = []
    for factor in sp.Mul.make_args(sp.factor(opened)):
        base, power = factor.as_base_exp()
        if power.is_Integer and power % 2 == 0:
            continue
        parts.append(base)
    return tuple(parts)


def _open_factors(expr: Expr) -> list[Expr]:
    found = []
    for factor in _factors(expr):
        if factor.is_positive or factor.is_negative:
            continue
        found.append(factor if sp.default_sort_key(factor) <= sp.default_sort_key(-factor) else -factor)
    return found
