"""What the kernels have to return, in float64 NumPy: written from the formulas, with nothing of gpu_checks' bounds."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest

from gpu_checks.formats import FORMATS
from gpu_checks.subject import SampledBatch, WholeBatch

Array = np.ndarray[Any, Any]

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++ (Debian: apt-get install g++)")

VOCABULARIES = (5, 255, 257, 1000, 4097, 128_256)
SCHEDULES = ("forward", "reverse", "random:1", "random:2", "random:3")


def log_softmax(logits: Array, temperature: float = 1.0) -> Array:
    """[row, token] of any dtype -> float64."""
    x = logits.astype(np.float64) / temperature
    top = x.max(axis=1, keepdims=True)
    result: Array = x - top - np.log(np.exp(x - top).sum(axis=1, keepdims=True))
    return result


def sampled_batch(dtype: str, vocabulary: int, rows: int = 3, seed: int = 0, scale: float = 2.0) -> SampledBatch:
    """Rows with log-ratios of about 0.3, a sampler near the policy, tokens at both ends, and upstream of both signs."""
    random = np.random.default_rng([seed, vocabulary])
    logits = FORMATS[dtype].store(random.standard_normal((rows, vocabulary)) * scale)
    tokens = random.integers(0, vocabulary, rows)
    tokens[0], tokens[1:2] = vocabulary - 1, 0
    own = log_softmax(logits)[np.arange(rows), tokens]
    return SampledBatch(
        logits,
        tokens,
        (own + 0.3 * random.standard_normal(rows)).astype(np.float32),
        (random.standard_normal(rows) + 0.1).astype(np.float32),
        (own + 0.2 * random.standard_normal(rows)).astype(np.float32),
    )


def whole_batch(dtype: str, vocabulary: int, rows: int = 3, seed: int = 0) -> WholeBatch:
    """Rows of logits and of a reference near them."""
    random = np.random.default_rng([seed, vocabulary])
    policy = FORMATS[dtype].store(random.standard_normal((rows, vocabulary)) * 2)
    reference = FORMATS[dtype].store(policy.astype(np.float64) + 0.3 * random.standard_normal((rows, vocabulary)))
    return WholeBatch(policy, reference, (random.standard_normal(rows) + 0.1).astype(np.float32))


def sampled_truth(
    batch: SampledBatch, form: str, weight: str = "none", temperature: float = 1.0
) -> tuple[Array, Array, Array]:
    """Return value [row], gradient [row, token] and log-probability [row]."""
    log_p = log_softmax(batch.logits, temperature)
    rows = np.arange(len(log_p))
    own = log_p[rows, batch.tokens]
    ratio = own - batch.reference.astype(np.float64)
    estimator, _, placement = form.partition(" ")
    value = {"k1": ratio, "k2": ratio**2 / 2, "k3": np.expm1(-ratio) + ratio}[estimator]
    slope = {"k1": np.ones_like(ratio), "k2": ratio, "k3": -np.expm1(-ratio)}[estimator]
    coefficient = slope if placement == "as loss" else value
    if weight != "none":
        assert batch.sampler is not None
        rho = np.exp(own - batch.sampler.astype(np.float64))
        if weight == "differentiated" and placement == "as loss":
            coefficient = coefficient + value
        coefficient, value = rho * coefficient, rho * value
    score = -np.exp(log_p)
    score[rows, batch.tokens] += 1
    gradient = (batch.upstream.astype(np.float64) * coefficient / temperature)[:, None] * score
    return value, gradient, own


def whole_truth(batch: WholeBatch, form: str, temperature: float = 1.0) -> tuple[Array, Array]:
    """Return value [row] and gradient [row, token]; p log 0 - p log 0 is 0 where both are impossible."""
    log_p, log_q = log_softmax(batch.policy, temperature), log_softmax(batch.reference, temperature)
    p, q = np.exp(log_p), np.exp(log_q)
    with np.errstate(invalid="ignore"):
        ratio = log_p - log_q
        if form == "reverse_kl":
            value = np.where(p > 0, p * ratio, 0).sum(axis=1)
            gradient = np.where(p > 0, p * (ratio - value[:, None]), 0)
        else:
            value = np.where(q > 0, -q * ratio, 0).sum(axis=1)
            gradient = p - q
    return value, gradient * batch.upstream.astype(np.float64)[:, None] / temperature


def within(found: Array, due: Array, absolute: Array, dtype: str) -> bool:
    """Whether stored numbers are right to an absolute error before the store, and the store's own."""
    form = FORMATS[dtype]
    allowed = absolute + form.unit * (np.abs(due) + absolute) + form.tiny
    return bool((np.abs(found.astype(np.float64) - due) <= allowed).all())


SOFTMAX = 3e-5
"""An error that no log-probability here reaches: ceil(128,256 / 256) + 8 additions of 2^-24 each, half again."""
