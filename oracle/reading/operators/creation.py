"""Operators that make a tensor in the likeness of another: only its shape matters."""

from __future__ import annotations

from typing import Any

import sympy as sp

from oracle.reading.atoms import Array, each, number
from oracle.reading.operators.layout import zeros
from oracle.reading.operators.table import rule


@rule("zeros_like", "empty_like")
def _zeros_like(a: Array, **_: Any) -> Array:
    return each(lambda _: sp.Integer(0), a)


@rule("ones_like")
def _ones_like(a: Array, **_: Any) -> Array:
    return each(lambda _: sp.Integer(1), a)


@rule("full_like")
def _full_like(a: Array, value: Any, **_: Any) -> Array:
    return each(lambda _: number(value), a)


@rule("new_zeros", "new_empty")
def _new_zeros(a: Array, size: Any, **_: Any) -> Array:
    return zeros(size)


@rule("new_ones")
def _new_ones(a: Array, size: Any, **_: Any) -> Array:
    return each(lambda _: sp.Integer(1), zeros(size))


@rule("new_full")
def _new_full(a: Array, size: Any, value: Any, **_: Any) -> Array:
    return each(lambda _: number(value), zeros(size))


@rule("new_empty_strided")
def _new_empty_strided(a: Array, size: Any, *_: Any, **__: Any) -> Array:
    return zeros(size)
