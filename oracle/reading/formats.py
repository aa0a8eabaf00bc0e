"""What a dtype keeps of a formula: conditions, whole numbers, reals; what it would round ends the reading."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import sympy as sp
import torch

from oracle.reading.atoms import Array, Select, Unread, causes, condition, each, numbers

_REAL = {torch.float64, torch.float32}
"""The formats whose rounding a formula leaves out."""

_SMALL = 256
"""Every format of 16 bits and more holds the whole numbers up to here."""


_UNROUNDED = ContextVar("unrounded", default=False)


@contextmanager
def rounding(left_out: bool) -> Iterator[None]:
    """Whether casts to 16 bits are read as if they rounded nothing, inside."""
    before = _UNROUNDED.set(left_out)
    try:
        yield
    finally:
        _UNROUNDED.reset(before)


def fit(values: Array, dtype: torch.dtype) -> Array:
    """Formulas as a tensor of a dtype holds them; Unread where it would round them."""
    if dtype is torch.bool:
        return each(condition, values)
    reals = numbers(values)
    if dtype in _REAL or (dtype.is_floating_point and _UNROUNDED.get()):
        return reals
    whole = not dtype.is_floating_point and not dtype.is_complex
    if whole:
        reals = each(_truncated, reals)
    if not all(causes(v) or _is_small(v) or (whole and dtype.itemsize >= 4 and _is_whole(v)) for v in reals.flat):
        raise Unread(f"a cast to {str(dtype).removeprefix('torch.')}")
    return reals


def _truncated(v: Any) -> Any:
    """A constant as an integer tensor holds it; a formula as it is."""
    return sp.Integer(int(v)) if v.is_Rational else v


def _is_small(v: Any) -> bool:
    """Whether every format holds the value exactly: an integer up to 256, or a condition counted as 0 or 1."""
    if v.is_Integer:
        return bool(abs(v) <= _SMALL)
    return isinstance(v, Select) and all(_is_small(x) for x in v.args[1:])


def _is_whole(v: Any) -> bool:
    """Whether a value is a whole number for all inputs: counts, and what is added and multiplied from them."""
    if v.is_Integer:
        return bool(abs(v) < 2**31)
    if isinstance(v, Select):
        return all(_is_whole(x) for x in v.args[1:])
    if v.is_Pow:
        return bool(v.exp.is_Integer and v.exp > 0 and _is_whole(v.base))
    return bool((v.is_Add or v.is_Mul) and all(_is_whole(x) for x in v.args))
