"""The numbers that a kernel is given: regimes in which a fault shows, at the vocabulary asked for.

Reference log-probabilities stay near the policy's, as in training: with a reference drawn on its own the ratio
reference/policy is e^12 at V = 131072, and the KL term swamps every fault of the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpu_checks.formats import Array, Format
from gpu_checks.subject import SampledBatch, WholeBatch


@dataclass(frozen=True)
class Regime:
    """A name, the spread of the logits, and the spread of the log-ratio."""

    name: str
    logits: float
    ratio: float


REGIMES = (
    Regime("typical", 2.0, 0.3),
    Regime("near the reference", 2.0, 1e-3),
    Regime("peaked", 6.0, 0.5),
    Regime("flat", 0.3, 0.05),
)
UPSTREAM = (1.0, -0.5, 0.25, 2.0)
"""Derivatives of the scalar by each row's value: exact in float32, of both signs, no two alike."""


def log_softmax(logits: Array) -> Array:
    """In float64, over the last axis."""
    x = np.asarray(logits, np.float64)
    top = x.max(axis=-1, keepdims=True)
    shifted: Array = x - top - np.log(np.exp(x - top).sum(axis=-1, keepdims=True))
    return shifted


def draw_logits(form: Format, rows: int, vocabulary: int, spread: float, random: np.random.Generator) -> Array:
    """Return [row, token] logits as the format holds them, each row shifted by a number of its own."""
    shift = random.uniform(-8.0, 8.0, (rows, 1))
    return form.store(random.standard_normal((rows, vocabulary)) * spread + shift)


def sampled_batch(
    form: Format, vocabulary: int, regime: Regime, weighted: bool, temperature: float, random: np.random.Generator
) -> SampledBatch:
    """Four rows: the likeliest token, the last one, the first one, and one drawn from the policy."""
    logits = draw_logits(form, 4, vocabulary, regime.logits, random)
    log_p = log_softmax(logits.astype(np.float64) / float(np.float32(temperature)))
    drawn = int(np.argmax(log_p[3] + random.gumbel(size=vocabulary)))
    tokens = np.array([int(np.argmax(log_p[0])), vocabulary - 1, 0, drawn], np.int64)
    own = log_p[np.arange(4), tokens]
    reference = (own - regime.ratio * random.standard_normal(4)).astype(np.float32)
    sampler = (own - 0.2 * random.standard_normal(4)).astype(np.float32) if weighted else None
    return SampledBatch(logits, tokens, reference, np.array(UPSTREAM, np.float32), sampler)


def whole_batch(
    form: Format, vocabulary: int, regime: Regime, log_probabilities: bool, random: np.random.Generator
) -> WholeBatch:
    """Four rows of a policy and a reference near it."""
    logits = draw_logits(form, 4, vocabulary, regime.logits, random).astype(np.float64)
    other = logits + regime.ratio * random.standard_normal(logits.shape)
    if log_probabilities:
        logits, other = log_softmax(logits), log_softmax(other)
    return WholeBatch(form.store(logits), form.store(other), np.array(UPSTREAM, np.float32))
