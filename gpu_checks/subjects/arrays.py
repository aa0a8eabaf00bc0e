"""The array code of `gpu_checks.arrays` in float32, as subjects: NumPy and PyTorch here, CuPy on a device."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from gpu_checks import arrays, elementwise
from gpu_checks.bounds.cost import CostModel
from gpu_checks.bounds.sampled import formula_of
from gpu_checks.formats import FORMATS, Array
from gpu_checks.subject import Request, Result, Runner, SampledBatch, Subject, WholeBatch
from proofs.symbols import RHO, L

_COST = CostModel(chain=lambda vocabulary: ceil(vocabulary / 128) + 24, k3="naive")
"""NumPy adds in pairs of blocks of 128, PyTorch in a cascade, CuPy in blocks of threads: none has a longer chain."""


class _Library:
    """Moves arrays to a library and back; both ways exact."""

    def __init__(self, name: str) -> None:
        self.name = name

    def take(self, values: Array) -> Any:
        single = np.ascontiguousarray(values.astype(np.float32)) if values.dtype.kind != "i" else values
        if self.name == "numpy":
            return single
        if self.name == "torch":
            import torch

            return torch.from_numpy(single)
        from gpu_checks.backends.cuda import require_device

        return require_device().asarray(single)

    def give(self, values: Any) -> Array:
        if self.name != "cuda":
            return np.asarray(values)
        from gpu_checks.backends.cuda import require_device

        given: Array = require_device().asnumpy(values)
        return given


class _Scored:
    def __init__(self, library: str, request: Request, claim: str) -> None:
        self.library, self.form = _Library(library), FORMATS[request.dtype]
        self.formula = formula_of(claim)

    def __call__(self, batch: SampledBatch) -> Result:
        take, give = self.library.take, self.library.give
        logits = take(batch.logits)
        terms = _terms(self.formula, elementwise.namespace(logits))
        value, gradient, own = arrays.scored(
            terms,
            logits,
            take(batch.tokens),
            take(batch.reference),
            take(batch.upstream),
            None if batch.sampler is None else take(batch.sampler),
        )
        return Result(give(value), self.form.store(give(gradient)), give(own))

    def close(self) -> None:
        """Nothing was started."""


class _Divergence:
    def __init__(self, library: str, request: Request, objective: str) -> None:
        self.library, self.form, self.objective = _Library(library), FORMATS[request.dtype], objective

    def __call__(self, batch: WholeBatch) -> Result:
        take, give = self.library.take, self.library.give
        value, gradient = arrays.divergence(self.objective, take(batch.policy), take(batch.reference))
        scaled = gradient * take(batch.upstream)[:, None]
        return Result(give(value), self.form.store(give(scaled)))

    def close(self) -> None:
        """Nothing was started."""


def _terms(formula: Any, xp: Any) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """Value and coefficient as functions of (L, log rho)."""
    value, slope = (
        elementwise.function(expr, (L, RHO), xp)
        for expr in (formula.value, sum(formula.terms, start=formula.value * 0))
    )
    return (lambda ratio, weight: value(ratio, xp.exp(weight))), (lambda ratio, weight: slope(ratio, xp.exp(weight)))


def _subject(name: str, claim: str, title: str, family: Any, make: Callable[[str, Request, str], Runner]) -> Subject:
    def opener(library: str) -> Callable[[Request], Runner]:
        def opened(request: Request) -> Runner:
            if library == "cuda":
                from gpu_checks.backends.cuda import require_device

                require_device()
            return make(library, request, claim)

        return opened

    backends = {library: opener(library) for library in ("numpy", "torch", "cuda")}
    sources = (arrays.__file__, elementwise.__file__, __file__)
    return Subject(name, title, family, claim, _COST, backends, sources=tuple(str(Path(s)) for s in sources))


SUBJECTS = (
    _subject("array-k3", "k3 as loss", "array code of our own, float32: k3 of one token a row", "sampled", _Scored),
    _subject(
        "array-reverse-kl",
        "reverse_kl",
        "array code of our own, float32: KL(policy||reference) over the vocabulary",
        "whole",
        _Divergence,
    ),
    _subject(
        "array-forward-kl",
        "forward_kl",
        "array code of our own, float32: KL(reference||policy) over the vocabulary",
        "whole",
        _Divergence,
    ),
)
