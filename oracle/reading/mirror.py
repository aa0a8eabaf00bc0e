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
from oracle.reading.exits import Exits
from oracle.reading.formats import fit
from oracle.reading.operators import CONCRETE, OPERATORS
from oracle.reading.shadow import Shadow, address


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
    """Mirror operators on a shadow memory; ``lost`` lists what could not be read, first cause first.

    ``ended`` is the cause that ended the reading, kept in case the program caught it and went on.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.shadow = Shadow()
        self.escapes: list[Escape] = []
        self.lost: list[str] = []
        self.products: list[Product] = []
        self.ended: str | None = None
        self._exits: list[Exits] = []
        self._inside: str | None = None  # the operator whose decomposition runs

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # nothing is compiled while reading, and the skip would import torch._dynamo (over a second)
        return False

    def __enter__(self) -> Mirror:
        self._exits.append(Exits(self))
        self._exits[-1].__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._exits.pop().__exit__(*error)  # type: ignore[no-untyped-call]

    def name(self, t: Tensor, values: Array) -> Tensor:
        """Give a tensor symbolic contents."""
        with _disable_current_modes():
            self.shadow.write(t, values)
        return t

    def leave(self, t: Tensor, value: Any = True) -> None:
        """Note that the numbers of a tensor went where no operator sees them; the path depends on them."""
        with _disable_current_modes(), torch._C.DisableTorchFunction():
            found: list[Any] = list(self.shadow.read(t).flat) if self.shadow.has(t) else []
            self.escapes += [Escape(e, value) for e in found if getattr(e, "free_symbols", None)]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        try:
            with torch._C.DisableTorchFunction():
                return self._mirror(func, args, kwargs or {})
        except Unread as error:
            self.ended = self.ended or str(error)
            raise

    def _mirror(self, func: Any, args: Any, kwargs: Any) -> Any:
        tensors = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
        random = torch.Tag.nondeterministic_seeded in func.tags
        if not random and not any(self.shadow.has(t) for t in tensors):
            return func(*args, **kwargs)
        if func is torch.ops.aten._local_scalar_dense.default:
            return self._escape(args[0], func(*args, **kwargs))
        if torch.Tag.inplace_view in func.tags:
            return self._moved(func, args, kwargs)
        if _rule(func) is None and (parts := self._parts(func, args, kwargs)) is not NotImplemented:
            return parts
        written = _written(func, args, kwargs)
        addresses = {None, *map(address, tensors)}
        # what an operator overwrites must be read before it runs
        symbolic, cause = self._evaluate(func, args, kwargs, random) if written else (None, None)
        out = func(*args, **kwargs)
        results: list[Any] = [o for o in tree_leaves(out) if isinstance(o, Tensor)]
        if not results and isinstance(out, (bool, int, float)):
            self.escapes.append(Escape(unknown(f"the operator {func}"), out))
            return out
        fresh = [address(o) not in addresses for o in results]
        if written:
            results, rest = written, [o for o, new in zip(results, fresh, strict=True) if new]
        elif not any(fresh):
            return out  # views and aliases: the memory already says it all
        else:
            symbolic, cause = self._evaluate(func, args, kwargs, random, out)
            results, rest = [o if new else None for o, new in zip(results, fresh, strict=True)], []
        with _disable_current_modes():
            self._store(results, symbolic, cause, func)
            if rest:
                self._store(rest, None, f"the operator {func}", func)
        return out

    def _moved(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operator that changes what a tensor looks at; one that takes other memory for it ends the reading."""
        before = address(args[0])
        symbolic = self.shadow.has(args[0])
        out = func(*args, **kwargs)
        resized = "resize" in str(func) and args[0].numel()
        if symbolic and (resized or (address(args[0]) != before and "set_" not in str(func))):
            raise Unread(f"the operator {func}")
        return out

    def _parts(self, func: Any, args: Any, kwargs: Any) -> Any:
        """An operator that torch itself writes in others (they arrive whole in inference mode), run in these."""
        if not func._can_decompose():
            return NotImplemented
        with self:
            return func.decompose(*args, **kwargs)

    def _evaluate(
        self, func: Any, args: Any, kwargs: Any, random: bool, out: Any = None
    ) -> tuple[list[Array] | None, str | None]:
        """The results of an operator as symbols, or the cause why not."""
        if random:
            return None, "random numbers"
        rule = _rule(func)
        try:
            if rule is CONCRETE:
                return self._leave(func, args, kwargs, out)
            if rule is None:
                return self._decompose(func, args, kwargs)
            self._note_product(func, args)
            with _disable_current_modes():
                lifted_args, lifted_kwargs = tree_map(self._lift, args), tree_map(self._lift, kwargs)
                lifted_kwargs = {k: v for k, v in lifted_kwargs.items() if k not in _outputs(func)}
                answer = rule(*lifted_args, **lifted_kwargs)
            return (list(answer) if isinstance(answer, (tuple, list)) else [answer]), None
        except Unread as error:
            return None, str(error)
        except (TypeError, ValueError, IndexError, NotImplementedError, AttributeError, ZeroDivisionError) as error:
            return None, f"{func}: {error}"

    def _decompose(self, func: Any, args: Any, kwargs: Any) -> tuple[list[Array] | None, str | None]:
        from torch._decomp import decomposition_table

        if func._schema.is_mutable:
            twin = _twin(func)
            if twin is None:
                return None, f"the operator {self._inside or func}"
            body = twin
        else:
            body = decomposition_table.get(func)
            if body is None:
                return None, f"the operator {self._inside or func}"
        outer, self._inside = self._inside, self._inside or str(func)
        try:
            with self:
                parts = [o for o in tree_leaves(body(*args, **kwargs)) if isinstance(o, Tensor)]
        finally:
            self._inside = outer
        with _disable_current_modes():
            return [self.shadow.read(o) for o in parts], None

    def _leave(self, func: Any, args: Any, kwargs: Any, out: Any) -> tuple[list[Array] | None, str | None]:
        """An operator whose result is an index or a count: its numbers stand, and the path depends on them."""
        with _disable_current_modes():
            given = [a for a in tree_leaves((args, kwargs)) if isinstance(a, Tensor)]
            symbols = [s for a in given for x in self.shadow.read(a).flat for s in getattr(x, "free_symbols", ())]
            if symbols:
                self.escapes.append(Escape(unknown(f"the operator {func}"), True))
            return [self.shadow.read(o) for o in tree_leaves(out) if isinstance(o, Tensor)], None

    def _lift(self, x: Any) -> Any:
        return self.shadow.read(x) if isinstance(x, Tensor) else x

    def _store(self, targets: list[Any], symbolic: list[Array] | None, cause: str | None, func: Any) -> None:
        """Write the results to the tensors that hold them; None stands for one that needs no writing."""
        if symbolic is not None and len(symbolic) < len(targets):
            symbolic, cause = None, f"the operator {func}"
        if cause is not None:
            self.lost.append(cause)
        for i, t in enumerate(targets):
            if t is None:
                continue
            try:
                values = fit(np.asarray(symbolic[i], dtype=object), t.dtype) if symbolic is not None else None
                if values is not None and values.shape != tuple(t.shape):
                    raise Unread(f"{func}: a result of shape {values.shape} for one of {tuple(t.shape)}")
                self.shadow.write(t, _unknowns(t, cause or "") if values is None else values)
            except (Unread, ValueError) as error:
                self.lost.append(str(error))
                self.shadow.write(t, _unknowns(t, str(error)))

    def _escape(self, t: Tensor, value: Any) -> Any:
        self.leave(t, value)
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


def _rule(func: Any) -> Any:
    name = _functional_name(func)
    packet = name.partition(".")[0]
    if not str(func).startswith("aten."):
        return None
    return OPERATORS.get(name, OPERATORS.get(packet))


def _outputs(func: Any) -> set[str]:
    """The names of the arguments that an ``out=`` variant writes to."""
    return {a.name for a in func._schema.arguments if a.is_out}


def _twin(func: Any) -> Any:
    """The operator that computes as a new tensor what an in-place operator writes."""
    name, _, overload = str(func).removeprefix("aten.").partition(".")
    if not str(func).startswith("aten.") or not name.endswith("_") or name.startswith("_"):
        return None
    twin = getattr(getattr(torch.ops.aten, name.removesuffix("_"), None), overload, None)
    return twin if twin is not None and not twin._schema.is_mutable else None


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
