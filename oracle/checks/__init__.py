"""The checks, one file each; importing this package enters them all. ``CHECKS`` has them in the order of the report."""

from __future__ import annotations

from oracle.checks import (
    batch_coupling,
    beta_linearity,
    cancellation,
    clamp_dead_gradient,
    detach_reward,
    mask_leak,
    padding_invariance,
    reference_dependence,
    sign,
    tail_finite,
)
from oracle.checks.registry import ENTERED, Answer, Check

_REPORT = (
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
CHECKS: dict[str, Check] = {
    c.id: c for module in _REPORT for c in ENTERED.values() if c.run.__module__ == module.__name__
}

__all__ = ["CHECKS", "Answer", "Check"]
