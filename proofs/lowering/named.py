"""The generated NumPy code of what has a name, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from proofs.divergences import OBJECTIVES
from proofs.estimators import ABS_K1, K1, K2, K3, Estimator
from proofs.generated import numpy_forms
from proofs.lowering.compiled import Array, Function, Input, compile_numpy
from proofs.symbols import L

_GENERATED = {K1: "k1", K2: "k2", K3: "k3", ABS_K1: "abs_k1"}


def _generated(name: str) -> Function:
    form = getattr(numpy_forms, name)

    def evaluate(values: Input) -> Array:
        result: Array = form(np.asarray(values, np.float64))
        return result

    return evaluate


@lru_cache(maxsize=64)
def coefficient_function(objective: str) -> Function:
    """Return the coefficient of a named objective as a NumPy function of L."""
    return _generated(f"{OBJECTIVES[objective].name}_coefficient")


def estimator_function(estimator: Estimator) -> Function:
    """Return the value of an estimator as a NumPy function of L."""
    name = _GENERATED.get(estimator)
    return compile_numpy(estimator.value, [L]) if name is None else _generated(name)


@lru_cache(maxsize=64)
def divergence_function(objective: str) -> Callable[[Input, Input], Array]:
    """Return D(log policy, log reference) of a named objective, summed over the last axis.

    Both have full support. Each term is f(u) - f'(1) (u - 1), which no cancellation across tokens
    can harm because it is 0 only at u = 1; it is weighted by the larger of the two probabilities.
    """
    name = OBJECTIVES[objective].name
    below, above = _generated(f"{name}_term"), _generated(f"{name}_term_over_ratio")

    def value(log_policy: Input, log_reference: Input) -> Array:
        p, q = np.asarray(log_policy, np.float64), np.asarray(log_reference, np.float64)
        ratio = p - q
        weighted = np.where(ratio > 0, np.exp(p), np.exp(q))
        parts = weighted * np.where(ratio > 0, above(np.maximum(ratio, 0.0)), below(np.minimum(ratio, 0.0)))
        total: Any = parts.sum(axis=-1)
        return np.asarray(total, np.float64)

    return value
