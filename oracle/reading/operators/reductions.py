"""Sums, means, extrema, products, running sums, norms and matrix products."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from oracle.reading.atoms import Array, each, number, numbers, unknown
from oracle.reading.formats import fit
from oracle.reading.operators.pointwise import absolute, larger, logarithm, product, smaller
from oracle.reading.operators.table import CONCRETE, OPERATORS, rule


def axes(a: Array, dim: Any) -> tuple[int, ...]:
    """The axes that a ``dim`` argument names; None or an empty list name all."""
    if dim is None or (isinstance(dim, (list, tuple)) and not dim):
        return tuple(range(a.ndim))
    return tuple(d % a.ndim if a.ndim else 0 for d in (dim if isinstance(dim, (list, tuple)) else [dim]))


def fold(function: Any, a: Array, dim: Any = None, keepdim: bool = False, empty: Any = None) -> Array:
    """Reduce along ``dim`` with a function of two elements; ``empty`` is what nothing gives."""
    a = np.asarray(a, dtype=object)
    over = axes(a, dim) if a.ndim else ()
    kept = [i for i in range(a.ndim) if i not in over]
    count = int(np.prod([a.shape[i] for i in over]))
    moved = np.transpose(a, [*kept, *over]).reshape([a.shape[i] for i in kept] + [count])
    out = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(*moved.shape[:-1]):
        values = list(moved[index])
        out[index] = reduce(function, values) if values else empty
    if keepdim:
        out = out.reshape([1 if i in over else a.shape[i] for i in range(a.ndim)])
    return out


def total(values: list[Any]) -> Any:
    """One flat sum (SymPy adds a list at once far faster than in pairs)."""
    return sp.Add(*[number(v) for v in values])


def add_up(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    """Sum along ``dim``; an empty sum is 0."""
    a = np.asarray(a, dtype=object)
    over = axes(a, dim) if a.ndim else ()
    kept = [i for i in range(a.ndim) if i not in over]
    count = int(np.prod([a.shape[i] for i in over])) if over else 1
    moved = np.transpose(a, [*kept, *over]).reshape([a.shape[i] for i in kept] + [count])
    out = np.empty(moved.shape[:-1], dtype=object)
    for index in np.ndindex(*moved.shape[:-1]):
        out[index] = total(list(moved[index]))
    return out.reshape([1 if i in over else a.shape[i] for i in range(a.ndim)]) if keepdim else out


def _cast(a: Array, dtype: Any) -> Array:
    """The elements as a reduction with a ``dtype`` takes them."""
    return numbers(a if dtype is None else fit(a, dtype))


@rule("sum")
def _sum(a: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    return add_up(_cast(a, dtype), dim, keepdim)


@rule("nansum")
def _nansum(a: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    # for real inputs nothing is NaN but what the code itself writes
    return add_up(each(lambda x: sp.Integer(0) if x is sp.nan else x, _cast(a, dtype)), dim, keepdim)


def _count(a: Array, dim: Any) -> int:
    return int(np.prod([a.shape[i] for i in axes(a, dim)])) if a.ndim else 1


@rule("mean")
def _mean(a: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    n = sp.Integer(_count(a, dim))
    return each(lambda x: x / n, add_up(_cast(a, dtype), dim, keepdim))


@rule("prod")
def _prod(a: Array, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    return fold(product, _cast(a, dtype), dim, keepdim, sp.Integer(1))


@rule("count_nonzero")
def _count_nonzero(a: Array, dim: Any = None) -> Array:
    return add_up(OPERATORS["ne"](a, 0), dim)


@rule("cumsum")
def _cumsum(a: Array, dim: int, dtype: Any = None) -> Array:
    a = _cast(a, dtype)
    return np.cumsum(a, axis=dim) if a.ndim else a


@rule("cumprod")
def _cumprod(a: Array, dim: int, dtype: Any = None) -> Array:
    a = _cast(a, dtype)
    return np.cumprod(a, axis=dim) if a.ndim else a


def _moments(a: Array, dim: Any, correction: Any, keepdim: bool) -> Array:
    n = _count(a, dim)
    a = numbers(a)
    centred = each(lambda x, m: (x - m) ** 2, a, _mean(a, dim, True))
    divisor = max(0, n - (1 if correction is None else correction))
    return each(lambda x: x / number(divisor), add_up(centred, dim, keepdim))


@rule("var.correction")
def _var(a: Array, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Array:
    return _moments(a, dim, correction, keepdim)


@rule("var_mean.correction")
def _var_mean(a: Array, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> tuple[Array, Array]:
    return _moments(a, dim, correction, keepdim), _mean(a, dim, keepdim)


@rule("std_mean.correction")
def _std_mean(a: Array, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> tuple[Array, Array]:
    return each(sp.sqrt, _moments(a, dim, correction, keepdim)), _mean(a, dim, keepdim)


@rule("std.correction")
def _std(a: Array, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Array:
    return each(sp.sqrt, _moments(a, dim, correction, keepdim))


@rule("amax")
def _amax(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    return fold(larger, numbers(a), dim, keepdim)


@rule("amin")
def _amin(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    return fold(smaller, numbers(a), dim, keepdim)


def _with_positions(extreme: Any) -> Any:
    """The extremum along a dimension; its position depends on the inputs and is unknown."""

    def both(a: Array, dim: int, keepdim: bool = False) -> tuple[Array, Array]:
        values = extreme(a, dim, keepdim)
        return values, each(lambda _: unknown("the position of an extremum"), values)

    return both


rule("max.dim")(_with_positions(_amax))
rule("min.dim")(_with_positions(_amin))
rule("max.default")(_amax)
rule("min.default")(_amin)
rule("max.other")(OPERATORS["maximum"])
rule("min.other")(OPERATORS["minimum"])


@rule("logsumexp")
def _logsumexp(a: Array, dim: Any = None, keepdim: bool = False) -> Array:
    return each(logarithm, add_up(each(lambda x: sp.exp(number(x)), a), dim, keepdim))


@rule("_log_softmax")
def _log_softmax(a: Array, dim: int, half: bool = False) -> Array:
    return each(lambda x, z: x - z, numbers(a), _logsumexp(a, dim, True))


@rule("_softmax")
def _softmax(a: Array, dim: int, half: bool = False) -> Array:
    return each(lambda x, z: sp.exp(x) / z, numbers(a), add_up(each(sp.exp, numbers(a)), dim, True))


@rule("_log_softmax_backward_data")
def _log_softmax_backward(grad: Array, out: Array, dim: int, dtype: Any = None) -> Array:
    return each(lambda g, y, s: g - sp.exp(y) * s, grad, out, add_up(grad, dim, True))


@rule("_softmax_backward_data")
def _softmax_backward(grad: Array, out: Array, dim: int, dtype: Any = None) -> Array:
    weighted = each(lambda g, y: g * y, grad, out)
    return each(lambda w, y, s: w - y * s, weighted, out, add_up(weighted, dim, True))


@rule("linalg_vector_norm")
def _norm(a: Array, ord: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Array:
    a = _cast(a, dtype)
    if ord == 2:
        return each(sp.sqrt, add_up(each(lambda x: x**2, a), dim, keepdim))
    sizes = each(absolute, a)
    if ord == 1:
        return add_up(sizes, dim, keepdim)
    if ord in (float("inf"), float("-inf")):
        return fold(larger if ord > 0 else smaller, sizes, dim, keepdim)
    if ord == 0:
        return add_up(each(lambda x: sp.Ne(x, 0), a), dim, keepdim)
    p = number(ord)
    return each(lambda x: x ** (1 / p), add_up(each(lambda x: x**p, sizes), dim, keepdim))


@rule("mm", "bmm", "mv", "dot", "matmul", "vdot")
def _matmul(a: Array, b: Array) -> Array:
    a, b = numbers(a), numbers(b)
    if a.ndim == 3:
        return np.stack([np.asarray(x @ y, dtype=object) for x, y in zip(a, b, strict=True)])
    return np.asarray(a @ b, dtype=object)


@rule("addmm", "addmv", "baddbmm")
def _addmm(c: Array, a: Array, b: Array, *, beta: Any = 1, alpha: Any = 1) -> Array:
    kept = number(beta)
    return each(lambda x, y: (kept * number(x) if kept else 0) + number(alpha) * y, c, _matmul(a, b))


for _name in ("argmax", "argmin", "argsort", "nonzero", "searchsorted", "bucketize", "histc", "bincount", "equal"):
    rule(_name)(CONCRETE)
