"""Operators that copy elements to other places: joining, flipping, gathering, scattering, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from oracle.reading.atoms import Array, Unread, causes, constant, each, number
from oracle.reading.operators.table import rule


def same(a: Array, *_: Any, **__: Any) -> Array:
    """The elements as they are."""
    return a


rule("clone", "contiguous", "lift_fresh_copy", "alias_copy", "detach_copy")(same)


@rule("view_copy", "reshape", "_reshape_copy")
def _view(a: Array, size: Any, *_: Any) -> Array:
    return a.reshape(tuple(size))


@rule("cat", "concat")
def _cat(tensors: Any, dim: int = 0) -> Array:
    parts = [np.asarray(t, dtype=object) for t in tensors]
    return np.concatenate([p for p in parts if p.ndim == parts[-1].ndim and (p.ndim > 1 or p.size)] or parts, axis=dim)


@rule("stack")
def _stack(tensors: Any, dim: int = 0) -> Array:
    return np.stack([np.asarray(t, dtype=object) for t in tensors], axis=dim)


@rule("flip")
def _flip(a: Array, dims: Any) -> Array:
    return np.flip(a, axis=tuple(dims)) if a.ndim else a


@rule("roll")
def _roll(a: Array, shifts: Any, dims: Any = ()) -> Array:
    shifts = list(shifts) if isinstance(shifts, (list, tuple)) else [shifts]
    dims = list(dims) if isinstance(dims, (list, tuple)) else [dims]
    if not dims:
        return np.roll(a.reshape(-1), shifts[0]).reshape(a.shape)
    for s, d in zip(shifts, dims, strict=True):
        a = np.roll(a, s, axis=d)
    return a


@rule("repeat")
def _repeat(a: Array, repeats: Any) -> Array:
    return np.tile(a, tuple(repeats))


@rule("expand_copy")
def _expand(a: Array, size: Any, **_: Any) -> Array:
    lead = len(size) - a.ndim
    return np.broadcast_to(a, [a.shape[i - lead] if n == -1 else n for i, n in enumerate(size)])


@rule("tril")
def _tril(a: Array, diagonal: int = 0) -> Array:
    keep = np.tril(np.ones(a.shape[-2:], dtype=bool), diagonal)
    return each(lambda x, k: number(x) if k else sp.Integer(0), a, keep)


@rule("triu")
def _triu(a: Array, diagonal: int = 0) -> Array:
    keep = np.triu(np.ones(a.shape[-2:], dtype=bool), diagonal)
    return each(lambda x, k: number(x) if k else sp.Integer(0), a, keep)


@rule("constant_pad_nd")
def _pad(a: Array, pad: Any, value: Any = 0) -> Array:
    widths = [(0, 0)] * a.ndim
    for i in range(len(pad) // 2):
        widths[a.ndim - 1 - i] = (pad[2 * i], pad[2 * i + 1])
    cut = tuple(slice(max(0, -lo), a.shape[i] - max(0, -hi)) for i, (lo, hi) in enumerate(widths))
    grow = [(max(0, lo), max(0, hi)) for lo, hi in widths]
    return np.pad(a[cut], grow, constant_values=constant(value))


def integers(index: Any) -> Any:
    """Positions as integers; symbolic positions end the reading."""
    if index is None:
        return slice(None)
    flat = np.asarray(index, dtype=object)
    symbolic = [x for x in flat.flat if getattr(x, "free_symbols", None)]
    if symbolic:
        raise Unread((causes(symbolic[0]) or ["positions that depend on the inputs"])[0])
    if flat.size and all(getattr(x, "is_Boolean", isinstance(x, bool)) for x in flat.flat):
        return flat.astype(bool)
    return np.array([int(x) for x in flat.flat], dtype=np.int64).reshape(flat.shape)


@rule("index_select")
def _index_select(a: Array, dim: int, index: Any) -> Array:
    out: Array = np.take(a, np.atleast_1d(integers(index)), axis=dim)
    return out


@rule("gather")
def _gather(a: Array, dim: int, index: Any, **_: Any) -> Array:
    at = integers(index)
    window = tuple(slice(0, n) if i != dim % a.ndim else slice(None) for i, n in enumerate(at.shape))
    return np.take_along_axis(a[window], at, axis=dim)


@rule("index")
def _index(a: Array, indices: Any) -> Array:
    return np.asarray(a[tuple(integers(i) for i in indices)], dtype=object)


@rule("index_put", "_unsafe_index_put")
def _index_put(a: Array, indices: Any, values: Any, accumulate: bool = False, *_: Any) -> Array:
    out, at = a.copy(), tuple(integers(i) for i in indices)
    values = np.asarray(values, dtype=object)
    if accumulate:
        out = each(number, out)
        np.add.at(out, at, each(number, values))
    else:
        out[at] = values
    return out


def _positions(a: Array, dim: int, at: Any) -> tuple[Any, ...]:
    grid = list(np.indices(at.shape))
    grid[dim % a.ndim] = at
    return tuple(grid)


@rule("scatter")
def _scatter(a: Array, dim: int, index: Any, source: Any, reduce: str | None = None) -> Array:
    out, at = a.copy(), integers(index)
    source = np.asarray(constant(source), dtype=object)
    values = source[tuple(slice(0, n) for n in at.shape)] if source.ndim == at.ndim else source
    if reduce is None:
        out[_positions(a, dim, at)] = values
    else:
        out = each(number, out)
        {"add": np.add, "multiply": np.multiply}[reduce].at(out, _positions(a, dim, at), each(number, values))
    return out


@rule("scatter_add")
def _scatter_add(a: Array, dim: int, index: Any, source: Array) -> Array:
    out, at = each(number, a), integers(index)
    np.add.at(out, _positions(a, dim, at), each(number, source[tuple(slice(0, n) for n in at.shape)]))
    return out


@rule("index_add")
def _index_add(a: Array, dim: int, index: Any, source: Array, alpha: Any = 1) -> Array:
    out = np.moveaxis(each(number, a), dim, 0)
    np.add.at(out, integers(index), np.moveaxis(each(lambda x: number(x) * number(alpha), source), dim, 0))
    return np.moveaxis(out, 0, dim)


@rule("masked_select")
def _masked_select(a: Array, mask: Array) -> Array:
    whole, keep = np.broadcast_arrays(a, mask)
    out: Array = whole[integers(keep)]
    return out


@rule("masked_scatter")
def _masked_scatter(a: Array, mask: Array, source: Array) -> Array:
    keep = np.broadcast_to(integers(mask), a.shape)
    out = a.copy()
    out[keep] = source.reshape(-1)[: int(keep.sum())]
    return out


@rule("select_backward")
def _select_backward(grad: Array, sizes: Any, dim: int, index: int) -> Array:
    out = zeros(sizes)
    out[(slice(None),) * (dim % len(sizes)) + (index, ...)] = grad
    return out


@rule("slice_backward")
def _slice_backward(grad: Array, sizes: Any, dim: int, start: int, end: int, step: int) -> Array:
    out = zeros(sizes)
    out[(slice(None),) * (dim % len(sizes)) + (slice(start, min(end, sizes[dim]), step),)] = grad
    return out


@rule("slice_scatter")
def _slice_scatter(a: Array, source: Array, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Array:
    out = a.copy()
    stop = None if end is None else min(end, a.shape[dim])
    out[(slice(None),) * (dim % a.ndim) + (slice(start, stop, step),)] = source
    return out


@rule("select_scatter")
def _select_scatter(a: Array, source: Array, dim: int, index: int) -> Array:
    out = a.copy()
    out[(slice(None),) * (dim % a.ndim) + (index, ...)] = source
    return out


@rule("diagonal_backward")
def _diagonal_backward(grad: Array, sizes: Any, offset: int, dim1: int, dim2: int) -> Array:
    out = zeros(sizes)
    window = np.moveaxis(out, (dim1, dim2), (-2, -1))[..., max(0, -offset) :, max(0, offset) :]
    for i in range(grad.shape[-1]):
        window[..., i, i] = grad[..., i]
    return out


@rule("masked_scatter_backward")
def _masked_scatter_backward(grad: Array, mask: Array, sizes: Any) -> Array:
    out, taken = zeros([int(np.prod(tuple(sizes)))]), grad[np.broadcast_to(integers(mask), grad.shape)]
    out[: taken.size] = taken
    return out.reshape(tuple(sizes))


@rule("index_fill")
def _index_fill(a: Array, dim: int, index: Any, value: Any) -> Array:
    out = np.moveaxis(a.copy(), dim, 0)
    out[integers(index)] = number(value if not isinstance(value, np.ndarray) else value.item())
    return np.moveaxis(out, 0, dim)


@rule("repeat_interleave.self_int")
def _repeat_interleave(a: Array, repeats: int, dim: Any = None, **_: Any) -> Array:
    return np.repeat(a if dim is not None else a.reshape(-1), repeats, axis=dim if dim is not None else 0)


def zeros(sizes: Any) -> Array:
    """An array of exact zeros."""
    return np.full(tuple(sizes), sp.Integer(0), dtype=object)


def _ordered(*_: Any, **__: Any) -> Any:
    raise Unread("an order that depends on the inputs")


rule("sort", "topk", "median", "kthvalue", "mode", "unique_dim", "unique_consecutive", "_unique2")(_ordered)


@rule("split_with_sizes_copy", "split_copy", "unbind_copy")
def _copies(a: Array, *_: Any, **__: Any) -> Any:
    raise Unread("a list of copies")
