"""What Hypothesis draws: batches of log-probabilities, and tabular policies with their samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from oracle.probing.instances import Instance
from oracle.subject.batch import Batch, from_log_ratios

_OFFSET = 0.0137
"""Keeps drawn log-ratios off the round numbers where clamps have their kinks; 0 itself (pi = ref) is drawn too."""
_VOCABULARY, _TOTAL = 3, 8


@st.composite
def batches(draw: Any, shape: tuple[int, int] = (2, 2)) -> Batch:
    """Batches of one shape with |L| up to .5, 2 or 5 and |log rho| up to .5 or 1.5, pi = ref and mu = pi among them."""
    n = shape[0] * shape[1]
    scale = draw(st.sampled_from([4, 16, 40]))
    eighths = draw(st.lists(st.integers(-scale, scale), min_size=2 * n, max_size=2 * n))
    policy = draw(st.lists(st.integers(1, 40), min_size=n, max_size=n))

    def grid(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).reshape(shape)

    def ratios(steps: list[int], most: int) -> torch.Tensor:
        return grid([(max(-most, min(most, k)) / 8 + _OFFSET) if k else 0.0 for k in steps])

    return from_log_ratios(grid([-k / 8 for k in policy]), ratios(eighths[:n], 40), ratios(eighths[n:], 12))


@st.composite
def policies(draw: Any, on: bool) -> Instance:
    """Policies over answers of 2 tokens from 3: logits of scale .1 to 5, a reference that nearly excludes a token,
    pi = ref; on-policy pi is the sampler, off-policy it drifts from it by up to half the scale."""
    rows = 1 + _VOCABULARY
    scale = draw(st.sampled_from([0.1, 0.5, 1.0, 2.0, 5.0]))
    first = draw(st.lists(st.integers(1, _TOTAL - 2), min_size=rows, max_size=rows))
    second = [draw(st.integers(1, _TOTAL - 1 - a)) for a in first]
    counts = np.array([[a, b, _TOTAL - a - b] for a, b in zip(first, second, strict=True)], dtype=np.int64)
    size = rows * _VOCABULARY
    steps = np.array(draw(st.lists(st.integers(-4, 4), min_size=2 * size, max_size=2 * size))) / 4
    away, drift = scale * steps[:size].reshape(rows, -1), scale * steps[size:].reshape(rows, -1) / 2
    away[0, 0] -= draw(st.sampled_from([0.0, 0.0, 0.0, 27.0]))  # a reference probability near 1e-12
    base = np.log(counts)
    policy = base if on else base + drift
    return Instance(2, policy, policy + away, counts)
