"""The checks, one file each; importing this package enters them all. ``CHECKS`` has them in the order of the report."""

from __future__ import annotations

from oracle.checks import (
    aggregation,
    argument_order,
    batch_coupling,
    batch_permutation,
    beta_linearity,
    cancellation,
    clamp_dead_gradient,
    detach_reference,
    detach_reward,
    detach_sampler,
    determinism,
    dtype_bound,
    expected_off_policy,
    expected_on_policy,
    expected_sequence,
    logits_alignment,
    logits_shift,
    mask_leak,
    mask_nonfinite,
    microbatch_invariance,
    padding_invariance,
    reference_dependence,
    reference_zero,
    sign,
    tail_finite,
    value_bias,
)
from oracle.checks.registry import ENTERED, Answer, Check

_REPORT = (
    expected_on_policy,
    expected_off_policy,
    expected_sequence,
    reference_dependence,
    reference_zero,
    argument_order,
    sign,
    detach_reward,
    detach_reference,
    detach_sampler,
    logits_alignment,
    logits_shift,
    mask_leak,
    mask_nonfinite,
    padding_invariance,
    batch_coupling,
    batch_permutation,
    aggregation,
    microbatch_invariance,
    beta_linearity,
    clamp_dead_gradient,
    tail_finite,
    cancellation,
    dtype_bound,
    determinism,
    value_bias,
)
CHECKS: dict[str, Check] = {
    c.id: c for module in _REPORT for c in ENTERED.values() if c.run.__module__ == module.__name__
}

__all__ = ["CHECKS", "Answer", "Check"]
