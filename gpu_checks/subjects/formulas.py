"""What the kernels of other projects compute, in float64 and for one row: independent of every kernel and bound.

A formula of the family `sampled` takes log-probabilities of the token and gives (value, coefficient c): the gradient by
the logits x is w c (1[token] - p) / T. One of `whole` takes the two inputs [token] and gives (value, gradient [token])
by the policy's input, for the upstream derivative 1. Natural logarithms.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpu_checks.formats import Array

Whole = Callable[[Array, Array], tuple[float, Array]]


def log_softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Return log softmax(logits / temperature) along the last axis, in float64."""
    scaled = np.asarray(logits, np.float64) / temperature
    shifted = scaled - scaled.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def k3(policy: float, reference: float) -> tuple[float, float]:
    """k3 as loss: e^-L + L - 1 with L = policy - reference, and c = 1 - e^-L."""
    ratio = policy - reference
    return float(np.expm1(-ratio) + ratio), float(-np.expm1(-ratio))


def weighted_k3(policy: float, reference: float, sampler: float) -> tuple[float, float]:
    """rho k3 with rho = e^(policy - sampler) differentiated too: c = rho L."""
    rho = float(np.exp(policy - sampler))
    return rho * k3(policy, reference)[0], rho * (policy - reference)


def generalized_jsd(beta: float) -> Whole:
    """JSD of log-probabilities y (policy) and z (reference), M = beta e^z + (1 - beta) e^y; beta 0 and 1 are KLs."""

    def formula(policy: Array, reference: Array) -> tuple[float, Array]:
        y, z = np.asarray(policy, np.float64), np.asarray(reference, np.float64)
        p, q = np.exp(y), np.exp(z)
        if beta == 0:
            return float((q * (z - y)).sum()), -q
        if beta == 1:
            return float((p * (y - z)).sum()), p * (y - z + 1)
        mixture = np.log(beta * q + (1 - beta) * p)
        value = beta * q * (z - mixture) + (1 - beta) * p * (y - mixture)
        return float(value.sum()), (1 - beta) * p * (y - mixture)

    return formula


def by_logits(formula: Whole, temperature: float = 1.0) -> Whole:
    """A formula of log-probabilities as one of logits at a temperature: its gradient goes through the softmax."""

    def through(policy: Array, reference: Array) -> tuple[float, Array]:
        y = log_softmax(policy, temperature)
        value, gradient = formula(y, log_softmax(reference, temperature))
        return value, (gradient - np.exp(y) * gradient.sum()) / temperature

    return through


def total_variation(policy: Array, reference: Array) -> tuple[float, Array]:
    """1/2 sum |p - q| of probabilities p, q as stored, and its gradient by p: 1/2 sign(p - q)."""
    difference = np.asarray(policy, np.float64) - np.asarray(reference, np.float64)
    return float(np.abs(difference).sum() / 2), np.sign(difference) / 2
