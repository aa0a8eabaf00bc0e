"""How the tests put one check to a plain function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle.case import Case, Options
from oracle.checks import CHECKS
from oracle.examine import examine
from oracle.probing.aggregation import aggregation_of
from oracle.records import Finding
from oracle.subject.binding import bind
from oracle.subject.subject import open_subject
from oracle.subject.target import Target

Loss = Callable[..., Any]


def case_of(function: Loss, placement: str = "loss", examined: bool = True) -> Case:
    """The case of a penalty at a placement, or of a loss as a whole; not ``examined``, only what its runs show."""
    subject = open_subject(Target("f", function, None), bind(function))
    at = placement if placement in subject.placements else subject.placements[0]
    if examined:
        return examine(subject, at, Options(max_examples=1))
    return Case(subject, at, Options(), aggregation=aggregation_of(subject))


def ask(check: str, function: Loss, placement: str = "loss") -> Finding:
    """What one check answers."""
    return CHECKS[check](case_of(function, placement, check not in _BY_RUNS))


def verdict_of(check: str, function: Loss, placement: str = "loss") -> str:
    """The outcome, with the severity where it fails: ``fail/warning``."""
    found = ask(check, function, placement)
    return f"fail/{found.severity}" if found.outcome == "fail" else found.outcome


_BY_RUNS = {
    "detach.reference", "detach.sampler", "mask.nonfinite", "batch.permutation", "determinism", "aggregation",
    "microbatch.invariance", "logits.shift", "mask.leak", "padding.invariance", "beta.linearity",
}  # fmt: skip
"""Checks that need no reading and no name."""
