"""The checks, one file each; importing this package enters them all, in the order in which they are reported."""

from __future__ import annotations

from oracle.checks import (  # noqa: I001 - the order of the report
    reference_dependence,
    sign,
    beta_linearity,
    mask_leak,
    padding_invariance,
    batch_coupling,
    detach_reward,
    clamp_dead_gradient,
    tail_finite,
    cancellation,
)
from oracle.checks.registry import CHECKS, Answer, Check

__all__ = [
    "CHECKS", "Answer", "Check", "batch_coupling", "beta_linearity", "cancellation", "clamp_dead_gradient", "detach_reward",
    "mask_leak", "padding_invariance", "reference_dependence", "sign", "tail_finite",
]  # fmt: skip
