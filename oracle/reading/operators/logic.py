"""Comparisons, logical operators, selection by conditions."""

from __future__ import annotations

from typing import Any

import sympy as sp

from oracle.reading.atoms import Array, Select, condition, each, number
from oracle.reading.operators.table import rule

for _name, _relation in {"eq": sp.Eq, "ne": sp.Ne, "lt": sp.Lt, "le": sp.Le, "gt": sp.Gt, "ge": sp.Ge}.items():
    rule(_name, *([f"{_name}.Scalar"] if _name == "ne" else []))(
        lambda a, b, _relation=_relation: each(lambda x, y: _relation(number(x), number(y)), a, b)
    )


def _is_logical(*values: Any) -> bool:
    return all(isinstance(v, bool) or getattr(v, "is_Boolean", False) for v in values)


def _both(x: Any, y: Any) -> Any:
    return sp.And(condition(x), condition(y))


@rule("logical_and", "bitwise_and", "__and__")
def _and(a: Array, b: Any) -> Array:
    return each(_both, a, b)


@rule("logical_or", "bitwise_or", "__or__")
def _or(a: Array, b: Any) -> Array:
    return each(lambda x, y: sp.Or(condition(x), condition(y)), a, b)


@rule("logical_xor", "bitwise_xor", "__xor__")
def _xor(a: Array, b: Any) -> Array:
    return each(lambda x, y: sp.Xor(condition(x), condition(y)), a, b)


@rule("logical_not", "bitwise_not")
def _not(a: Array) -> Array:
    return each(lambda x: sp.Not(condition(x)), a)


@rule("isnan", "isinf", "isposinf", "isneginf")
def _never(a: Array) -> Array:
    return each(lambda x: sp.false if getattr(x, "is_finite", True) is not False else sp.Eq(sp.Abs(x), sp.oo), a)


@rule("isfinite")
def _always(a: Array) -> Array:
    return each(lambda x: sp.false if getattr(x, "is_finite", True) is False else sp.true, a)


@rule("where")
def _where(c: Array, a: Any, b: Any) -> Array:
    return each(lambda k, x, y: Select(condition(k), number(x), number(y)), c, a, b)


@rule("masked_fill")
def _masked_fill(a: Array, mask: Array, value: Any) -> Array:
    return each(lambda x, k, v: Select(condition(k), number(v), number(x)), a, mask, value)


@rule("any")
def _any(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    from oracle.reading.operators.reductions import fold

    return fold(lambda x, y: sp.Or(condition(x), condition(y)), a, dim, keepdim)


@rule("all")
def _all(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    from oracle.reading.operators.reductions import fold

    return fold(_both, a, dim, keepdim)
