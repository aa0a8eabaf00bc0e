"""draws: whether a sampler draws from softmax(logits)."""

from __future__ import annotations

from gpu_checks.audit.context import Context
from gpu_checks.audit.records import Check


def check_draws(context: Context) -> Check:
    """To be written over the statistics."""
    return Check(check="draws", outcome="skip", message="not run")
