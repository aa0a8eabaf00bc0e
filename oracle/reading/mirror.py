"""The mirror: a dispatch mode that repeats every ATen operator, forward and backward, on SymPy expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map

from oracle.reading.atoms import Array, Unread, unknown
from oracle.reading.operators import CONCRETE, OPERATORS
from oracle.reading.shadow import Shadow


@dataclass(frozen=True)
class Escape:
    """A symbolic value that became a Python number or truth value (``.item()``, a branch)."""

    expression: Any
    value: float | bool


@dataclass(frozen=True)
class Product:
    """A product in the forward pass: the two factors, and whether gradient flows to each."""

    left: Array
    right: Array
    left_grad: bool
    right_grad: bool


class Mirror(TorchDispatchMode):
    """Mirror operators on a shadow memory; ``lost`` lists what could not be read, first cause first."""

    def __init__(self) -> None:
        super().__init__()
        self.shadow = Shadow()
        self.escapes: list[Escape] = []
        self.lost: list[str] = []
        self.products: list[Product] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # nothing is compiled while reading, and the skip would import torch._dynamo (over a second)
        return False

    def name(self, t: Tensor, values: Array) -> Tensor:
        """Give a tensor symbolic contents."""
        with _disable_current_modes():
            self.shadow.write(t, values)
        return t

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        if not any(self.shadow.has(t) for t in tensors):
            return func(*args, **kwargs)
        if func is torch.ops.aten._local_scalar_dense.default:
            return self._escape(args[0], func(*args, **kwargs))
        written = _written(func, args, kwargs)
        addresses = {t.untyped_storage().data_ptr() for t in tensors if t.numel()}
        # what an operator overwrites must be read before it runs
        symbolic, cause = self._evaluate(func, args, kwargs) if written else (None, None)
        out = func(*args, **kwargs)
        results = [o for o in tree_leaves(out) if isinstance(o, Tensor)]
        if not results and isinstance(out, (bool, int, float)):
            self.escapes.append(Escape(unknown(f"the operator {func}"), out))
            return out
        if not written:
            results = [o for o in results if o.numel() and o.untyped_storage().data_ptr() not in addresses]
            if not results:
                return out  # views and aliases: the memory already says it all
            symbolic, cause = self._evaluate(func, args, kwargs, out)
        with _disable_current_modes():
            self._store(written or results, symbolic, cause, func)
        return out

    def _evaluate(self, func: Any, args: Any, kwargs: Any, out: Any = None) -> tuple[list[Array] | None, str | None]:
        """The results of an operator as symbols, or the cause why not."""
        rule = OPERATORS.get(_functional_name(func), OPERATORS.get(_functional_name(func).partition(".")[0]))
        try:
            if rule is CONCRETE:
                return self._leave(func, args, out)
            if rule is None:
                return self._decompose(func, args, kwargs)
            self._note_product(func, args)
            with _disable_current_modes():
                lifted_args, lifted_kwargs = tree_map(self._lift, args), tree_map(self._lift, kwargs)
                answer = rule(*lifted_args, **lifted_kwargs)
            return (list(answer) if isinstance(answer, (tuple, list)) else [answer]), None
        except Unread as error:
            return None, str(error)
        except (TypeError, ValueError, IndexError, NotImplementedError, AttributeError) as error:
            return None, f"{func}: {error}"

    def _decompose(self, func: Any, args: Any, kwargs: Any) -> tuple[list[Array] | None, str | None]:
        from torch._decomp import decomposition_table

        body = decomposition_table.get(func)
        if body is None or func._schema.is_mutable:
            return None, f"the operator {func}"
        with self:
            parts = [o for o in tree_leaves(body(*args, **kwargs)) if isinstance(o, Tensor)]
        with _disable_current_modes():
            return [self.shadow.read(o) for o in parts], None

    def _leave(self, func: Any, args: Any, out: Any) -> tuple[list[Array] | None, str | None]:
        """An operator whose result is an index or a count: its numbers stand, and the path depends on them."""
        with _disable_current_modes():
            symbols = [s for a in args if isinstance(a, Tensor) for x in self.shadow.read(a).flat for s in x.free_symbols]
            if symbols:
                self.escapes.append(Escape(unknown(f"the operator {func}"), True))
            return [self.shadow.read(o) for o in tree_leaves(out) if isinstance(o, Tensor)], None

    def _lift(self, x: Any) -> Any:
        return self.shadow.read(x) if isinstance(x, Tensor) else x

    def _store(self, targets: list[Tensor], symbolic: list[Array] | None, cause: str | None, func: Any) -> None:
        if symbolic is not None and len(symbolic) < len(targets):
            symbolic, cause = None, f"the operator {func}"
        if cause is not None:
            self.lost.append(cause)
        for i, t in enumerate(targets):
            values = symbolic[i] if symbolic is not None else _unknowns(t, cause or "")
            try:
                self.shadow.write(t, np.asarray(values, dtype=object))
            except (Unread, ValueError) as error:
                self.lost.append(f"{func}: {error}")
                if t.untyped_storage().nbytes() // t.itemsize <= 4096:
                    self.shadow.write(t, _unknowns(t, f"{func}: {error}"))
                else:
                    raise Unread(f"{func}: {error}") from error

    def _escape(self, t: Tensor, value: Any) -> Any:
        with _disable_current_modes():
            expression = self.shadow.read(t).item()
        if expression.free_symbols:
            self.escapes.append(Escape(expression, value))
        return value

    def _note_product(self, func: Any, args: Any) -> None:
        if func is torch.ops.aten.mul.Tensor and all(isinstance(a, Tensor) for a in args[:2]):
            left, right = args[:2]
            with _disable_current_modes():
                self.products.append(
                    Product(self.shadow.read(left), self.shadow.read(right), left.requires_grad, right.requires_grad)
                )


def _functional_name(func: Any) -> str:
    """``aten.mul_.Tensor`` is read by the rule of ``aten.mul.Tensor``."""
    packet, _, overload = str(func).removeprefix("aten.").partition(".")
    return f"{packet.removesuffix('_') if not packet.startswith('_') or packet.endswith('_') else packet}.{overload}"


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that an operator overwrites."""
    if not func._schema.is_mutable:
        return []
    out: list[Tensor] = []
    for i, a in enumerate(func._schema.arguments):
        if a.alias_info is not None and a.alias_info.is_write:
            value = args[i] if i < len(args) else kwargs.get(a.name)
            out += [v for v in tree_leaves(value) if isinstance(v, Tensor)]
    return out


def _unknowns(t: Tensor, cause: str) -> Array:
    out = np.empty(tuple(t.shape), dtype=object)
    out.reshape(-1)[:] = [unknown(cause) for _ in range(t.numel())]
    return out
