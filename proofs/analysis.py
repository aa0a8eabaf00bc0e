"""What a coefficient looks like: its series at 0, its range, and whether it ever decreases.

Monotonicity decides whether the coefficient belongs to a convex generator (arXiv 2605.15417), so it
is decided, never sampled: the roots of the derivative's numerator come from the complete procedure
of `proofs.roots`, cell by cell for piecewise coefficients; what is outside that class is tried with
SymPy's assumptions, and stays None if those do not answer. A single pair of points disproves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import mpmath
import sympy as sp
from sympy import Expr, FiniteSet, Interval, Rational, S, Set

from proofs.cells import TooManyCells, between, cells
from proofs.decide import Undecided, is_zero
from proofs.normal_form import TooLarge, normal_form
from proofs.patience import TimeIsUp, at_most
from proofs.roots import Undetermined, limit, real_roots
from proofs.symbols import L
from proofs.taylor import NotAnalytic, exact_taylor, numeric_taylor, to_mpf

NOT_ANALYTIC = "not analytic at L = 0"
UNKNOWN = "unknown"
_ATTEMPT_SECONDS = 2.0
_DIGITS = 30
_LONG = 24
_PROBES = tuple(Rational(n, 3) for n in (-60, -24, -12, -7, -4, -2, -1, 0, 1, 2, 4, 7, 12, 24, 60))


@dataclass(frozen=True)
class _Piece:
    """An open interval of L (or a point, both ends equal) and the smooth expression on it."""

    low: Expr
    high: Expr
    expr: Expr

    @property
    def is_point(self) -> bool:
        return bool(self.low == self.high)


@dataclass(frozen=True)
class _Run:
    """A strictly monotone or constant run: its limits at both ends, and the direction between."""

    start: Expr
    end: Expr
    direction: int


def series_at_zero(c: Expr, order: int = 3) -> str:
    """Return the expansion of c at L = 0 up to this order, as text."""
    try:
        smooth = _smooth_at_zero(c)
        if smooth is None:
            return NOT_ANALYTIC
        coefficients = _coefficients(smooth, order)
    except (NotAnalytic, Undetermined, Undecided):
        return UNKNOWN
    terms = sp.Add(*(a * L**n for n, a in enumerate(coefficients)))
    return str(terms + sp.Order(L ** (order + 1)))


def _coefficients(smooth: Expr, order: int) -> list[Expr]:
    """Exact numbers, or six digits where those would be unwieldy."""
    try:
        with at_most(_ATTEMPT_SECONDS):
            return exact_taylor(smooth, L, order)
    except TimeIsUp:
        return [sp.Float(str(mpmath.nstr(a, 6)), 6) for a in numeric_taylor(smooth, L, order)]


def _smooth_at_zero(c: Expr) -> Expr | None:
    """The expression around L = 0; None where two that differ meet there."""
    near = [p for p in _pieces(c) if p.low <= 0 and p.high >= 0]
    first = near[0].expr
    for piece in near[1:]:
        if not is_zero(piece.expr - (first.subs(L, 0) if piece.is_point else first)):
            return None
    return first


@lru_cache(maxsize=256)
def _pieces(c: Expr) -> tuple[_Piece, ...]:
    """The cells of c in order; raises Undetermined where they are not known."""
    if c.free_symbols - {L}:
        raise Undetermined(f"{c} has other symbols than L")
    try:
        found = list(cells(c))
    except (TooManyCells, TooLarge) as error:
        raise Undetermined(str(error)) from error
    if any(cell.signs for cell in found):
        raise Undetermined("a condition that could not be solved for L")
    pieces = [_Piece(*cell.box.side(L), cell.expr) for cell in found]
    return tuple(sorted(pieces, key=lambda p: (p.low, p.high)))


@lru_cache(maxsize=256)
def monotone(c: Expr) -> bool | None:
    """Whether c never decreases in L; None where that is neither proved nor disproved."""
    if _decreases_somewhere(c):
        return False
    try:
        pieces = _pieces(c)
    except Undetermined:
        return None
    smooth = _smooth_verdicts(pieces)
    if False in smooth:
        return False
    if None in smooth:
        return None
    return _jumps_upward(pieces)


def _smooth_verdicts(pieces: tuple[_Piece, ...]) -> set[bool | None]:
    verdicts: set[bool | None] = set()
    for piece in pieces:
        if piece.is_point:
            continue
        try:
            verdicts.add(all(run.direction >= 0 for run in _runs(piece)))
        except Undetermined:
            slope = sp.simplify(sp.diff(piece.expr, L))
            verdicts.add(True if slope.is_nonnegative else None)
    return verdicts


def _jumps_upward(pieces: tuple[_Piece, ...]) -> bool | None:
    try:
        for left, right in pairwise(pieces):
            before = _limit(left.expr, left.high, -1)
            after = _limit(right.expr, right.low, 1)
            if before != after and _number(before) > _number(after) + sp.Float("1e-25"):
                return False
    except Undetermined:
        return None
    return True


def _decreases_somewhere(c: Expr) -> bool:
    values = []
    for point in _PROBES:
        value = c.subs(L, point).evalf(_DIGITS)
        if value.is_comparable and value.is_finite:
            values.append(value)
    margin = sp.Float("1e-15")
    return any(a - b > margin * (1 + abs(a) + abs(b)) for a, b in pairwise(values))


def is_flat_at_zero(c: Expr) -> bool | None:
    """Whether c is constant on some neighbourhood of L = 0."""
    try:
        near = [p for p in _pieces(c) if p.low <= 0 and p.high >= 0]
    except Undetermined:
        return None
    if not all(normal_form(piece.expr).is_constant for piece in near):
        return False
    return all(not normal_form(p.expr - near[0].expr).terms for p in near)


def dead_intervals(c: Expr) -> tuple[str, ...] | None:
    """Return the intervals of L on which c is exactly 0, as text; None where they are not known."""
    try:
        pieces = _pieces(c)
    except Undetermined:
        return None
    found: list[tuple[Expr, Expr]] = []
    for piece in pieces:
        if piece.is_point or normal_form(piece.expr).terms:
            continue
        if found and found[-1][1] == piece.low:
            found[-1] = (found[-1][0], piece.high)
        else:
            found.append((piece.low, piece.high))
    return tuple(f"({_value_text(low)}, {_value_text(high)})" for low, high in found)


def value_range(c: Expr) -> Set | None:
    """Return the values that c takes on the real line, or None where they are not known."""
    try:
        pieces = _pieces(c)
        parts: list[Set] = []
        for piece in pieces:
            if piece.is_point:
                parts.append(FiniteSet(_snapped(_limit(piece.expr, piece.low, 1))))
                continue
            runs = _runs(piece)
            for run in runs:
                low, high = sorted((run.start, run.end), key=_number)
                parts.append(Interval.open(low, high) if low != high else FiniteSet(low))
            parts += [FiniteSet(run.end) for run in runs[:-1]]
        return sp.Union(*parts)
    except (Undetermined, TypeError):  # TypeError: numbers that SymPy cannot order
        return None


def range_text(c: Expr) -> str:
    """Return the range as text, such as (-oo, 1), or "unknown"."""
    values = value_range(c)
    if values is None:
        return UNKNOWN
    parts = values.args if isinstance(values, sp.Union) else (values,)
    return " U ".join(_set_text(part) for part in sorted(parts, key=lambda s: _number(s.inf)))


def _set_text(part: Set) -> str:
    if isinstance(part, FiniteSet):
        return "{" + ", ".join(map(_value_text, sorted(part.args, key=_number))) + "}"
    left, right = "(" if part.left_open else "[", ")" if part.right_open else "]"
    return f"{left}{_value_text(part.inf)}, {_value_text(part.sup)}{right}"


def _value_text(value: Expr) -> str:
    text = str(value)
    return str(value.evalf(6)) if value.has(sp.Float) or len(text) > _LONG else text


def _runs(piece: _Piece) -> list[_Run]:
    """Cut an open piece where its derivative changes sign."""
    critical = [x for x in _critical_points(piece.expr) if piece.low < x and x < piece.high]
    edges = [piece.low, *critical, piece.high]
    values = [_snapped(_limit(piece.expr, edge, 1 if index == 0 else -1)) for index, edge in enumerate(edges)]
    slope = sp.diff(piece.expr, L)
    runs = []
    for index in range(len(edges) - 1):
        inside = slope.subs(L, between(edges[index], edges[index + 1])).evalf(_DIGITS)
        direction = 0 if normal_form(slope).terms == {} else _direction(inside)
        runs.append(_Run(values[index], values[index + 1], direction))
    return runs


def _direction(slope: Expr) -> int:
    if not slope.is_comparable or slope.is_zero or abs(slope) < sp.Float("1e-80"):
        raise Undetermined("the sign of a slope")
    return int(sp.sign(slope))


def _critical_points(expr: Expr) -> list[Expr]:
    slope = normal_form(sp.diff(expr, L))
    if not slope.terms:
        return []
    numerator, denominator = sp.fraction(sp.factor(sp.together(slope.expr)))
    for factor in sp.Mul.make_args(denominator):
        if _zeros(factor.as_base_exp()[0]):
            raise Undetermined("a pole")
    zeros = {x for factor in sp.Mul.make_args(numerator) for x in _zeros(factor.as_base_exp()[0])}
    return sorted(zeros)


def _zeros(factor: Expr) -> list[Expr]:
    if not factor.has(L) or factor.is_positive or factor.is_negative:
        return []
    return real_roots(factor, L)


def _limit(expr: Expr, place: Expr, side: int) -> Expr:
    """The limit of a smooth expression towards a finite place from one side, or to infinity."""
    if place.is_finite:
        value = expr.subs(L, place)
        if value.is_finite is not False and not value.has(S.NaN, S.ComplexInfinity):
            tidy = normal_form(value).expr if not value.has(sp.Float) else value.evalf(44)
            return tidy
    else:
        try:
            return limit(expr, L, 1 if place == S.Infinity else -1)
        except Undetermined:
            pass
    try:
        with at_most(_ATTEMPT_SECONDS):
            value = sp.limit(expr, L, place, "+" if side > 0 else "-")
    except (TimeIsUp, NotImplementedError, ValueError, RecursionError) as error:
        raise Undetermined(f"the limit at {place}") from error
    if not (value.is_number and value.is_extended_real) or not _is_approached(expr, place, value):
        raise Undetermined(f"the limit at {place}")
    return value


def _is_approached(expr: Expr, place: Expr, value: Expr) -> bool:
    """Whether numbers far out agree with a limit at infinity: SymPy's limits are not always right."""
    if place.is_finite:
        return True
    function = sp.lambdify(L, expr, "mpmath")
    with mpmath.workdps(_DIGITS):
        try:
            near, far = (function(int(sp.sign(place)) * mpmath.mpf(x)) for x in (400, 4000))
        except (ArithmeticError, ValueError, TypeError):
            return False
        if value.is_infinite:
            return bool(far * int(sp.sign(value)) > 0 and abs(far) > abs(near))
        aim = to_mpf(value, _DIGITS)
        return bool(abs(far - aim) <= (1 + abs(aim)) / 50 and abs(far - aim) <= abs(near - aim))


def _number(value: Expr) -> Expr:
    return value if value.is_infinite else value.evalf(_DIGITS)


def _snapped(value: Expr) -> Expr:
    """A long decimal that agrees with a simple fraction to thirty digits is taken for it."""
    if not value.has(sp.Float):
        return value
    near = Rational(str(value)).limit_denominator(1000)
    return near if abs(near - value) < sp.Float("1e-30") * (1 + abs(near)) else value
