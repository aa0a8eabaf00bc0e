"""Comparisons, logical operators, selection by conditions."""

from __future__ import annotations

import operator
from typing import Any

import sympy as sp

from oracle.reading.atoms import INFINITE, Array, Select, Unread, condition, constant, each, is_logical, number
from oracle.reading.operators.table import rule

for _name, _relation in {"eq": sp.Eq, "ne": sp.Ne, "lt": sp.Lt, "le": sp.Le, "gt": sp.Gt, "ge": sp.Ge}.items():
    rule(_name, *([f"{_name}.Scalar"] if _name == "ne" else []))(
        lambda a, b, _relation=_relation: each(lambda x, y: _relation(number(x), number(y)), a, b)
    )


def _both(x: Any, y: Any) -> Any:
    return sp.And(condition(x), condition(y))


def _either(x: Any, y: Any) -> Any:
    return sp.Or(condition(x), condition(y))


def _one_of_two(x: Any, y: Any) -> Any:
    return sp.Xor(condition(x), condition(y))


def _bits(logical: Any, whole: Any) -> Any:
    """A bitwise operator: the logical one on conditions, Python's on integers."""

    def one(x: Any, y: Any) -> Any:
        x, y = constant(x), constant(y)
        if is_logical(x) and is_logical(y):
            return logical(x, y)
        x, y = number(x), number(y)
        if not (x.is_Integer and y.is_Integer):
            raise Unread("bits of an integer that depends on the inputs")
        return sp.Integer(whole(int(x), int(y)))

    return lambda a, b: each(one, a, b)


for _name, _logical, _whole in (
    ("and", _both, operator.and_),
    ("or", _either, operator.or_),
    ("xor", _one_of_two, operator.xor),
):
    rule(f"logical_{_name}")(lambda a, b, _logical=_logical: each(_logical, a, b))
    rule(f"bitwise_{_name}")(_bits(_logical, _whole))


@rule("logical_not")
def _not(a: Array) -> Array:
    return each(lambda x: sp.Not(condition(x)), a)


@rule("bitwise_not")
def _complement(a: Array) -> Array:
    return each(lambda x: sp.Not(x) if is_logical(x) else -1 - number(x), a)


def _kind(test: Any) -> Any:
    """A question about infinities: real inputs give finite numbers but where the code itself writes an infinity."""

    def one(x: Any) -> Any:
        x = number(x)
        if isinstance(x, Select):
            yes, no = one(x.args[1]), one(x.args[2])
            return sp.Or(sp.And(x.args[0], yes), sp.And(sp.Not(x.args[0]), no))
        if x.has(*INFINITE) and x not in INFINITE:
            raise Unread("whether a formula with an infinity in it is finite")
        return sp.true if test(x) else sp.false

    return lambda a: each(one, a)


rule("isnan")(_kind(lambda x: x is sp.nan))
rule("isinf")(_kind(lambda x: x in (sp.oo, -sp.oo, sp.zoo)))
rule("isposinf")(_kind(lambda x: x is sp.oo))
rule("isneginf")(_kind(lambda x: x == -sp.oo))
rule("isfinite")(_kind(lambda x: x not in INFINITE))


@rule("where")
def _where(c: Array, a: Any, b: Any) -> Array:
    return each(lambda k, x, y: Select(condition(k), number(x), number(y)), c, a, b)


@rule("masked_fill")
def _masked_fill(a: Array, mask: Array, value: Any) -> Array:
    return each(lambda x, k, v: Select(condition(k), number(v), number(x)), a, mask, value)


@rule("any")
def _any(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    from oracle.reading.operators.reductions import fold

    return fold(_either, each(condition, a), dim, keepdim, sp.false)


@rule("all")
def _all(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    from oracle.reading.operators.reductions import fold

    return fold(_both, each(condition, a), dim, keepdim, sp.true)
