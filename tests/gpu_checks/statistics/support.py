"""What the calibrations share: policies of a given divergence, tokens, and how many alarms chance allows."""

from functools import cache
from typing import Any

import numpy as np
from scipy.special import logsumexp
from scipy.stats import binom

Floats = np.ndarray[Any, np.dtype[np.float64]]
RUNS = 10_000
RATE = 1e-2


def most(runs: int, rate: float) -> int:
    """The upper 99.9% limit of a count."""
    return int(binom.ppf(0.999, runs, rate))


def least(runs: int, rate: float) -> int:
    """The lower 99.9% limit of a count."""
    return int(binom.ppf(0.001, runs, rate))


@cache
def pair(vocabulary: int, divergence: float, seed: int = 0) -> tuple[Floats, Floats]:
    """Log-probabilities of a policy, logits 2 N(0, 1), and of a reference at KL(policy, reference) = divergence."""
    rng = np.random.default_rng(seed)
    x, noise = 2 * rng.standard_normal(vocabulary), rng.standard_normal(vocabulary)
    a = x - logsumexp(x)
    low, high = 0.0, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        b = x + middle * noise
        b = b - logsumexp(b)
        low, high = (middle, high) if np.exp(a) @ (a - b) < divergence else (low, middle)
    return a, b


def coefficients(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Of the reverse KL (k1 in the reward), and of k3 as loss."""
    return a - b, -np.expm1(b - a)


def tokens(rng: np.random.Generator, log_probabilities: Floats, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Independent tokens of a law."""
    cumulative = np.cumsum(np.exp(log_probabilities))
    return np.searchsorted(cumulative / cumulative[-1], rng.random(shape), side="right")
