"""Shadow memory: one symbolic value for each element of each storage that holds something symbolic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oracle.reading.atoms import Array, Unread, constant

_LIMIT = 4096
"""Elements: beyond it a tensor is not followed (a reading happens at 2 x 2 tokens; larger tensors are vocabularies)."""


def address(t: Tensor) -> int | None:
    """Where the memory that a tensor looks at begins; None where it has none (no elements, or zeros by decree)."""
    return None if t.numel() == 0 or t._is_zerotensor() else t.untyped_storage().data_ptr()


@dataclass
class _Cells:
    cells: Array
    storage: torch.UntypedStorage  # held, so that its address is not given to another tensor
    dtype: torch.dtype


class Shadow:
    """Symbolic contents by storage address; a tensor reads and writes through its own strides."""

    def __init__(self) -> None:
        self._by_address: dict[int, _Cells] = {}

    def has(self, t: Tensor) -> bool:
        """Whether the memory that a tensor looks at holds something symbolic."""
        return self._cells(t) is not None

    def _cells(self, t: Tensor) -> _Cells | None:
        at = address(t)
        cells = None if at is None else self._by_address.get(at)
        if at is not None and cells is not None and cells.storage.data_ptr() != at:
            del self._by_address[at]  # the storage was resized and moved, and its old memory is another tensor's
            return None
        return cells

    def _window(self, t: Tensor, cells: _Cells) -> Array:
        if t.dtype != cells.dtype or t.is_neg() or t.is_conj():
            raise Unread(f"a view that reinterprets memory as {str(t.dtype).removeprefix('torch.')}")
        step = cells.cells.itemsize
        return np.lib.stride_tricks.as_strided(
            cells.cells[t.storage_offset() :], tuple(t.shape), tuple(s * step for s in t.stride())
        )

    def read(self, t: Tensor) -> Array:
        """A copy of what a tensor looks at: its symbols, or its numbers made exact."""
        cells = self._cells(t)
        if cells is not None:
            return self._window(t, cells).copy()
        if t.numel() > _LIMIT:
            raise Unread(f"a tensor of {t.numel()} elements")
        return _lift(t)

    def write(self, t: Tensor, values: Array) -> None:
        """Set what a tensor looks at; every alias sees it."""
        if address(t) is None:
            return
        storage = t.untyped_storage()
        cells = self._cells(t)
        if cells is None:
            size = storage.nbytes() // t.itemsize
            if size > _LIMIT:
                raise Unread(f"a tensor of {size} elements")
            whole = torch.empty(0, dtype=t.dtype).set_(storage, 0, (size,), (1,))
            cells = _Cells(_lift(whole), storage, t.dtype)
            self._by_address[storage.data_ptr()] = cells
        self._window(t, cells)[...] = np.broadcast_to(values, tuple(t.shape))


def _lift(t: Tensor) -> Array:
    """The numbers of a tensor as exact SymPy values, at the precision they are stored in."""
    ulp = torch.finfo(t.dtype).eps / 2 if t.dtype.is_floating_point and t.dtype != torch.float64 else 0.0
    out = np.empty(tuple(t.shape), dtype=object)
    flat: list[Any] = [0] * t.numel() if t._is_zerotensor() else t.detach().reshape(-1).tolist()
    out.reshape(-1)[:] = [constant(v, ulp) for v in flat] if flat else []
    return out
