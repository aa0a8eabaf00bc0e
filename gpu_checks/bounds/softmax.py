"""log-sum-exp and log-probabilities, as a kernel computes them: maximum, exponentials, sum, logarithm."""

from __future__ import annotations

import numpy as np

from gpu_checks.bounds.tracked import Arithmetic, Tracked
from gpu_checks.formats import SINGLE_UNIT


def log_sum_exp(arithmetic: Arithmetic, logits: Tracked) -> Tracked:
    """Return max + log sum exp(x - max) over the last axis, kept with length 1; [row, token] -> [row, 1].

    The maximum is exact. An online softmax multiplies partial sums by exp(old maximum - new maximum): each of its
    `rescalings` is one more exp and product, and the exponents' roundings add up to at most that of x - max again.
    """
    top = logits.value.max(axis=-1, keepdims=True)
    largest = Tracked(top, _error_of_the_maximum(logits))
    terms = arithmetic.exp(logits - largest)
    times = arithmetic.cost.rescalings(logits.value.shape[-1])
    if times:
        with np.errstate(invalid="ignore"):
            distance = np.where(np.isneginf(logits.value), 0.0, abs(logits.value - top))
        per_exp = 2 * arithmetic.cost.exp_ulp + 1
        bent = SINGLE_UNIT * (times * per_exp + (3 if arithmetic.cost.exp_by_exp2 else 1) * distance)
        terms = Tracked(terms.value, terms.error + (terms.value + terms.error) * np.expm1(bent))
    return largest + arithmetic.log(arithmetic.sum(terms))


def _error_of_the_maximum(logits: Tracked) -> np.ndarray:
    """The maximum of numbers with errors errs by no more than the worst of them; it cancels, but for roundings."""
    if not logits.error.any():
        return np.zeros((*logits.value.shape[:-1], 1))
    return np.asarray(logits.error.max(axis=-1, keepdims=True))


def log_softmax(arithmetic: Arithmetic, logits: Tracked) -> Tracked:
    """Return the log-probabilities [row, token]; that of a logit -inf is -inf, exactly."""
    total = log_sum_exp(arithmetic, logits)
    shifted = logits - total
    return Tracked(shifted.value, np.where(np.isneginf(shifted.value), 0.0, shifted.error))


def scaled(arithmetic: Arithmetic, logits: np.ndarray, temperature: float) -> Tracked:
    """Return logits / temperature: two roundings (a product with the reciprocal), or four of div.full (Triton)."""
    given = arithmetic.given(logits)
    if temperature == 1.0:
        return given
    divisor = float(np.float32(temperature))
    value = given.value / divisor
    roundings = 4 if arithmetic.cost.exp_by_exp2 else 2
    rounding = np.where(np.isfinite(value), roundings * SINGLE_UNIT * abs(value), 0.0)
    return Tracked(value, given.error / divisor + rounding)
