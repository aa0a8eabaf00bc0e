"""How one formula in L is computed: a series near 0, and the most accurate arrangement on each side.

Both the arrangements and the width of the series are chosen by the a-priori bound of
`proofs.lowering.accuracy`, for float64 and float32 at once; nothing is measured, so the choice does
not depend on the machine that makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import mpmath
import sympy as sp
from sympy import Expr

from proofs.lowering.accuracy import DIGITS, DOUBLE, FORMATS, Format, estimate, saturated
from proofs.lowering.arrangements import KINKS, arrangements
from proofs.lowering.nodes import Node, NotLowered, in_parts, ordered, polynomial, variable
from proofs.normal_form import normal_form
from proofs.symbols import L
from proofs.taylor import NotAnalytic, numeric_taylor

SERIES_ORDER = 48
WIDTHS = tuple(map(mpmath.mpf, (0.25, 0.5, 1.0, 2.0)))
GOOD_ENOUGH = 16
"""Roundings (half units in the last place) within which a direct formula needs no series."""
_SMALL = (
    *(10.0**-n for n in (30, 20, 12, 8, 6, 4, 3, 2)),
    *(n / 16 for n in (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)),
)
_LARGE = (2.3, 3.0, 4.1, 6.0, 9.0, 14.0, 20.0, 33.0, 44.5, 44.7, 51.0, 72.0, 86.0, 88.5)
_TAIL = (95.0, 103.0, 150.0, 240.0, 350.0, 354.9, 355.1, 500.0, 690.0, 703.0, 709.5, 710.3, 742.0, 1e3)
POINTS = tuple(map(mpmath.mpf, (*_SMALL, *_LARGE, *_TAIL)))
"""Sizes of L at which the bounds are compared; the last are where exp(2 L), exp(L) and L exp(L) leave a format."""


@dataclass(frozen=True)
class Series:
    """x^lead (c_0 + c_1 x + ...) for |L| < width; float32 takes the first `short` coefficients."""

    width: mpmath.mpf
    lead: int
    coefficients: tuple[Expr, ...]
    short: int

    def node(self, form: Format) -> Node:
        """Return the operations that compute it in a format."""
        count = self.short if form.precision < 53 else len(self.coefficients)
        return polynomial(variable(str(L.name)), self.lead, self.coefficients[:count])


@dataclass(frozen=True)
class Plan:
    """A formula in L: `series` near 0 (or none), `above` for L > 0 and `below` for L < 0.

    `roundings` bounds the error, in half units in the last place of the value (or of its change
    under a change of L by one part in one, where the value is near one of its zeros).
    """

    expr: Expr
    above: Node
    below: Node
    series: Series | None
    roundings: dict[str, float]

    @property
    def ends(self) -> tuple[tuple[int, Expr], ...]:
        """The sides (1 or -1) where the operations give no number at an infinite L, and the limit there."""
        found = []
        for side, node in ((1, self.above), (-1, self.below)):
            if mpmath.isnan(saturated(node, {str(L.name): side * mpmath.inf}, DOUBLE)):
                found.append((side, sp.limit(normal_form(self.expr).expr, L, side * sp.oo)))
        return tuple(found)

    @property
    def one_formula(self) -> bool:
        """Whether one arrangement serves both sides, and 0."""
        return self.above == self.below


def plan(expr: Expr) -> Plan:
    """Plan a formula in L alone. Raises NotLowered for what no backend computes."""
    with mpmath.workdps(DIGITS):
        return _plan(expr)


def _plan(expr: Expr) -> Plan:
    judge = _Judge(expr)
    direct = judge.best(0)
    if direct.worst <= GOOD_ENOUGH or expr.has(*KINKS):
        return Plan(expr, *direct.nodes, None, direct.roundings)
    found: list[Plan] = []
    for width in WIDTHS:
        series = _series(expr, width)
        if series is not None:
            inside = judge.of_series(series)
            outside = judge.best(width)
            roundings = {name: max(inside[name], outside.roundings[name]) for name in inside}
            found.append(Plan(expr, *outside.nodes, series, roundings))
    if not found:
        return Plan(expr, *direct.nodes, None, direct.roundings)
    return min(found, key=lambda p: max(p.roundings.values()))


@dataclass(frozen=True)
class _Choice:
    nodes: tuple[Node, Node]
    roundings: dict[str, float]

    @property
    def worst(self) -> float:
        return max(self.roundings.values())


Bounds: TypeAlias = dict[str, list[tuple[mpmath.mpf, mpmath.mpf]]]
"""By format: the points |L|, and the bound there in roundings of the exact value."""


class _Judge:
    """Bounds the error of ways to compute one formula."""

    def __init__(self, expr: Expr) -> None:
        slope = sp.diff(expr, L).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
        self.value, self.slope = (sp.lambdify(L, e, "mpmath") for e in (expr, slope))
        self.sides: list[dict[Node, Bounds]] = []
        for side in (1, -1):
            nodes = [node for form in arrangements(expr, L, side) if (node := _ordered(form)) is not None]
            if not nodes:
                raise NotLowered(f"no backend computes {expr}")
            points = [side * x for x in POINTS]
            scored = self.scored(nodes, points)
            if all(max(_worst(bounds, mpmath.mpf(_LARGE[0])).values()) == math.inf for bounds in scored.values()):
                scored |= self.scored(map(in_parts, nodes), points)
            self.sides.append(scored)

    def scored(self, nodes: Iterable[Node], points: Sequence[mpmath.mpf]) -> dict[Node, Bounds]:
        """Return the bounds of each of the trees."""
        return {node: self.bounds(lambda _, node=node: node, points) for node in nodes}  # type: ignore[misc]

    def bounds(self, node: Callable[[Format], Node], points: Sequence[mpmath.mpf]) -> Bounds:
        """Return the bounds at the points."""
        found: Bounds = {form.name: [] for form in FORMATS}
        for x in points:
            value = self.value(x)
            size = max(abs(value), abs(self.slope(x)) * min(abs(x), 1))
            for form in FORMATS:
                found[form.name].append((abs(x), self.bound(node(form), x, value, size, form)))
        return found

    def bound(self, node: Node, x: mpmath.mpf, value: mpmath.mpf, size: mpmath.mpf, form: Format) -> mpmath.mpf:
        """Return the bound at one point; where the value is too large for the format it has to become infinite."""
        at = {str(L.name): x}
        if abs(value) > form.largest:
            return mpmath.mpf(0) if saturated(node, at, form) == mpmath.sign(value) * mpmath.inf else mpmath.inf
        computed = estimate(node, at, form)
        error = abs(computed.value - value) + computed.error
        return error / (max(size, form.least_normal) * form.unit)

    def of_series(self, series: Series) -> dict[str, float]:
        """Return the worst bounds of a series within its width."""
        points = [side * x for x in POINTS if x <= series.width for side in (1, -1)]
        return _worst(self.bounds(series.node, points), 0)

    def best(self, width: mpmath.mpf | int) -> _Choice:
        """Return the best arrangement on each side, beyond this width; one for both where that is hardly worse."""
        above, below = ({node: _worst(b, width) for node, b in side.items()} for side in self.sides)
        both = {n: {f.name: max(above[n][f.name], below[n][f.name]) for f in FORMATS} for n in above if n in below}
        right, left = (min(side, key=lambda n, s=side: max(s[n].values())) for side in (above, below))  # type: ignore[misc]
        apart = {f.name: max(above[right][f.name], below[left][f.name]) for f in FORMATS}
        if both:
            joint = min(both, key=lambda n: max(both[n].values()))
            if max(both[joint].values()) <= max(max(apart.values()), GOOD_ENOUGH / 2):
                return _Choice((joint, joint), both[joint])
        return _Choice((right, left), apart)


def _ordered(form: Expr) -> Node | None:
    try:
        return ordered(form)
    except NotLowered:
        return None


def _worst(bounds: Bounds, width: mpmath.mpf | int) -> dict[str, float]:
    return {name: float(max((b for x, b in found if x >= width), default=0)) for name, found in bounds.items()}


def _series(expr: Expr, width: mpmath.mpf) -> Series | None:
    """The series to both formats' last digit at this width; None where it does not converge so far."""
    try:
        numbers = numeric_taylor(expr, L, SERIES_ORDER, DIGITS)
    except NotAnalytic:
        return None
    clean = [mpmath.mpf(0) if abs(c) < mpmath.mpf(10) ** -60 else c for c in numbers]
    lead = next((n for n, c in enumerate(clean) if c), None)
    if lead is None:
        return None
    tail = clean[lead:]
    counts = []
    for form in reversed(FORMATS):
        allowed = abs(tail[0]) * form.unit / 8
        kept = next((n for n in range(1, len(tail) - 6) if _sum_of_sizes(tail[n:], width, n) < allowed), None)
        if kept is None:
            return None
        while kept > 1 and tail[kept - 1] == 0:
            kept -= 1
        counts.append(kept)
    short, full = counts
    return Series(width, lead, tuple(sp.Float(str(mpmath.nstr(c, 40)), 40) for c in tail[:full]), short)


def _sum_of_sizes(tail: Sequence[mpmath.mpf], width: mpmath.mpf, first: int) -> mpmath.mpf:
    return sum((abs(c) * width ** (first + n) for n, c in enumerate(tail)), mpmath.mpf(0))
