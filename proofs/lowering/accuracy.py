"""How far a computed value may lie from the exact one: an a-priori bound, operation by operation.

The standard model of floating point (Higham, Accuracy and Stability of Numerical Algorithms, 2.2):
each operation's result is exact up to a factor 1 + u, or up to half the least subnormal number; a
call of exp, expm1, log or log1p is good to one unit in the last place, that is 2 u. Nothing is run
here, so the bound is the same on every machine, and so is the code that is chosen by it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import mpmath
from sympy import Expr

from proofs.lowering.nodes import Node
from proofs.taylor import to_mpf

DIGITS = 80
_CALL_ROUNDINGS = 2


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: unit roundoff, half the least subnormal, the least normal, the largest."""

    name: str
    precision: int
    least_exponent: int

    @cached_property
    def unit(self) -> mpmath.mpf:
        """The unit roundoff u: half a unit in the last place of 1."""
        return mpmath.ldexp(1, -self.precision)

    @cached_property
    def least_normal(self) -> mpmath.mpf:
        """The least positive number with all its digits."""
        return mpmath.ldexp(1, self.least_exponent)

    @cached_property
    def largest(self) -> mpmath.mpf:
        """The largest finite number."""
        return mpmath.ldexp(2 - mpmath.ldexp(1, 1 - self.precision), 1 - self.least_exponent)


DOUBLE = Format("float64", 53, -1022)
SINGLE = Format("float32", 24, -126)
FORMATS = (DOUBLE, SINGLE)


@dataclass(frozen=True)
class Estimate:
    """An exact value and a bound on the absolute error of the computed one (inf: it overflows)."""

    value: mpmath.mpf
    error: mpmath.mpf


@lru_cache(maxsize=4096)
def _number(number: Expr) -> mpmath.mpf:
    return to_mpf(number, DIGITS)


def estimate(node: Node, values: Mapping[str, mpmath.mpf], form: Format) -> Estimate:
    """Return the value of a tree at exact arguments, and a bound on its error in a format.

    Call it inside `mpmath.workdps(DIGITS)`.
    """
    known: dict[Node, Estimate] = {}

    def walk(part: Node) -> Estimate:
        if part not in known:
            known[part] = _operation(part, [walk(a) for a in part.arguments], values, form)
        return known[part]

    return walk(node)


def _operation(node: Node, parts: list[Estimate], values: Mapping[str, mpmath.mpf], form: Format) -> Estimate:
    name = node.operation
    if name == "variable":
        return Estimate(values[node.name], mpmath.mpf(0))
    if name == "constant":
        assert node.number is not None
        value = _number(node.number)
        return Estimate(value, mpmath.mpf(0) if _is_exact(value, form) else _rounding(value, form))
    if name in ("negate", "abs"):
        (a,) = parts
        return Estimate(-a.value if name == "negate" else abs(a.value), a.error)
    if name == "sign":
        (a,) = parts
        sure = abs(a.value) > a.error or (a.value == 0 and a.error == 0)
        return Estimate(mpmath.sign(a.value), mpmath.mpf(0 if sure else 2))
    if name in ("minimum", "maximum"):
        a, b = parts
        value = min(a.value, b.value) if name == "minimum" else max(a.value, b.value)
        return Estimate(value, max(a.error, b.error))
    if any(part.error == mpmath.inf for part in parts):
        return Estimate(mpmath.mpf(0), mpmath.inf)
    value, spread, roundings = _arithmetic(name, parts) if len(parts) == 2 else _call(name, parts[0])
    if name == "multiply" and abs(value) >= form.least_normal and any(_is_power_of_two(part) for part in parts):
        roundings = 0
    if abs(value) > form.largest:
        return Estimate(value, mpmath.inf)
    return Estimate(value, spread + roundings * _rounding(abs(value) + spread, form))


def _is_exact(value: mpmath.mpf, form: Format) -> bool:
    if value == 0:
        return True
    mantissa = abs(value.man)
    return int(mantissa).bit_length() <= form.precision and form.least_normal <= abs(value) <= form.largest


def _is_power_of_two(part: Estimate) -> bool:
    return bool(part.error == 0 and abs(part.value.man) == 1)


def _rounding(value: mpmath.mpf, form: Format) -> mpmath.mpf:
    return form.unit * max(abs(value), form.least_normal)


def _arithmetic(name: str, parts: list[Estimate]) -> tuple[mpmath.mpf, mpmath.mpf, int]:
    a, b = parts
    if name == "add":
        return a.value + b.value, a.error + b.error, 1
    if name == "subtract":
        return a.value - b.value, a.error + b.error, 1
    if name == "multiply":
        return a.value * b.value, abs(a.value) * b.error + abs(b.value) * a.error + a.error * b.error, 1
    assert name == "divide", name
    if abs(b.value) <= b.error:
        return mpmath.mpf(0), mpmath.inf, 0
    value = a.value / b.value
    return value, (a.error + abs(value) * b.error) / (abs(b.value) - b.error), 1


def _call(name: str, a: Estimate) -> tuple[mpmath.mpf, mpmath.mpf, int]:
    x, least = a.value, a.value - a.error
    if (name in ("log", "sqrt") and least <= 0 and not x == a.error == 0) or (name == "log1p" and least <= -1):
        return mpmath.mpf(0), mpmath.inf, 0
    if name == "sqrt":
        root = mpmath.sqrt(x)
        return root, root - mpmath.sqrt(least), 1
    value = {"exp": mpmath.exp, "expm1": mpmath.expm1, "log": mpmath.log, "log1p": mpmath.log1p}[name](x)
    if name in ("log", "log1p"):
        spread = a.error / (least if name == "log" else 1 + least)
    else:
        spread = mpmath.exp(x) * mpmath.expm1(a.error)
    return value, spread if a.error else mpmath.mpf(0), _CALL_ROUNDINGS


def saturated(node: Node, values: Mapping[str, mpmath.mpf], form: Format) -> mpmath.mpf:
    """Return the value with every step too large made infinite and every step too small made 0.

    inf - inf and inf * 0 are nan: a formula may only be used where it is infinite if the value is.
    """
    if node.operation == "variable":
        return values[node.name]
    if node.operation == "constant":
        assert node.number is not None
        return _number(node.number)
    parts = [saturated(argument, values, form) for argument in node.arguments]
    value = _SATURATED[node.operation](*parts)
    if mpmath.isnan(value) or mpmath.isinf(value):
        return value
    if abs(value) > form.largest:
        return mpmath.sign(value) * mpmath.inf
    return value if abs(value) > form.unit * form.least_normal else mpmath.mpf(0)


def _divided(a: mpmath.mpf, b: mpmath.mpf) -> mpmath.mpf:
    return a / b if b else mpmath.nan


_SATURATED: Mapping[str, Callable[..., mpmath.mpf]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": _divided,
    "negate": operator.neg,
    "abs": abs,
    "sign": mpmath.sign,
    "minimum": min,
    "maximum": max,
    "sqrt": mpmath.sqrt,
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": lambda x: mpmath.log(x) if x > 0 else mpmath.nan,
    "log1p": lambda x: mpmath.log1p(x) if x > -1 else mpmath.nan,
}
