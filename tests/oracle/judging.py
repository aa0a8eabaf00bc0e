"""How the tests judge a plain function: one verdict at one placement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from oracle.api import identify_callable
from oracle.records import Finding, ObjectiveRecord, Verdict, WithReturns


def verdict(
    function: Callable[..., Any],
    placement: Literal["loss", "reward"] = "loss",
    roles: Mapping[str, str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Verdict:
    """The verdict on a penalty at a placement, or on a loss as a whole."""
    (found,) = identify_callable(function, roles=roles, settings=settings, placement=placement, max_examples=5)
    return found


def said(record: ObjectiveRecord | None) -> tuple[str, str | None, float | None]:
    """Objective, level and scale."""
    assert record is not None
    return record.objective, record.level, record.scale


def failed(v: Verdict) -> set[str]:
    """The ids of the checks that failed, notes among them."""
    return {f.check for f in v.findings if f.outcome == "fail"}


def accused(v: Verdict) -> set[str]:
    """The ids of the checks that failed with an error or a warning; a note accuses nobody."""
    return {f.check for f in v.findings if f.outcome == "fail" and f.severity != "note"}


def finding(v: Verdict, check: str) -> Finding:
    """What one check answered."""
    return next(f for f in v.findings if f.check == check)


def is_set(value: Any) -> bool:
    """Whether an optional field of a record is there."""
    return not isinstance(value, msgspec.UnsetType)


def unknown_theorems(v: Verdict) -> set[str]:
    """The ids that a verdict cites and that are no theorem of the catalogue, or one that does not hold."""
    from proofs.theorems import catalogue

    known = {t.id for t in catalogue() if t.holds}
    cited: set[str] = set()
    for record in (v.on_policy, v.off_policy, v.with_returns):
        if isinstance(record, ObjectiveRecord | WithReturns):
            cited |= set(record.theorems)
    for f in v.findings:
        cited |= set(f.theorems) if is_set(f.theorems) else set()
    return cited - known
