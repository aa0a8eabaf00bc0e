"""Name the objective whose gradient a set of measured expected gradients is, or the nearest one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oracle.probing.expectation import LEVELS, Numbers, of_objective
from oracle.probing.instances import Instance, Table


@dataclass(frozen=True)
class Fit:
    """An objective with the scale that fits best and the relative error that remains."""

    objective: str
    level: str | None
    prefixes: str | None
    scale: float
    relative_error: float


def candidates(horizon: int) -> list[tuple[str, str, str | None]]:
    """All (objective, level, prefixes); at horizon 1 there is one level."""
    from proofs.divergences import OBJECTIVES

    levels = LEVELS if horizon > 1 else LEVELS[:1]
    return [(name, level, prefixes) for name in OBJECTIVES for level, prefixes in levels]


class Bench:
    """Instances with the gradients of all candidates on them, computed once."""

    def __init__(self, instances: Sequence[Instance]) -> None:
        self.instances = list(instances)
        self.candidates = candidates(self.instances[0].horizon)
        self.targets = np.stack([_flat([of_objective(*c, i) for i in self.instances]) for c in self.candidates])
        self.size = float(np.linalg.norm(self.targets[0]))
        if not self.size > 0.0:
            raise ValueError("the instances have pi = ref, where every regulariser vanishes")

    def fits(self, gradients: Sequence[Table]) -> list[Fit]:
        """All candidates with their scale and error, best first."""
        g = _flat(gradients)
        scales = self.targets @ g / (self.targets**2).sum(1)
        errors = np.linalg.norm(g - scales[:, None] * self.targets, axis=1) / np.linalg.norm(g)
        out = [Fit(*c, float(a), float(e)) for c, a, e in zip(self.candidates, scales, errors, strict=True)]
        # of equal fits the earlier candidate goes first: the plainer level, the more usual objective
        least = float(errors.min())
        return sorted(out, key=lambda f: 0.0 if f.relative_error <= 3 * least + 1e-10 else f.relative_error)

    def is_zero(self, gradients: Sequence[Table], tolerance: float) -> bool:
        """Whether the gradients vanish beside the reverse-KL gradient, which does not vanish here."""
        return float(np.linalg.norm(_flat(gradients))) <= tolerance * self.size

    def name(self, gradients: Sequence[Table], tolerance: float) -> tuple[str, Fit | None]:
        """(``zero`` | an objective's name | ``unnamed``, the best fit where the gradient is not zero)."""
        if self.is_zero(gradients, tolerance):
            return "zero", None
        best = self.fits(gradients)[0]
        return (best.objective if best.relative_error <= tolerance else "unnamed"), best


def _flat(tables: Sequence[Table]) -> Numbers:
    return np.concatenate([t.ravel() for t in tables])
