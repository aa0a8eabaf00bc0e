"""What the tests of the reading share: run a torch program under the mirror, and hold its formulas against numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from oracle.reading.atoms import Array, Unread, causes, number
from oracle.reading.mirror import Mirror
from oracle.reading.regimes import Regime


@dataclass
class Run:
    """The results of a program: what torch computed, and the formulas beside it."""

    numbers: list[Tensor]
    formulas: list[Array]
    mirror: Mirror
    point: dict[sp.Symbol, float] = field(default_factory=dict)

    def unknown(self) -> list[str]:
        """The causes of what is unknown in the formulas."""
        return [c for f in self.formulas for e in f.flat for c in causes(number(e))]

    def differs(self, rtol: float = 1e-9) -> str | None:
        """Where a formula does not give the number beside it; None where all do."""
        regime = Regime(self.point, strict=False)
        for k, (seen, formula) in enumerate(zip(self.numbers, self.formulas, strict=True)):
            assert formula.shape == tuple(seen.shape)
            expected = np.array([value_of(regime, e) for e in formula.flat]).reshape(formula.shape)
            if not np.allclose(seen.detach().double().numpy(), expected, rtol=rtol, atol=rtol, equal_nan=True):
                return f"result {k}: {formula.tolist()} gives {expected.tolist()} where {seen.tolist()} ran"
        return None


def value_of(regime: Regime, e: Any) -> float:
    """The number that a formula gives at a point."""
    return float(regime.value(number(e)))


def symbols(name: str, shape: tuple[int, ...]) -> Array:
    """One symbol for each element of a tensor."""
    out = np.empty(shape, dtype=object)
    for i in np.ndindex(*shape):
        out[i] = sp.Symbol("_".join([name, *map(str, i)]), real=True)
    return out


def named(mirror: Mirror, name: str, t: Tensor, point: dict[sp.Symbol, float]) -> Tensor:
    """A copy of a tensor with symbols for contents."""
    values = symbols(name, tuple(t.shape))
    point.update(zip(values.flat, t.reshape(-1).tolist(), strict=True))
    return mirror.name(t.detach().clone(), values)


def run(program: Callable[..., Any], *inputs: Tensor, gradient: bool = True) -> Run:
    """Run a program of tensors under the mirror; with ``gradient``, those of a weighted sum follow."""
    mirror, point = Mirror(), {}
    with warnings.catch_warnings(), mirror:
        warnings.simplefilter("ignore")
        given = [named(mirror, "xyzuvw"[i], t, point) for i, t in enumerate(inputs)]
        if gradient:
            given = [t.requires_grad_() if t.is_floating_point() else t for t in given]
        out = program(*given)
        results = [o for o in (out if isinstance(out, (tuple, list)) else [out]) if isinstance(o, Tensor)]
        if gradient:
            heads = [o for o in results if o.requires_grad]
            leaves = [t for t in given if t.requires_grad]
            if heads:
                weights = [torch.arange(1, o.numel() + 1).reshape(o.shape).to(o) / 4 for o in heads]
                got = torch.autograd.grad(heads, leaves, weights, allow_unused=True)
                results += [g for g in got if g is not None]
    if mirror.ended is not None:
        raise Unread(mirror.ended)
    seen = [torch.zeros(r.shape, dtype=r.dtype) if r._is_zerotensor() else r.detach() for r in results]
    return Run(seen, [mirror.shadow.read(r.detach()) for r in results], mirror, point)
